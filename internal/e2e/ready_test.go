package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/dev/local"
)

// readiness is what a process says of itself: its status and the state of a dependency.
func (r *rig) readiness(t *testing.T, base, dependency string) (status int, word, state string) {
	t.Helper()
	res, err := http.Get(base + "/health/ready")
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	var said struct {
		Status any               `json:"status"`
		Checks map[string]string `json:"checks"`
	}
	require.NoError(t, json.Unmarshal(body, &said), string(body))
	word, _ = said.Status.(string)
	return res.StatusCode, word, said.Checks[dependency]
}

// SRV-3: each dependency is stopped and started. From two seconds after the stop on an API says that it is not ready, without Redis that it is
// degraded; from five seconds after it is back on it is ready. It is alive all the while, and tells no address.
func TestReadinessFollowsWhatTheAPINeeds(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	for _, c := range []struct {
		name   string
		server *local.Server
		status int
		word   string
	}{{"postgres", r.Services.Postgres, 503, ""}, {"redis", r.Services.Redis, 200, "degraded"}} {
		until(t, patience, "ready", func() bool { s, word, _ := r.readiness(t, r.API, c.name); return s == 200 && word == "ready" })
		for _, end := range []func(){func() { require.NoError(t, c.server.Stop()) }, c.server.Kill} {
			end()
			r.asking(t, 2*time.Second)
			status, word, state := r.readiness(t, r.API, c.name)
			require.Equal(t, []any{c.status, "unavailable"}, []any{status, state}, c.name)
			require.True(t, status == 503 || word == c.word, "%s: %s", c.name, word)
			status, _, _ = r.readiness(t, r.WorkerOps, c.name)
			require.Equal(t, 503, status, "a worker needs both")
			res, err := http.Get(r.API + "/health")
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, 200, res.StatusCode, "alive")
			require.NoError(t, c.server.Restart(t.Context()))
			r.asking(t, 5*time.Second)
			status, word, state = r.readiness(t, r.API, c.name)
			require.Equal(t, []any{200, "ready", "ok"}, []any{status, word, state}, "%s is back", c.name)
			status, _, _ = r.readiness(t, r.WorkerOps, c.name)
			require.Equal(t, 200, status)
		}
	}
}

// asking asks all the while for as long as the requirement gives: what is asked then has one right answer, however slow the machine is.
func (r *rig) asking(t *testing.T, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		r.readiness(t, r.API, "")
		r.readiness(t, r.WorkerOps, "")
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the test has ended")
		}
	}
}
