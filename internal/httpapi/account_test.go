package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/gmail"
	"mailsweep/internal/sim/google"
)

// GDP-2
func TestAnOwnerDeletesTheAccountOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	_, key := r.apiKey(t, token, "read")
	r.connect(t, token)
	body := func(password, confirm string) string {
		return `{"password":"` + password + `","confirm":"` + confirm + `"}`
	}
	require.Equal(t, 403, r.call(t, "POST", "/api/v1/account/delete", key, body(good, "ada@example.com")).StatusCode)
	require.Equal(t, 401, r.call(t, "POST", "/api/v1/account/delete", token, body("wrong "+good, "ada@example.com")).StatusCode)
	require.Equal(t, 422, r.call(t, "POST", "/api/v1/account/delete", token, body(good, "ben@example.com")).StatusCode)
	require.Equal(t, 200, r.call(t, "GET", "/api/v1/auth/me", token, "").StatusCode)
	a := r.call(t, "POST", "/api/v1/account/delete", token, body(good, "ada@example.com"))
	require.Equal(t, 200, a.StatusCode, string(a.body))
	require.NotEmpty(t, a.object(t)["purge_at"])
	require.Equal(t, 401, r.call(t, "GET", "/api/v1/auth/me", token, "").StatusCode)
	a = r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"ada@example.com","password":"`+good+`"}`)
	require.Equal(t, "account_deleted", a.object(t)["code"])
}

// tell posts a body to the receiver of Google's security events, which answers by Google's protocol and not by our document.
func (r *rig) tell(t *testing.T, media, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/webhooks/google/security", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", media)
	a, err := read(req)
	require.NoError(t, err)
	return a
}

// The simulated Google tells of a revocation by its own protocol.
func TestGooglesSecurityEventsAreTakenByTheirProtocol(t *testing.T) {
	t.Parallel()
	sim := google.New(google.Config{ClientID: "cid", ClientSecret: "cs"})
	_, err := sim.AddGenerated(gmailAddress, google.Generate{Messages: 5, Seed: 1})
	require.NoError(t, err)
	s := httptest.NewServer(sim)
	t.Cleanup(s.Close)
	r := newRig(t, func(r *rig) {
		r.Account.ClientID = "cid"
		r.Account.OAuth = &gmail.OAuth{Config: gmail.Config{ClientID: "cid", ClientSecret: "cs", RedirectURL: "https://api.example/oauth/google/callback",
			AuthURL: s.URL + "/o/oauth2/v2/auth", TokenURL: s.URL + "/token", CertsURL: s.URL + "/oauth2/v3/certs"}}
	})
	token := r.member(t, "ada@example.com")
	r.connect(t, token)
	_, err = r.root.Exec(t.Context(), "UPDATE mailboxes SET consented_at = now() - interval '1 minute'")
	require.NoError(t, err)
	state := func() string {
		a := r.call(t, "GET", "/api/v1/mailboxes", token, "")
		return a.object(t)["items"].([]any)[0].(map[string]any)["state"].(string)
	}
	good, err := sim.SecurityEventToken(gmailAddress, "tokens-revoked", "")
	require.NoError(t, err)
	for name, bad := range map[string][2]string{"forged": {"application/secevent+jwt", good[:len(good)-6] + "AAAAAA"}, "as JSON": {"application/json", good}, "empty": {"application/secevent+jwt", ""}} {
		a := r.tell(t, bad[0], bad[1])
		require.Equal(t, 400, a.StatusCode, name)
		require.Equal(t, "application/json", strings.Split(a.Header.Get("Content-Type"), ";")[0], name)
		require.Contains(t, []any{"invalid_request", "invalid_key"}, a.object(t)["err"], name)
		require.NotEmpty(t, a.object(t)["description"], name)
	}
	require.Equal(t, "active", state())
	for range 2 {
		a := r.tell(t, "application/secevent+jwt", good)
		require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
		require.Empty(t, a.body)
		require.Equal(t, "needs_reconnect", state())
	}
	require.NotContains(t, r.log.String(), good[len(good)-40:])
	status, err := sim.TellSecurityEvent(gmailAddress, "account-disabled", "hijacking", r.url+"/webhooks/google/security")
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, status)
}
