package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
)

// From the landing page to the first numbers it is at most four clicks with Google, those on Google's pages counted, and eight with an address.
func TestFirstNumbersAreFourClicksAway(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	clicks := 0
	walk := func(email string) (b *browser, click func(css string)) {
		_, err := r.Sim.AddGenerated(email, google.Generate{Messages: 300, Seed: 5, Now: time.Now()})
		require.NoError(t, err)
		b, clicks = r.browse(t), 0
		b.open("/")
		return b, func(css string) {
			b.press(css)
			clicks++
		}
	}
	b, click := walk("gia@mail.example")
	click("form[action='/login/google'] button")
	b.sees("This is the simulated Google")
	click("button[value=allow]")
	b.at("/mailboxes")
	click("form[action='/mailboxes/connect'] button")
	b.sees("This is the simulated Google")
	click("button[value=allow]")
	b.at("/mailboxes/mbx_[0-9a-f]{32}")
	b.sees("By category")
	require.LessOrEqual(t, clicks, 4)

	const email = "abe@mail.example"
	b, click = walk(email)
	click("main a[href='/signup']")
	b.at("/signup")
	b.fill("email", email)
	b.fill("password", password)
	click("form.stack button")
	b.sees("Check your mail")
	b.open(mailedLink(t, r, email, "verify_email"))
	clicks++
	b.fill("password", password)
	click("form.stack button")
	b.at("/mailboxes")
	click("form[action='/mailboxes/connect'] button")
	b.sees("This is the simulated Google")
	click("button[value=allow]")
	b.at("/mailboxes/mbx_[0-9a-f]{32}")
	b.sees("By category")
	require.LessOrEqual(t, clicks, 8)
}
