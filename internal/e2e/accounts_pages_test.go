package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// A person of two accounts goes from one to the other: there is what that one has, and the code where that one has a second factor. Whatever
// the account is that they do not work in, the answer is the same.
func TestAPersonWorksInTwoAccounts(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	ada, eve := r.join(t, "ada", 100), r.signUp(t, "eve")
	ada.buy("enterprise")
	bob := r.signUp(t, "bob")
	require.NoError(t, ada.Do(ada.ctx(), http.MethodPost, "/api/v1/people/invitations", map[string]string{"email": bob.Email, "role": "operator", "password": password}, nil))
	b := bob.signInAt("/settings")
	b.at("/settings")
	require.NotContains(t, b.text(), "Your accounts")
	b.open(mailedLink(t, r, bob.Email, "invitation"))
	b.fill("password", password)
	b.press("main form.stack button")
	b.at("/mailboxes")
	b.sees(ada.Email)

	b.open("/settings")
	b.sees("one of 2 accounts")
	b.follow("Your accounts")
	b.at("/settings/accounts")
	b.look("accounts")
	answers := map[string]string{}
	for _, id := range []string{customerOf(eve), "cus_0123456789abcdef0123456789abcdef"} {
		b.open("/settings/accounts")
		b.set("input[name=account]", id)
		b.press("form[action='/settings/accounts'] button")
		b.sees("Nothing here")
		answers[b.text()] = id
		b.pardon()
	}
	require.Len(t, answers, 1, "another's account and none look the same")
	goOver := func() {
		b.open("/settings/accounts")
		b.press("form[action='/settings/accounts'] button")
	}
	goOver()
	b.at("/mailboxes")
	b.sees("Connect your Gmail")
	require.NotContains(t, b.text(), ada.Email)
	b.open("/settings/two-factor")
	b.setUp()
	goOver()
	b.at("/mailboxes")
	b.sees(ada.Email)
	goOver()
	b.sees("One more step")
	b.fill("code", b.recovery)
	b.press("main form.stack button")
	b.at("/mailboxes")
	b.sees("Connect your Gmail")
}

func customerOf(u *user) string {
	var me struct{ ID string }
	u.get("/api/v1/auth/me", &me)
	return me.ID
}

// What a form of the settings refuses comes back as it was typed, with what is wrong.
func TestARefusedSettingComesBackAsTyped(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	b := r.signUp(t, "ada").signInAt("/settings")
	b.at("/settings")
	b.put("#entries", "boss@work.example nobody at")
	b.press("#keep button")
	b.sees("Neither an address nor @domain: nobody, at.")
	require.Equal(t, "boss@work.example nobody at", b.value("#entries"))
	b.pardon()
	b.look("settings-refused")
	for section, field := range map[string]string{"you": "new-email", "delete": "confirm"} {
		b.open("/settings")
		b.press("#" + section + " summary")
		b.fill(field, "other@mail.example")
		b.put("#"+section+" input[type=password]", "wrong one")
		b.press("#" + section + " details form button")
		b.sees("The password is wrong.")
		require.Equal(t, "other@mail.example", b.value("#"+field))
		require.Empty(t, b.value("#"+section+" input[type=password]"), "a secret is not sent back")
		b.pardon()
	}
}
