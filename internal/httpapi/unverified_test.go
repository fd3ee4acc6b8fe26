package httpapi_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// VER-3: whoever has not proven the address gets no token; and a token, had they one, connects, executes and makes nothing.
func TestNobodyUnverifiedConnectsExecutesOrMakesKeys(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const login = `{"email":"bo@example.com","password":"` + good + `"}`
	require.Equal(t, 202, r.call(t, "POST", "/api/v1/auth/signup", "", login).StatusCode)
	problem(t, r.call(t, "POST", "/api/v1/auth/login", "", login), 403, "email_unverified")

	token := r.member(t, "ada@example.com")
	r.connect(t, token)
	_, key := r.apiKey(t, token, "execute")
	r.exec(t, "UPDATE users SET verified_at = NULL")
	require.Eventually(t, func() bool { return r.call(t, "GET", "/api/v1/auth/me", token, "").StatusCode == 401 }, patience, 20*time.Millisecond)
	require.Eventually(t, func() bool {
		return r.call(t, "POST", "/api/v1/gmail/cleanup/execute", key, `{"action":"archive","criteria":`+promotions+`,"max_messages":10}`).StatusCode == 401
	}, patience, 20*time.Millisecond)
	r.exec(t, "DELETE FROM jobs")
	r.exec(t, "DELETE FROM open_jobs")
	before := r.everything(t)
	for _, c := range [][2]string{
		{"/api/v1/mailboxes/connect", ""},
		{"/api/v1/gmail/cleanup/execute", `{"action":"archive","criteria":` + promotions + `,"max_messages":10}`},
		{"/api/v1/api-keys", `{"name":"test","scopes":["read"],"password":"` + good + `"}`},
	} {
		problem(t, r.call(t, "POST", c[0], token, c[1]), 401, "unauthenticated")
		problem(t, r.call(t, "POST", c[0], key, c[1]), 401, "unauthenticated")
	}
	require.Equal(t, before, r.everything(t))
}
