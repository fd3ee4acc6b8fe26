package httpapi_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Invented cookies and keys, well formed, are looked up as long as their address has requests left, and cost the database nothing from then on, however
// many come at once. Who is known goes on from the same address.
func TestInventedCredentialsCostTheDatabaseNoMoreThanTheirAddressMayAsk(t *testing.T) {
	t.Parallel()
	const allowed = 20
	for what, invent := range map[string]func() (token string, headers []string){
		"cookie": func() (string, []string) {
			cookie, _ := secret.NewToken()
			return "", []string{"Cookie", cookieName + "=" + cookie, "Sec-Fetch-Site", "same-origin"}
		},
		"key": func() (string, []string) {
			key, _, _ := secret.NewAPIKey()
			return key, nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var statements, looked, refused atomic.Int64
			r := newRig(t, func(r *rig) {
				r.AnonymousPerMinute = allowed
				r.told = func(context.Context, store.Statement) { statements.Add(1) }
			})
			token := r.member(t, "ada@example.com")
			r.exec(t, "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1")
			_, key := r.apiKey(t, token, sweep.ScopeRead)
			page := r.browser(t, "ada@example.com", "")
			known := func() {
				require.Equal(t, 200, r.call(t, "GET", "/api/v1/auth/me", "", "", page.headers()...).StatusCode, "a session that is known")
				require.Equal(t, 200, r.call(t, "GET", "/api/v1/mailboxes", key, "").StatusCode, "a key that is known")
			}
			known()
			try := func() {
				token, headers := invent()
				switch answer := r.call(t, "GET", "/api/v1/mailboxes", token, "", headers...); answer.StatusCode {
				case 401:
					looked.Add(1)
				case 429:
					refused.Add(1)
				default:
					t.Errorf("%d: %s", answer.StatusCode, answer.body)
				}
			}
			before, began := statements.Load(), time.Now()
			try()
			each := statements.Load() - before
			require.NotZero(t, each)
			var all sync.WaitGroup
			for range 5 * allowed {
				all.Go(try)
			}
			all.Wait()
			require.LessOrEqual(t, looked.Load(), allowed+int64(time.Since(began)/(time.Minute/allowed))+1)
			require.Equal(t, looked.Load()*each, statements.Load()-before, "of %d that were refused some were looked up", refused.Load())
			require.NotZero(t, refused.Load())
			known()
		})
	}
}
