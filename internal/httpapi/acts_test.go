package httpapi_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

// AUD-3, IDM-2: the database's connections are broken and callers hang up at random moments, over acts of several kinds. Of each act there is one audit row,
// and of each keyed one its answer; who repeats a request until it is answered has it done once.
func TestActsTheirAuditRowsAndTheirAnswersStandOrFallTogether(t *testing.T) {
	t.Parallel()
	p := newPoster(t)
	p.Account.Limits.LoginFailures = 1_000_000
	p.connect(t, p.token)
	dice := rand.New(rand.NewPCG(1, 2))
	var broken atomic.Int32
	stop := p.breaking(t, &broken)
	rounds := 0
	for i := 0; i < 15 || broken.Load() < 5 && i < 300; i++ {
		rounds++
		patience := time.Duration(dice.IntN(30)) * time.Millisecond
		var all sync.WaitGroup
		for n, c := range [][3]string{
			{"POST", "/api/v1/api-keys", fmt.Sprintf(`{"name":"key %d","scopes":["read"],"password":%q}`, i, good)},
			{"POST", "/api/v1/mailboxes/connect", ""},
			{"POST", "/api/v1/gmail/cleanup/dry-run", `{"action":"archive","criteria":` + promotions + `}`},
			{"DELETE", "/api/v1/api-keys/" + p.inForce(t), ""},
		} {
			all.Go(func() { p.insist(t, c[0], c[1], c[2], fmt.Sprintf("%d-%d", n, i), patience) })
		}
		all.Wait()
		p.exec(t, "DELETE FROM open_jobs") // twenty may be open at once
	}
	stop()
	require.GreaterOrEqual(t, broken.Load(), int32(5), "connections that were broken")
	for _, same := range [][2]string{
		{"api_keys", "audit_logs WHERE action = 'api_key.made'"},
		{"api_keys", "idempotency_keys WHERE route = 'make-api-key'"},
		{"api_keys WHERE revoked_at IS NOT NULL", "audit_logs WHERE action = 'api_key.revoked'"},
		{"jobs", "audit_logs WHERE action = 'job.dry_run'"},
		{"jobs", "idempotency_keys WHERE route = 'dry-run'"},
	} {
		require.Equal(t, p.count(t, same[0]), p.count(t, same[1]), "%s, %s", same[0], same[1])
	}
	require.Equal(t, []int{rounds, rounds, rounds - 1}, []int{p.count(t, "api_keys"), p.count(t, "jobs"), p.count(t, "api_keys WHERE revoked_at IS NOT NULL")})
	t.Logf("%d connections broken over %d requests that were repeated until they were answered", broken.Load(), 4*rounds)
}

// inForce is the id of an API key in force; of none when there is none.
func (p *poster) inForce(t *testing.T) string {
	var id string
	require.NoError(t, p.root.QueryRow(t.Context(), "SELECT coalesce(min(id::text), $1) FROM api_keys WHERE revoked_at IS NULL", sweep.ID{}.String()).Scan(&id))
	return "key_" + strings.ReplaceAll(id, "-", "")
}

// insist sends a request until it is answered with success. The first tries hang up early.
func (p *poster) insist(t *testing.T, method, path, body, key string, patience time.Duration) {
	for try := 0; ; try++ {
		ctx, cancel := t.Context(), context.CancelFunc(func() {})
		if try < 2 {
			ctx, cancel = context.WithTimeout(t.Context(), patience)
		}
		status := p.send(ctx, method, path, body, key)
		cancel()
		if status >= 200 && status < 300 || status == http.StatusNotFound && method == "DELETE" {
			return
		}
		if status != 0 && status != http.StatusConflict && status < 500 || t.Context().Err() != nil {
			t.Errorf("%s %s: %d", method, path, status)
			return
		}
	}
}

// send gives the status, or 0 when no answer came.
func (p *poster) send(ctx context.Context, method, path, body, key string) int {
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return -1
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Idempotency-Key", key)
	res, err := plain.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

// breaking ends connections of the API in the middle of what they do, one after another, until it is told to stop.
func (r *rig) breaking(t *testing.T, broken *atomic.Int32) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	conn := r.another(t)
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			var n int32
			err := conn.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'mailsweep_app'
				AND (state = 'idle in transaction' OR state = 'active') AND query NOT ILIKE 'listen%' ORDER BY random() LIMIT 1) busy, pg_sleep(0.05)`).Scan(&n)
			if err == nil {
				broken.Add(n)
			}
		}
	}()
	return func() { cancel(); <-done }
}
