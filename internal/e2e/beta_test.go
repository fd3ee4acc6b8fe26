package e2e

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// In a closed test an operator's link lets one address in; without it the page says how accounts are given out.
func TestAClosedTestOnItsPages(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), map[string]string{"SIGN_UPS": "invited", "MAX_CUSTOMERS": "1"})
	const email = "ada@mail.example"
	b := r.browse(t)
	tries := func(path string) {
		b.open(path)
		b.fill("email", email)
		b.fill("password", password)
		b.press("form.stack button")
	}
	tries("/signup")
	b.sees("We are in a closed test")
	made, err := r.Command(t.Context(), "api", "ops", "invite", email, "--operator", "ada", "--reason", "asked for it").Output()
	require.NoError(t, err)
	link, err := url.Parse(strings.TrimSpace(string(made)))
	require.NoError(t, err)
	tries(link.RequestURI())
	b.sees("Check your mail")
	b.open(mailedLink(t, r, email, "verify_email"))
	b.fill("password", password)
	b.press("form.stack button")
	b.at("/mailboxes")
	log, err := r.Command(t.Context(), "api", "ops", "log").Output()
	require.NoError(t, err)
	require.Contains(t, string(log), "asked for it")
	require.NotContains(t, string(log), email)

	second := "bob@mail.example"
	made, err = r.Command(t.Context(), "api", "ops", "invite", second, "--operator", "ada", "--reason", "asked for it").Output()
	require.NoError(t, err)
	link, err = url.Parse(strings.TrimSpace(string(made)))
	require.NoError(t, err)
	b = r.browse(t)
	b.open(link.RequestURI())
	b.fill("email", second)
	b.fill("password", password)
	b.press("form.stack button")
	b.sees("There is no room for more accounts")
}
