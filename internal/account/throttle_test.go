package account_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

// THR-1: the failures of one account, known or not, are counted over all processes, and the waits that follow double up to 900 s.
func TestTheWaitsOfAnAccountDoubleOverTwoProcesses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Limits.LoginWait = 100 * time.Second
	r.member(t, ada)
	processes, tries := []*account.Service{r.Service, r.instance(t, testKey)}, 0
	failures := func() int { return r.count(t, "SELECT count(*) FROM security_events WHERE kind = 'login.failed'") }
	for _, email := range []string{ada, "nobody@example.com"} {
		hashes := func() int {
			before := failures()
			tries++
			_, err := processes[tries%2].Login(t.Context(), email, "wrong password", "", account.Client{IP: netip.AddrFrom4([4]byte{10, byte(tries), 0, 1})})
			require.Equal(t, sweep.Unauthenticated, code(err))
			return failures() - before
		}
		for range 4 {
			require.Equal(t, 1, hashes())
		}
		for _, wait := range []int64{100, 200, 400, 800, 900, 900} {
			require.Equal(t, 1, hashes(), "before %d s", wait)
			left := r.waits(t)
			require.LessOrEqual(t, left, wait)
			require.Greater(t, left, wait-80)
			for range processes {
				require.Zero(t, hashes(), "one process tries before %d s are over", wait)
			}
			r.waited(t)
		}
		r.afterAMinute(t)
	}
	_, err := r.Login(t.Context(), ada, good, "", r.client)
	require.NoError(t, err)
}

// waits is how many seconds the one account that failed has to wait, by the clock of Redis.
func (r *rig) waits(t *testing.T) int64 {
	t.Helper()
	now, err := r.Requests.Redis.Time(t.Context()).Result()
	require.NoError(t, err)
	until, err := r.Requests.Redis.HGet(t.Context(), r.waiting(t), "until").Int64()
	require.NoError(t, err)
	return int64(time.UnixMicro(until).Sub(now).Seconds())
}

// waited lets the wait go by.
func (r *rig) waited(t *testing.T) {
	t.Helper()
	require.NoError(t, r.Requests.Redis.HSet(t.Context(), r.waiting(t), "until", 0).Err())
}

func (r *rig) waiting(t *testing.T) string {
	t.Helper()
	keys, err := r.Requests.Redis.Keys(t.Context(), "*:waits:login:*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	return keys[0]
}
