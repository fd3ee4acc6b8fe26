package httpapi_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

// TEN-9: what is counted in Redis is counted under one customer's id, person, key or address, or for a network or everybody together.
func TestKeysInRedisAreOneCustomersEach(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	signs := map[string][]string{}
	for _, email := range []string{"ada@example.com", "bob@example.com"} {
		token := r.member(t, email)
		r.exec(t, "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1")
		keyID, key := r.apiKey(t, token, sweep.ScopeRead)
		me := r.call(t, "GET", "/api/v1/auth/me", token, "").object(t)
		require.Equal(t, 200, r.call(t, "GET", "/api/v1/jobs", key, "").StatusCode)
		problem(t, r.call(t, "GET", "/api/v1/jobs/job_"+strings.Repeat("0", 32), token, ""), 404, "not_found")
		problem(t, r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"`+email+`","password":"a wrong phrase"}`), 401, "unauthenticated")
		problem(t, r.call(t, "POST", "/api/v1/auth/password/change", token, `{"current_password":"a wrong phrase","password":"`+good+` again"}`), 401, "unauthenticated")
		require.Equal(t, 202, r.call(t, "POST", "/api/v1/auth/password/forgot", "", `{"email":"`+email+`"}`).StatusCode)
		for kind, shown := range map[sweep.Kind]string{sweep.CustomerID: me["id"].(string), sweep.UserID: me["user_id"].(string), sweep.KeyID: keyID} {
			id, err := kind.Parse(shown)
			require.NoError(t, err)
			signs[email] = append(signs[email], id.String())
		}
		signs[email] = append(signs[email], hex.EncodeToString(r.Account.Pseudonym.Of("email", email)))
	}
	everybodys := []string{"signup:", "forgot:ip:", "login:ip:", "login:net:"} // by network, or of all together
	keys, err := r.Requests.Redis.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Greater(t, len(keys), 8)
	found := map[string][]string{}
	for _, key := range keys {
		var of []string
		for email, ids := range signs {
			for _, id := range ids {
				if strings.Contains(key, id) {
					of = append(of, email)
					break
				}
			}
		}
		if len(of) == 0 {
			_, name, _ := strings.Cut(key, ":")
			shared := false
			for _, prefix := range everybodys {
				shared = shared || strings.HasPrefix(name, prefix)
			}
			require.True(t, shared, "whose is %s?", key)
			continue
		}
		require.Len(t, of, 1, key)
		found[of[0]] = append(found[of[0]], key)
	}
	require.Greater(t, len(found["ada@example.com"]), 4)
	require.Len(t, found["bob@example.com"], len(found["ada@example.com"]), "%v", found)
}
