package httpapi_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/httpapi"
	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
	"mailsweep/internal/web"
)

// withSite has the pages that people use.
func withSite(r *rig) {
	r.Pages = func(e *echo.Echo, edge httpapi.Edge) {
		pages := &web.Pages{Account: r.Account, Billing: r.Billing, Cleanup: r.Cleanup, Report: r.Report, Plans: r.Plans, Log: r.Log}
		pages.Mount(e, edge)
	}
}

// visits opens a page, or sends the form of one; the browser keeps the session that the answer brings.
func (r *rig) visits(t *testing.T, b *browser, path string, form url.Values) answer {
	t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
		form.Set("csrf", b.csrf)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	for name, value := range map[string]string{"Cookie": cookieName + "=" + b.cookie, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"} {
		req.Header.Set(name, value)
	}
	a, err := read(req)
	require.NoError(t, err)
	for _, c := range a.Cookies() {
		if c.Name == cookieName {
			*b = browser{c.Value, secret.CSRFToken(c.Value)}
		}
	}
	return a
}

// idOf is the customer's whom a token works for.
func (r *rig) idOf(t *testing.T, token string) string {
	t.Helper()
	return r.call(t, "GET", me, token, "").object(t)["id"].(string)
}

// colleague has somebody invited and join who has an account of their own, and gives their browser, which works in that.
func (r *rig) colleague(t *testing.T, owner, token, email string) browser {
	t.Helper()
	require.Equal(t, 201, r.call(t, "POST", "/api/v1/people/invitations", owner, `{"email":"`+email+`","role":"viewer","password":"`+good+`"}`).StatusCode)
	a := r.call(t, "POST", "/api/v1/auth/invitations/join", token, `{"token":"`+r.invited(t, email)+`"}`)
	require.Equal(t, 200, a.StatusCode, string(a.body))
	return r.browser(t, email, "")
}

// TEN-12: a page leads into the accounts that a person works for, and shows what is of the one they are in.
func TestAPersonGoesToTheirOtherAccountByThePage(t *testing.T) {
	t.Parallel()
	r := newRig(t, withSite)
	ada, bo := r.member(t, "ada@example.com"), r.member(t, "bo@example.com")
	r.member(t, "eve@example.com")
	r.connect(t, ada)
	eve := r.browser(t, "eve@example.com", "")
	alone := r.visits(t, &eve, "/settings/accounts", nil)
	require.Equal(t, 200, alone.StatusCode)
	require.Contains(t, string(alone.body), "in this account alone")
	require.NotContains(t, string(r.visits(t, &eve, "/settings", nil).body), "/settings/accounts", "there is nowhere to go")

	b := r.colleague(t, ada, bo, "bo@example.com")
	require.Contains(t, string(r.visits(t, &b, "/settings", nil).body), "one of 2 accounts")
	require.NotContains(t, string(r.visits(t, &b, "/mailboxes", nil).body), gmailAddress)
	list := string(r.visits(t, &b, "/settings/accounts", nil).body)
	require.Equal(t, []int{1, 1, 1}, []int{strings.Count(list, "Work there</button>"), strings.Count(list, `value="`+r.idOf(t, ada)+`"`), strings.Count(list, "you are here")})
	before := b
	a := r.visits(t, &b, "/settings/accounts", url.Values{"account": {r.idOf(t, ada)}})
	require.Equal(t, []any{303, "/mailboxes"}, []any{a.StatusCode, a.Header.Get("Location")}, string(a.body))
	require.NotEqual(t, before.cookie, b.cookie)
	require.Equal(t, 401, r.status(t, before, me), "the session there was ended")
	require.Contains(t, string(r.visits(t, &b, "/mailboxes", nil).body), gmailAddress)
	require.Contains(t, string(r.visits(t, &b, "/settings/accounts", nil).body), `value="`+r.idOf(t, bo)+`"`, "the way back")
	require.Equal(t, 303, r.visits(t, &b, "/settings/accounts", url.Values{"account": {r.idOf(t, bo)}}).StatusCode)
	require.NotContains(t, string(r.visits(t, &b, "/mailboxes", nil).body), gmailAddress)
}

// TEN-12: an account of others is one that is not there, and a form that is not ours leads nowhere.
func TestAnAccountOfOthersIsOneThatIsNotThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, withSite)
	ada := r.member(t, "ada@example.com")
	r.member(t, "eve@example.com")
	eve := r.browser(t, "eve@example.com", "")
	before := eve
	said := map[string]bool{}
	for _, id := range []string{r.idOf(t, ada), sweep.CustomerID.Show(sweep.ID{1}), "nonsense"} {
		for _, code := range []string{"", "000000"} {
			a := r.visits(t, &eve, "/settings/accounts", url.Values{"account": {id}, "code": {code}})
			require.Equal(t, 404, a.StatusCode, id)
			said[strings.ReplaceAll(string(a.body), a.Header.Get("X-Request-ID"), "")] = true
		}
	}
	require.Len(t, said, 1, "they tell apart which accounts there are")
	require.Equal(t, before, eve)
	stranger := browser{eve.cookie, "invented"}
	require.Equal(t, 403, r.visits(t, &stranger, "/settings/accounts", url.Values{"account": {r.idOf(t, ada)}}).StatusCode)
}

// MFA-5: the second factor of the other account is asked for before one is in it.
func TestTheOtherAccountAsksForItsSecondFactor(t *testing.T) {
	t.Parallel()
	r := newRig(t, withSite)
	ada, bo := r.member(t, "ada@example.com"), r.member(t, "bo@example.com")
	own, theirs := r.idOf(t, bo), r.idOf(t, ada)
	b := r.colleague(t, ada, bo, "bo@example.com")
	var offered account.FactorOffer
	r.call(t, "POST", "/api/v1/auth/2fa/enrol", "", `{"password":"`+good+`"}`, b.headers()...).into(t, &offered)
	app, err := secret.ReadTOTP(offered.Secret)
	require.NoError(t, err)
	next, err := app.Code(time.Now())
	require.NoError(t, err)
	var on account.FactorOn
	confirmed := r.call(t, "POST", "/api/v1/auth/2fa/confirm", "", `{"code":"`+next+`"}`, b.headers()...)
	confirmed.into(t, &on)
	b = r.browserOf(t, confirmed)
	require.Equal(t, 303, r.visits(t, &b, "/settings/accounts", url.Values{"account": {theirs}}).StatusCode)

	there := b
	asked := r.visits(t, &b, "/settings/accounts", url.Values{"account": {own}})
	require.Equal(t, 200, asked.StatusCode, string(asked.body))
	require.Contains(t, string(asked.body), `name="code"`)
	require.Contains(t, string(asked.body), `name="account" value="`+own+`"`)
	require.NotContains(t, string(asked.body), `role="alert"`, "nothing is wrong yet")
	wrong := r.visits(t, &b, "/settings/accounts", url.Values{"account": {own}, "code": {"000000"}})
	require.Equal(t, 401, wrong.StatusCode)
	require.Contains(t, string(wrong.body), `role="alert"`)
	require.Contains(t, string(wrong.body), `name="code"`)
	require.Contains(t, string(wrong.body), `name="account" value="`+own+`"`, "the form is there again")
	require.Equal(t, there, b)
	require.Equal(t, theirs, r.call(t, "GET", me, "", "", b.headers()...).object(t)["id"], "still in the other account")
	require.Equal(t, 303, r.visits(t, &b, "/settings/accounts", url.Values{"account": {own}, "code": {on.RecoveryCodes[0]}}).StatusCode)
	require.Equal(t, own, r.call(t, "GET", me, "", "", b.headers()...).object(t)["id"])
	r.suspended(t, theirs)
	refused := r.visits(t, &b, "/settings/accounts", url.Values{"account": {theirs}})
	require.Equal(t, 403, refused.StatusCode)
	require.Contains(t, string(refused.body), "Your accounts</h2>", "the list says why")
	require.Contains(t, string(refused.body), "suspended")
}

// A keep list that is refused comes back as it was typed, with what is wrong, and the one that is kept stays.
func TestARefusedKeepListComesBackAsItWasTyped(t *testing.T) {
	t.Parallel()
	r := newRig(t, withSite)
	r.member(t, "ada@example.com")
	b := r.browser(t, "ada@example.com", "")
	require.Equal(t, 303, r.visits(t, &b, "/settings/keep-list", url.Values{"entries": {"@bank.example"}}).StatusCode)
	typed := "@bank.example\nMum@family.example\nnonsense\n<b>more</b>"
	a := r.visits(t, &b, "/settings/keep-list", url.Values{"entries": {typed}})
	require.Equal(t, 422, a.StatusCode, string(a.body))
	require.Contains(t, string(a.body), ">"+html.EscapeString(typed)+"</textarea>")
	require.Contains(t, string(a.body), "The keep list is not valid.")
	require.Contains(t, string(a.body), "Neither an address nor @domain: nonsense, &lt;b&gt;more&lt;/b&gt;.")
	kept := string(r.visits(t, &b, "/settings", nil).body)
	require.Contains(t, kept, ">@bank.example</textarea>")
	require.NotContains(t, kept, `role="alert"`)
}

// SES-4: a page ends the others, and asks for a sign-in first where the last is long ago.
func TestSessionsAreEndedByThePage(t *testing.T) {
	t.Parallel()
	r := newRig(t, withSite)
	r.member(t, "ada@example.com")
	first, second, third := r.browser(t, "ada@example.com", ""), r.browser(t, "ada@example.com", ""), r.browser(t, "ada@example.com", "")
	shown := func() string { return string(r.visits(t, &first, "/settings", nil).body) }
	one := regexp.MustCompile(`name="session" value="(ses_\w+)"`).FindStringSubmatch(shown())
	require.NotNil(t, one)
	require.Equal(t, 303, r.visits(t, &first, "/settings/sessions/end", url.Values{"session": {one[1]}}).StatusCode)
	require.ElementsMatch(t, []int{200, 401}, []int{r.status(t, second, me), r.status(t, third, me)})

	_, err := r.root.Exec(t.Context(), "UPDATE sessions SET proven_at = proven_at - interval '15 minutes'")
	require.NoError(t, err)
	testkit.Eventually(t, 5*time.Second, func() bool { return strings.Contains(shown(), ">sign in again</a>") }, "it is looked at every second")
	require.NotContains(t, shown(), "/settings/sessions/end")
	for _, path := range []string{"/settings/sessions/end", "/settings/sessions/end-others"} {
		a := r.visits(t, &first, path, url.Values{"session": {one[1]}})
		require.Equal(t, 401, a.StatusCode, path)
		require.Contains(t, string(a.body), "Sign in again, then this is possible for 15 minutes.")
	}
	problem(t, r.call(t, "DELETE", "/api/v1/sessions", "", "", first.headers()...), 401, "sign_in_again")

	again := r.browser(t, "ada@example.com", "")
	require.Equal(t, 303, r.visits(t, &again, "/settings/sessions/end-others", url.Values{}).StatusCode)
	require.Equal(t, []int{401, 401, 401, 200}, []int{r.status(t, first, me), r.status(t, second, me), r.status(t, third, me), r.status(t, again, me)})
	require.NotContains(t, string(r.visits(t, &again, "/settings", nil).body), "End all but this one", "it is alone")
}

func (r *rig) suspended(t *testing.T, customer string) {
	t.Helper()
	id, err := sweep.CustomerID.Parse(customer)
	require.NoError(t, err)
	_, err = r.root.Exec(t.Context(), "UPDATE customers SET suspended_at = now() WHERE id = $1", id.String())
	require.NoError(t, err)
}
