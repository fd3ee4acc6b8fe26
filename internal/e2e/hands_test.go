package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
)

// key types what a person without a mouse types.
func (b *browser) key(keys string) {
	b.t.Helper()
	b.do("type", chromedp.KeyEvent(keys))
}

// tab presses Tab until what css names has the focus. Whatever has it on the way is where a person can see it, and looks as if it had it.
func (b *browser) tab(css string) {
	b.t.Helper()
	for range 120 {
		b.key(kb.Tab)
		if b.holds(fmt.Sprintf("document.activeElement.matches(%q)", css)) {
			return
		}
		const seen = `(e => e === document.body || (s => s.outlineStyle !== "none" || s.boxShadow !== "none")(getComputedStyle(e)))(document.activeElement)`
		require.True(b.t, b.holds(seen), "the focus cannot be seen at %s", b.where())
	}
	require.Fail(b.t, "Tab does not lead there", "%s at %s\n%s", css, b.where(), b.text())
}

func (b *browser) holds(expression string) bool {
	b.t.Helper()
	return script[bool](b, expression)
}

// typed goes to a field and types into it.
func (b *browser) typed(css, text string) {
	b.t.Helper()
	b.tab(css)
	b.key(text)
}

// chosen goes to a link or a button and presses Enter.
func (b *browser) chosen(css string) {
	b.t.Helper()
	b.tab(css)
	b.key(kb.Enter)
}

// From the landing page to a cleaned mailbox and back, with the keyboard alone.
func TestAJourneyWithoutAMouse(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := &user{t: t, r: r}
	u.Email = "kay@mail.example"
	_, err := r.Sim.AddGenerated(u.Email, google.Generate{Messages: 400, Seed: 5, Now: time.Now()})
	require.NoError(t, err)
	before := u.digest()
	b := r.browse(t)
	b.open("/")
	b.tab("a.skip")
	b.chosen("main a[href='/signup']")
	b.at("/signup")
	b.typed("#email", u.Email)
	b.typed("#password", password+kb.Enter)
	b.sees("Check your mail")
	b.open(mailedLink(t, r, u.Email, "verify_email"))
	b.typed("#password", password+kb.Enter)
	b.at("/mailboxes")
	b.chosen("form[action='/mailboxes/connect'] button")
	b.sees("This is the simulated Google")
	b.chosen("button[value=allow]")
	b.at("/mailboxes/mbx_[0-9a-f]{32}")
	b.sees("Bring up to date")
	mailbox := b.where()
	b.open(mailbox + "/clean")
	b.typed("input[name=category][value=promotions]", " ")
	b.sees(" match")
	b.chosen("form.card button.button:not(.plain)")
	b.at("/plans/pln_[0-9a-f]{32}")
	b.chosen("form[action$='/execute'] button")
	b.at("/jobs/job_[0-9a-f]{32}")
	b.sees("Undo this run")
	require.NotEqual(t, before, u.digest())
	b.chosen("form[action$='/undo'] button")
	b.sees("Restored")
	require.Equal(t, before, u.digest())
	b.open("/settings")
	b.chosen("form[action='/logout'] button")
	b.at("/")
}

// beside is another tab of the same browser.
func (b *browser) beside() *browser {
	b.t.Helper()
	ctx, closeTab := chromedp.NewContext(b.ctx)
	b.t.Cleanup(closeTab)
	other := &browser{t: b.t, ctx: ctx, base: b.base}
	other.begin(closeTab)
	return other
}

// Two tabs on one plan and the way back through what the browser remembers make one run; who signed out in one tab is out in the other.
func TestTwoTabsAndTheWayBackMakeOneRun(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := &user{t: t, r: r}
	u.Email = "tab@mail.example"
	_, err := r.Sim.AddGenerated(u.Email, google.Generate{Messages: 400, Seed: 5, Now: time.Now()})
	require.NoError(t, err)
	one := newcomer(t, r, u.Email)
	one.connect(t)
	one.press("form[action$='/preview'] button")
	one.at("/plans/pln_[0-9a-f]{32}")
	plan := one.where()
	two := one.beside()
	two.open(plan)
	two.sees("Will change")
	one.press("form[action$='/execute'] button")
	one.at("/jobs/job_[0-9a-f]{32}")
	one.sees("Undo this run")
	run, changed := one.where(), u.changes()

	two.press("form[action$='/execute'] button")
	two.eventually("be led to the run", func() bool {
		return two.where() == run || two.holds(fmt.Sprintf("!!document.querySelector('main a[href=%q]')", run))
	})
	one.back()
	one.at(plan)
	// The browser may show the page as it was then: pressed from a script, as the debugger does not know a page that came back.
	one.holds(`(document.querySelector("form[action$='/execute'] button") || document.querySelector("main .say a")).click(); true`)
	one.at(run)
	require.Equal(t, changed, u.changes(), "one run")

	one.press("form[action='/logout'] button")
	one.at("/")
	two.open(run)
	two.at("/login.*")
	one.back()
	one.at("/login.*")
	require.NotContains(t, one.text(), "Undo this run", "what was private is not shown from memory")
}

// back presses the browser's button.
func (b *browser) back() {
	b.t.Helper()
	b.holds("history.back(); true")
}

// connect gives the newcomer's only mailbox, and waits until it is known.
func (b *browser) connect(t *testing.T) (mailbox string) {
	t.Helper()
	b.press("form[action='/mailboxes/connect'] button")
	b.sees("This is the simulated Google")
	b.press("button[value=allow]")
	b.at("/mailboxes/mbx_[0-9a-f]{32}")
	b.sees("Bring up to date")
	return b.where()
}

// What goes wrong says what to do next, and that helps: a month that is used up, a consent that was revoked, a card that is declined.
func TestFailuresSayWhatToDoNext(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), map[string]string{"PLAN_LIMITS": limits(20)})
	const email = "fay@mail.example"
	_, err := r.Sim.AddGenerated(email, google.Generate{Messages: 600, Seed: 5, Now: time.Now()})
	require.NoError(t, err)
	b := newcomer(t, r, email)
	mailbox := b.connect(t)

	b.press("form[action$='/preview'] button")
	b.at("/plans/pln_[0-9a-f]{32}")
	b.sees("Only 20 of ")
	b.look("quota-short")
	b.press("form[action$='/execute'] button")
	b.at("/jobs/job_[0-9a-f]{32}")
	b.sees("What is left is a plan of its own")
	b.look("quota-partial")
	b.follow("go on with it")
	b.at("/plans/pln_[0-9a-f]{32}")
	b.sees("This month’s quota is used up")
	b.look("quota-used-up")
	b.follow("Compare plans")
	b.at("/billing")

	require.NoError(t, r.Sim.Revoke(email))
	b.open(mailbox)
	b.press("form[action$='/analyze'] button")
	b.sees("please connect it again")
	b.look("revoked")
	require.True(t, b.holds("!!document.querySelector(\"main form[action='/mailboxes/connect'] input[name=mailbox]\")"), "the way back stands beside what is wrong")
	b.open("/mailboxes")
	b.sees("Google no longer lets us in")
	b.look("mailboxes-revoked")
	b.press("input[name=mailbox] + button")
	b.sees("This is the simulated Google")
	b.press("button[value=allow]")
	b.at("/mailboxes/mbx_[0-9a-f]{32}")
	require.Equal(t, mailbox, b.where(), "it is the mailbox that it was")
	b.sees("Bring up to date")

	b.open("/billing")
	b.press("form[action='/billing/checkout'] button[value=month]")
	b.sees("Simulated checkout")
	b.pays("declined")
	b.sees("Your card was declined.")
	b.open("/billing")
	require.NotContains(t, b.text(), "Paid for")
	b.look("billing-declined")
	b.press("form[action='/billing/checkout'] button[value=month]")
	b.sees("Simulated checkout")
	b.pays("ok")
	b.at("/billing.checkout=done")
	b.eventually("see the purchase", func() bool { b.open("/billing"); return b.holds("document.body.innerText.includes('Paid for')") })
}

// pays chooses a card on the simulated Stripe's page.
func (b *browser) pays(card string) {
	b.t.Helper()
	b.press("input[name=card][value=" + card + "]")
	b.press("form button")
}
