package httpapi_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/secret"
)

const (
	cookieName = "__Host-mailsweep"
	firefox    = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
)

// browser is a page of ours in a browser that holds a session.
type browser struct{ cookie, csrf string }

// headers are what the browser and its page send; more ones stand in the place of these.
func (b browser) headers(more ...string) []string {
	return append([]string{"Cookie", cookieName + "=" + b.cookie, "Sec-Fetch-Site", "same-origin", "X-CSRF-Token", b.csrf, "User-Agent", firefox}, more...)
}

// of reads the session that an answer set.
func (r *rig) browserOf(t *testing.T, a answer) browser {
	t.Helper()
	require.Equal(t, 200, a.StatusCode, string(a.body))
	cookies := a.Cookies()
	require.Len(t, cookies, 1)
	require.Equal(t, cookieName, cookies[0].Name)
	body := a.object(t)
	if inner, ok := body["session"].(map[string]any); ok {
		body = inner
	}
	require.NotContains(t, string(a.body), cookies[0].Value, "what a script can read")
	return browser{cookies[0].Value, body["csrf_token"].(string)}
}

// browser signs somebody in whose address is proven. The cookie, if any, is what the browser had before.
func (r *rig) browser(t *testing.T, email, cookie string) browser {
	t.Helper()
	return r.browserOf(t, r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"`+email+`","password":"`+good+`","cookie":true}`, browser{cookie: cookie}.headers()...))
}

// status is what GET answers to a browser.
func (r *rig) status(t *testing.T, b browser, path string) int {
	t.Helper()
	return r.call(t, "GET", path, "", "", b.headers()...).StatusCode
}

const me = "/api/v1/auth/me"

// SES-1
func TestASessionIsACookieThatOnlyItsHostGets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, "ada@example.com")
	a := r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"ada@example.com","password":"`+good+`","cookie":true}`, browser{}.headers()...)
	first := r.browserOf(t, a)
	require.Equal(t, []string{cookieName + "=" + first.cookie + "; Path=/; HttpOnly; Secure; SameSite=Lax"}, a.Header.Values("Set-Cookie"), "no Domain: this host alone; no Max-Age: it ends with the browser")
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	require.NotContains(t, a.object(t), "access_token")
	require.EqualValues(t, 7*24*3600, a.object(t)["expires_in"])
	raw, err := base64.RawURLEncoding.DecodeString(first.cookie)
	require.NoError(t, err)
	require.Len(t, raw, 32)
	second := r.browser(t, "ada@example.com", "")
	require.NotEqual(t, first, second)
	require.Equal(t, 200, r.status(t, first, me))
	for table, text := range r.everything(t) {
		for _, word := range []string{first.cookie, first.csrf, second.cookie, "127.0.0.1", "Gecko"} {
			require.NotContains(t, text, word, table)
		}
	}
	var device string
	var hash []byte
	require.NoError(t, r.root.QueryRow(t.Context(), "SELECT device, hash FROM sessions ORDER BY id LIMIT 1").Scan(&device, &hash))
	require.Equal(t, "Firefox on Linux", device)
	require.Equal(t, secret.HashToken(first.cookie), hash)
	require.NotContains(t, r.log.String(), first.cookie)
	require.NotContains(t, r.log.String(), first.csrf)
	for _, near := range []string{first.cookie[:42], first.cookie + "A", first.cookie[1:] + "A", "", first.csrf, strings.Repeat("A", 43)} {
		require.Equal(t, 401, r.status(t, browser{cookie: near}, me), near)
	}
	require.Equal(t, 401, r.call(t, "GET", me, first.cookie, "").StatusCode, "a session is no token")
	require.Equal(t, 401, r.call(t, "GET", me, "", "", "Cookie", "mailsweep="+first.cookie).StatusCode, "a name that another host could set")
	token := r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"ada@example.com","password":"`+good+`"}`)
	require.Empty(t, token.Header.Values("Set-Cookie"), "only who asks for a cookie gets one")
	require.NotContains(t, token.object(t), "csrf_token")
	require.Equal(t, 401, r.status(t, browser{cookie: token.object(t)["access_token"].(string)}, me), "nor is a token a session")
}

// REG-4, VER-2
func TestNothingIsSignedInBeforeTheAddressIsProven(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	signup := r.call(t, "POST", "/api/v1/auth/signup", "", `{"email":"ada@example.com","password":"`+good+`"}`, browser{}.headers()...)
	require.Equal(t, 202, signup.StatusCode)
	login := r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"ada@example.com","password":"`+good+`","cookie":true}`, browser{}.headers()...)
	problem(t, login, 403, "email_unverified")
	token := r.mailedToken(t, "ada@example.com")
	before := r.everything(t)
	for range 3 { // as scanners of mail do
		for _, path := range []string{"/verify-email", "/api/v1/auth/verify-email"} {
			opened := r.call(t, "GET", path+"?token="+token, "", "")
			require.Empty(t, opened.Header.Values("Set-Cookie"))
			r.call(t, "HEAD", path+"?token="+token, "", "")
		}
	}
	require.Equal(t, before, r.everything(t))
	for _, a := range []answer{signup, login} {
		require.Empty(t, a.Header.Values("Set-Cookie"))
		require.NotContains(t, a.object(t), "access_token")
	}
	require.Empty(t, before["sessions"])
	verified := r.browserOf(t, r.call(t, "POST", "/api/v1/auth/verify-email", "", `{"token":"`+token+`","password":"`+good+`","cookie":true}`, browser{}.headers()...))
	require.Equal(t, 200, r.status(t, verified, me))
}

// SES-2: whatever cookie somebody brings, or was made to bring, a sign-in gives another, and the one before is dead.
func TestEachSignInGivesANewSessionAndEndsTheOneBefore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, "ada@example.com")
	r.member(t, "bob@example.com")
	planted := strings.Repeat("A", 43)
	first := r.browser(t, "ada@example.com", planted)
	require.NotEqual(t, planted, first.cookie)
	require.Equal(t, 401, r.status(t, browser{cookie: planted}, me))
	wrong := r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"ada@example.com","password":"not hers at all","cookie":true}`, first.headers()...)
	require.Equal(t, 401, wrong.StatusCode)
	require.Equal(t, 200, r.status(t, first, me), "who fails to sign in ends nothing")
	second := r.browser(t, "ada@example.com", first.cookie)
	require.NotEqual(t, first.cookie, second.cookie)
	require.Equal(t, 401, r.status(t, first, me))
	bobs := r.browser(t, "bob@example.com", second.cookie)
	require.Equal(t, 401, r.status(t, second, me), "also another customer's")
	require.Equal(t, 200, r.status(t, bobs, me))

	old := r.browser(t, "ada@example.com", "")
	changed := r.browserOf(t, r.call(t, "POST", "/api/v1/auth/password/change", "", `{"current_password":"`+good+`","password":"`+good+`, again"}`, old.headers()...))
	require.Equal(t, []int{401, 200}, []int{r.status(t, old, me), r.status(t, changed, me)})
	require.NotEqual(t, old.cookie, changed.cookie)
}

// SES-2
func TestTheSecondFactorGivesANewSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, "ada@example.com")
	old := r.browser(t, "ada@example.com", "")
	var offered account.FactorOffer
	r.call(t, "POST", "/api/v1/auth/2fa/enrol", "", `{"password":"`+good+`"}`, old.headers()...).into(t, &offered)
	app, err := secret.ReadTOTP(offered.Secret)
	require.NoError(t, err)
	next := func() string {
		_, err := r.root.Exec(t.Context(), "UPDATE second_factors SET last_step = 0")
		require.NoError(t, err)
		code, err := app.Code(time.Now())
		require.NoError(t, err)
		return code
	}
	on := r.browserOf(t, r.call(t, "POST", "/api/v1/auth/2fa/confirm", "", `{"code":"`+next()+`"}`, old.headers()...))
	require.Equal(t, []int{401, 200}, []int{r.status(t, old, me), r.status(t, on, me)})

	owed := r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"ada@example.com","password":"`+good+`","cookie":true}`, on.headers()...)
	problem(t, owed, 401, "totp_required")
	require.Empty(t, owed.Header.Values("Set-Cookie"))
	require.Equal(t, 200, r.status(t, on, me))
	given := r.browserOf(t, r.call(t, "POST", "/api/v1/auth/2fa/verify", "", `{"challenge":"`+owed.object(t)["challenge"].(string)+`","code":"`+next()+`","cookie":true}`, on.headers()...))
	require.Equal(t, []int{401, 200}, []int{r.status(t, on, me), r.status(t, given, me)})
	require.Equal(t, true, r.call(t, "GET", "/api/v1/auth/session", "", "", given.headers()...).object(t)["second_factor"])

	off := r.browserOf(t, r.call(t, "POST", "/api/v1/auth/2fa/disable", "", `{"password":"`+good+`","code":"`+next()+`"}`, given.headers()...))
	require.Equal(t, []int{401, 200}, []int{r.status(t, given, me), r.status(t, off, me)})
	require.Equal(t, false, r.call(t, "GET", "/api/v1/auth/session", "", "", off.headers()...).object(t)["second_factor"])
}

// SES-6
func TestSigningOutLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	b, other := r.browser(t, "ada@example.com", ""), r.browser(t, "ada@example.com", "")
	private := 0
	for path, methods := range parsedSpec(t).Paths {
		if op, ok := methods["get"]; ok && len(op.Security) > 0 {
			a := r.call(t, "GET", strings.ReplaceAll(path, "{id}", "job_1"), "", "", b.headers()...)
			require.Equal(t, "no-store", a.Header.Get("Cache-Control"), path)
			require.NotEqual(t, 401, a.StatusCode, path)
			private++
		}
	}
	require.Greater(t, private, 15)
	out := r.call(t, "POST", "/api/v1/auth/logout", "", "", b.headers()...)
	require.Equal(t, 204, out.StatusCode, string(out.body))
	require.Equal(t, `"cache", "cookies", "storage"`, out.Header.Get("Clear-Site-Data"))
	require.Equal(t, "no-store", out.Header.Get("Cache-Control"))
	require.Equal(t, []string{cookieName + "=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"}, out.Header.Values("Set-Cookie"))
	require.Equal(t, 401, r.status(t, b, me), "the cookie is worth nothing to whoever kept it")
	require.Equal(t, []int{200, 200}, []int{r.status(t, other, me), r.call(t, "GET", me, token, "").StatusCode}, "it ended this session alone")
	var ended int
	require.NoError(t, r.root.QueryRow(t.Context(), "SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL").Scan(&ended))
	require.Equal(t, 1, ended)
	out = r.call(t, "POST", "/api/v1/auth/logout", token, "")
	require.Equal(t, 204, out.StatusCode)
	require.NotEmpty(t, out.Header.Get("Clear-Site-Data"))
	require.Equal(t, []int{401, 401}, []int{r.status(t, other, me), r.call(t, "GET", me, token, "").StatusCode}, "an access token's sign-out ends everything")
	require.Equal(t, http.StatusUnauthorized, r.status(t, b, me))
}

// SES-4: as a page does it.
func TestAPersonSeesTheirSessionsAndEndsThem(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	r.member(t, "eve@example.com")
	first, second, third, eves := r.browser(t, "ada@example.com", ""), r.browser(t, "ada@example.com", ""), r.browser(t, "ada@example.com", ""), r.browser(t, "eve@example.com", "")
	var current struct {
		ID, Device string
		Current    bool
		Customer   account.Me
	}
	a := r.call(t, "GET", "/api/v1/auth/session", "", "", first.headers()...)
	require.Equal(t, 200, a.StatusCode, string(a.body))
	a.into(t, &current)
	require.Equal(t, []any{"Firefox on Linux", true, "ada@example.com", first.csrf}, []any{current.Device, current.Current, current.Customer.Email, a.object(t)["csrf_token"]})
	problem(t, r.call(t, "GET", "/api/v1/auth/session", token, ""), 404, "not_found")
	list := func(b browser) (ids []string) {
		for i, item := range r.call(t, "GET", "/api/v1/sessions", "", "", b.headers()...).object(t)["items"].([]any) {
			view := item.(map[string]any)
			require.Equal(t, view["current"] == true, view["id"] == current.ID, i)
			require.Equal(t, true, view["same_network"])
			ids = append(ids, view["id"].(string))
		}
		return ids
	}
	ids := list(first)
	require.Len(t, ids, 3)
	require.Equal(t, current.ID, ids[2], "those that began later were used later")
	end := func(b browser, id string) answer {
		return r.call(t, "DELETE", "/api/v1/sessions"+id, "", "", b.headers()...)
	}
	for _, id := range []string{ids[0], "ses_00000000000000000000000000000000", "ses_x", strings.Replace(ids[0], "ses_", "job_", 1)} {
		problem(t, end(eves, "/"+id), 404, "not_found")
	}
	require.Equal(t, 204, end(first, "/"+ids[0]).StatusCode)
	problem(t, end(first, "/"+ids[0]), 404, "not_found")
	require.Equal(t, []int{200, 200, 401}, []int{r.status(t, first, me), r.status(t, second, me), r.status(t, third, me)})
	require.Equal(t, 204, end(first, "").StatusCode)
	require.Equal(t, []int{200, 401, 200}, []int{r.status(t, first, me), r.status(t, second, me), r.status(t, eves, me)})
	require.Equal(t, 401, r.call(t, "GET", me, token, "").StatusCode, "access tokens end with the others")
	require.Equal(t, []string{current.ID}, list(first))
	require.Equal(t, 204, end(first, "/"+current.ID).StatusCode, "also one's own")
	require.Equal(t, 401, r.status(t, first, me))
}

// SES-2, IDM-1: who comes by a cookie goes on by a cookie at the other customer, also when the answer is asked for again; the session before is over.
func TestABrowserGoesOnAtAnotherCustomer(t *testing.T) {
	t.Parallel()
	p := newPoster(t)
	bo := p.member(t, "bo@example.com")
	require.Equal(t, 201, p.call(t, "POST", "/api/v1/people/invitations", bo, `{"email":"ada@example.com","role":"viewer","password":"`+good+`"}`).StatusCode)
	invitation := `{"token":"` + p.invited(t, "ada@example.com") + `"}`
	home := p.browser(t, "ada@example.com", "")
	const join = "/api/v1/auth/invitations/join"
	first := p.call(t, "POST", join, "", invitation, home.headers("Idempotency-Key", "k")...)
	there := p.browserOf(t, first)
	p.exec(t, "UPDATE sessions SET ended_at = NULL") // as if the answer had been lost before the one at home ended
	again := p.call(t, "POST", join, "", invitation, home.headers("Idempotency-Key", "k")...)
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	require.Equal(t, there, p.browserOf(t, again))
	require.Equal(t, string(first.body), string(again.body))
	p.exec(t, "UPDATE idempotency_keys SET created_at = created_at - interval '10 minutes'")
	later := p.call(t, "POST", join, "", invitation, home.headers("Idempotency-Key", "k")...)
	require.Empty(t, later.Header.Values("Set-Cookie"))
	require.Equal(t, "[masked]", later.object(t)["csrf_token"])

	customers := p.call(t, "GET", "/api/v1/auth/customers", "", "", there.headers()...).object(t)["items"].([]any)
	require.Equal(t, []any{false, true}, []any{customers[0].(map[string]any)["current"], customers[1].(map[string]any)["current"]})
	back := p.browserOf(t, p.call(t, "POST", "/api/v1/auth/switch", "", `{"customer_id":"`+customers[0].(map[string]any)["id"].(string)+`"}`, there.headers()...))
	require.Equal(t, []int{401, 200}, []int{p.status(t, there, me), p.status(t, back, me)})
	problem(t, p.call(t, "POST", "/api/v1/auth/switch", "", `{"customer_id":"x"}`, back.headers("X-CSRF-Token", there.csrf)...), 403, "cross_site")
}

// Who takes an invitation in a browser proves the login that they have, and gets one session.
func TestAnInvitationTakenInABrowserBeginsOneSession(t *testing.T) {
	t.Parallel()
	p := newPoster(t)
	bo := p.member(t, "bo@example.com")
	require.Equal(t, 201, p.call(t, "POST", "/api/v1/people/invitations", bo, `{"email":"ada@example.com","role":"viewer","password":"`+good+`"}`).StatusCode)
	taken := `{"token":"` + p.invited(t, "ada@example.com") + `","password":"` + good + `","cookie":true}`
	problem(t, p.call(t, "POST", "/api/v1/auth/invitations/accept", "", taken), 403, "cross_site")
	b := p.browserOf(t, p.call(t, "POST", "/api/v1/auth/invitations/accept", "", taken, browser{}.headers()...))
	require.Equal(t, 200, p.status(t, b, me))
	require.Equal(t, 1, p.count(t, "sessions"))
}

// SES-2: a deleted account has no sessions, and begins none.
func TestTheSessionsOfADeletedAccountAreOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, "ada@example.com")
	one, two := r.browser(t, "ada@example.com", ""), r.browser(t, "ada@example.com", "")
	a := r.call(t, "POST", "/api/v1/account/delete", "", `{"password":"`+good+`","confirm":"ada@example.com"}`, one.headers()...)
	require.Equal(t, 200, a.StatusCode, string(a.body))
	require.Equal(t, []int{401, 401}, []int{r.status(t, one, me), r.status(t, two, me)})
	again := r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"ada@example.com","password":"`+good+`","cookie":true}`, browser{}.headers()...)
	require.Equal(t, 403, again.StatusCode, string(again.body))
	require.Empty(t, again.Header.Values("Set-Cookie"))
}
