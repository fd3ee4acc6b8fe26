package httpapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/mail"
)

// RST-1, RST-5, RST-6
func TestAForgottenPasswordIsSetAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old := r.member(t, "ada@example.com")
	var said []string
	for _, email := range []string{"ada@example.com", "nobody@example.com"} {
		a := r.call(t, "POST", "/api/v1/auth/password/forgot", "", `{"email":"`+email+`"}`,
			"X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example", "X-Original-Host", "evil.example", "X-Host", "evil.example", "Origin", "https://evil.example", "Referer", "https://evil.example/")
		require.Equal(t, 202, a.StatusCode)
		said = append(said, string(a.body))
	}
	require.Equal(t, said[0], said[1])
	r.deliverAll(t)
	token := ""
	for _, m := range r.sink.Messages() {
		require.NotContains(t, m.Text+m.HTML, "evil.example")
		if m.Kind == string(mail.PasswordReset) {
			require.Equal(t, []string{"ada@example.com"}, m.To)
			token = strings.TrimPrefix(strings.Fields(m.Text[strings.Index(m.Text, page+"/reset-password"):])[0], page+"/reset-password?token=")
		}
	}
	weak := r.call(t, "POST", "/api/v1/auth/password/reset", "", `{"token":"`+token+`","password":"short"}`)
	problem(t, weak, 422, "invalid_request")
	done := r.call(t, "POST", "/api/v1/auth/password/reset", "", `{"token":"`+token+`","password":"a brand new otter song"}`)
	require.Equal(t, 200, done.StatusCode, string(done.body))
	require.Equal(t, "no-referrer", done.Header.Get("Referrer-Policy"))
	require.Equal(t, "no-store", done.Header.Get("Cache-Control"))
	require.Empty(t, done.Header.Values("Set-Cookie"))
	require.NotContains(t, done.object(t), "access_token")
	require.Equal(t, 401, r.call(t, "GET", "/api/v1/auth/me", old, "").StatusCode)
	problem(t, r.call(t, "POST", "/api/v1/auth/password/reset", "", `{"token":"`+token+`","password":"a brand new otter song"}`), 400, "invalid_request")
	login := r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"ada@example.com","password":"a brand new otter song","device":"`+done.object(t)["device"].(string)+`"}`)
	require.Equal(t, 200, login.StatusCode, string(login.body))
	changed := r.call(t, "POST", "/api/v1/auth/password/change", login.object(t)["access_token"].(string), `{"current_password":"a brand new otter song","password":"yet another otter song"}`)
	require.Equal(t, 200, changed.StatusCode, string(changed.body))
	require.Equal(t, 401, r.call(t, "GET", "/api/v1/auth/me", login.object(t)["access_token"].(string), "").StatusCode)
	require.Equal(t, 200, r.call(t, "GET", "/api/v1/auth/me", changed.object(t)["access_token"].(string), "").StatusCode)
}
