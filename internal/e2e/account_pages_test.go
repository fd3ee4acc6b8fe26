package e2e

import (
	"encoding/base32"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/secret"
)

// pardon forgets what the console told of a page that was refused on purpose: a browser tells every status of 400 and more.
func (b *browser) pardon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = nil
}

// code is what an authenticator app shows that was given the secret on the page.
func (b *browser) code() string {
	b.t.Helper()
	shown := script[string](b, "document.querySelector('.scan code').innerText")
	app, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(shown)
	require.NoError(b.t, err)
	code, err := secret.TOTP(app).Code(time.Now())
	require.NoError(b.t, err)
	return code
}

// buy pays for a plan as the customer on Stripe's page.
func (u *user) buy(plan string) {
	u.t.Helper()
	var page struct{ URL string }
	require.NoError(u.t, u.Do(u.ctx(), http.MethodPost, "/api/v1/billing/checkout", map[string]string{"plan": plan, "every": "month"}, &page))
	stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	paid, err := stay.PostForm(page.URL, url.Values{"card": {"ok"}})
	require.NoError(u.t, err)
	paid.Body.Close()
	until(u.t, patience, "the plan is in force", func() bool {
		var view struct{ Plan string }
		u.get("/api/v1/billing", &view)
		return view.Plan == plan
	})
}

// signInAt opens a browser in which u is signed in.
func (u *user) signInAt(path string) *browser {
	u.t.Helper()
	b := u.r.browse(u.t)
	b.open("/login?next=" + url.QueryEscape(path))
	b.fill("email", u.Email)
	b.fill("password", password)
	b.press("form.stack button")
	return b
}

// The account's pages, as an owner of the largest plan walks through them.
func TestAnAccountIsRunByItsPages(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.signUp(t, "ada")
	b := u.signInAt("/settings/allowlist")
	b.at("/settings/allowlist")
	b.sees("part of the Enterprise plan")
	b.look("allowlist-lacking")
	u.buy("enterprise")

	b.open("/settings/people")
	b.fill("email", "bob@mail.example")
	b.fill("invite-password", "wrong one")
	b.press("#invite button.button")
	b.sees("The password is wrong.")
	require.Equal(t, "bob@mail.example", b.value("#email"), "what was typed stays")
	b.pardon()
	b.look("people-refused")
	b.fill("invite-password", password)
	b.press("#invite button.button")
	b.sees("Mail again")
	b.look("people")

	b.open("/settings/keys")
	b.fill("name", "Nightly cleanup")
	b.press("input[value=execute]")
	b.fill("key-password", password)
	b.do("press twice", chromedp.DoubleClick(chromedp.CSS("#make button.button")))
	b.sees("swp_live_")
	b.look("key-shown")
	shown := regexp.MustCompile(`swp_live_\S+`).FindString(b.text())
	require.True(t, secret.IsAPIKey(shown), "a key that is shown whole")
	b.open("/settings/keys")
	b.sees("read, execute")
	require.Equal(t, 1, strings.Count(b.text(), "Nightly cleanup"), "two presses make one key")
	require.NotContains(t, b.text(), shown, "never again")
	b.look("keys")
	b.follow("Change…")
	b.at("/settings/keys/key_[0-9a-f]{32}")
	b.look("key")
	b.fill("rotate-password", password)
	b.press("form[action$='/rotate'] button")
	b.at("/settings/keys/key_[0-9a-f]{32}/rotate") // the page before shows how the key begins, too
	b.sees("swp_live_")
	b.open("/settings/keys")
	b.follow("Change…")
	b.press("main details summary")
	b.press("form[action$='/revoke'] button")
	b.at("/settings/keys")
	b.sees("revoked")

	b.open("/settings/notifications")
	b.press("input[value=quota_warning][name=on]")
	b.press("main form button")
	b.eventually("be told the choice", func() bool { // by the page, not by what was pressed
		return script[string](b, "[...document.querySelectorAll('input[name=on][checked]')].map(i => i.value).join(' ')") == "quota_fresh trial_ending needs_reconnect"
	})
	b.look("notifications")

	b.open("/settings/audit")
	b.sees("Made an API key")
	b.look("audit")
	b.open("/settings/allowlist")
	b.fill("networks", "203.0.113.0/24")
	b.press("main form button")
	b.sees("would keep you out")
	b.pardon()
	b.look("allowlist-refused")
}

// An owner demands a second factor: a colleague who has none is led to the page that sets it up, and is shown the codes once.
func TestWhoOwesASecondFactorSetsItUpByPage(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.signUp(t, "ada")
	u.buy("enterprise")
	b := u.signInAt("/settings/two-factor")
	b.look("twofactor-off")
	b.fill("password", password)
	b.press("form.stack button")
	b.sees("Scan this")
	b.look("twofactor-scan")
	b.fill("code", "000000")
	b.press("form.stack button")
	b.sees("The code is wrong")
	b.pardon()
	b.follow("Begin again with a new picture")
	b.setUp()
	b.press("#demand button")
	b.sees("Everybody in this account has to use")
	b.look("twofactor-on")
	b.open("/settings/people")
	b.fill("email", "bob@mail.example")
	b.fill("invite-password", password)
	b.fill("invite-code", b.recovery)
	b.press("#invite button.button")
	b.sees("Mail again")

	bob := r.browse(t)
	bob.open(mailedLink(t, r, "bob@mail.example", "invitation"))
	bob.fill("password", password)
	bob.press("form.stack button")
	bob.sees("demands a second factor")
	bob.pardon()
	bob.look("twofactor-owed")
	bob.follow("Set it up")
	bob.sees("asks everybody")
	bob.setUp()
	bob.open("/mailboxes")
	bob.sees("Connect your Gmail")
}

// setUp turns the second factor on, and goes on from the codes in the session that is new.
func (b *browser) setUp() {
	b.t.Helper()
	b.fill("password", password)
	b.press("form.stack button")
	b.sees("Scan this")
	b.fill("code", b.code())
	b.press("form.stack button")
	b.sees("Two-factor sign-in is on")
	b.look("codes")
	b.recovery = script[string](b, "document.querySelector('.codes code').innerText")
	token := b.token()
	b.follow("I have kept them")
	b.at("/settings/two-factor")
	require.Equal(b.t, b.token(), token, "the page of the codes is of the new session")
}

// token is what the page's forms prove with that they are ours.
func (b *browser) token() string {
	b.t.Helper()
	return b.value("input[name=csrf]")
}
