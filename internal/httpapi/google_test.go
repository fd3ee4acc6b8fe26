package httpapi_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
)

// fromGoogle begins a sign-in, walks to Google and back, and gives what is sent to complete it.
func (r *rig) fromGoogle(t *testing.T) (body string, started account.GoogleStart, back url.Values) {
	t.Helper()
	a := r.call(t, "POST", "/api/v1/auth/google/start", "", "")
	require.Equal(t, 200, a.StatusCode, string(a.body))
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	a.into(t, &started)
	back = consent(t, started.AuthorizeURL)
	return fmt.Sprintf(`{"ticket":%q,"state":%q,"code":%q}`, started.Ticket, back.Get("state"), back.Get("code")), started, back
}

// OIDC-1: over HTTP, as a client without pages does it.
func TestGoogleSignsUpInAndIsUnlinked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body, started, back := r.fromGoogle(t)
	shown := r.call(t, "GET", "/oauth/google/sign-in?"+back.Encode(), "", "")
	require.Equal(t, 200, shown.StatusCode, string(shown.body))
	require.Contains(t, string(shown.body), back.Get("code"))
	require.NotContains(t, string(shown.body), started.State)
	require.Equal(t, "no-store", shown.Header.Get("Cache-Control"))
	require.Equal(t, "no-referrer", shown.Header.Get("Referrer-Policy"))
	require.Contains(t, shown.Header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Empty(t, shown.Header.Values("Set-Cookie"))
	done := r.call(t, "POST", "/api/v1/auth/google/complete", "", body)
	require.Equal(t, 200, done.StatusCode, string(done.body))
	require.Equal(t, "no-store", done.Header.Get("Cache-Control"))
	token := done.object(t)["access_token"].(string)
	require.Equal(t, gmailAddress, r.call(t, "GET", "/api/v1/auth/me", token, "").object(t)["email"])
	problem(t, r.call(t, "POST", "/api/v1/auth/google/complete", "", body), 401, "unauthenticated")
	require.Equal(t, map[string]any{"google": true, "password": false}, r.call(t, "GET", "/api/v1/auth/ways-in", token, "").object(t))
	problem(t, r.call(t, "POST", "/api/v1/auth/google/unlink", token, `{"password":"`+good+`"}`), 409, "conflict")
	for _, secret := range []string{started.Ticket, started.State, back.Get("code"), gmailAddress} {
		require.Empty(t, r.log.With(secret), "in the log")
	}
}

// OIDC-1
func TestAPasswordsAccountIsLinkedOnceProven(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, gmailAddress)
	body, started, _ := r.fromGoogle(t)
	asked := problem(t, r.call(t, "POST", "/api/v1/auth/google/complete", "", body), 401, "link_required")
	require.Equal(t, gmailAddress, asked["email"])
	link := func(password string) answer {
		return r.call(t, "POST", "/api/v1/auth/google/link", "", fmt.Sprintf(`{"ticket":%q,"email":%q,"password":%q}`, started.Ticket, gmailAddress, password))
	}
	problem(t, link("not the password"), 401, "unauthenticated")
	linked := link(good)
	require.Equal(t, 200, linked.StatusCode, string(linked.body))
	body, _, _ = r.fromGoogle(t)
	again := r.call(t, "POST", "/api/v1/auth/google/complete", "", body)
	require.Equal(t, 200, again.StatusCode, string(again.body))
	gone := r.call(t, "POST", "/api/v1/auth/google/unlink", again.object(t)["access_token"].(string), `{"password":"`+good+`"}`)
	require.Equal(t, 200, gone.StatusCode, string(gone.body))
	require.Equal(t, map[string]any{"google": false, "password": true}, r.call(t, "GET", "/api/v1/auth/ways-in", gone.object(t)["access_token"].(string), "").object(t))
}

func TestAWayBackFromGoogleThatFailedSaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, query := range []string{"error=access_denied&state=s", "error=access_denied&state=s&code=c", "code=c", "state=s", ""} {
		a := r.call(t, "GET", "/oauth/google/sign-in?"+query, "", "")
		require.Equal(t, 200, a.StatusCode)
		require.Contains(t, string(a.body), "Nobody was signed in", query)
		require.NotContains(t, string(a.body), "<code>", query)
	}
	a := r.call(t, "GET", "/oauth/google/sign-in?state=s&code=%3Cscript%3E", "", "")
	require.NotContains(t, string(a.body), "<script>")
	pages := newRig(t, func(r *rig) { r.DashboardURL = page })
	a = pages.call(t, "GET", "/oauth/google/sign-in?state=s&code=c", "", "")
	require.Equal(t, 302, a.StatusCode)
	require.Equal(t, page+"/sign-in/google?code=c&state=s", a.Header.Get("Location"))
}
