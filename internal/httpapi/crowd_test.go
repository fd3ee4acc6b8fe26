package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/testkit"
)

// PWD-8: while 50 people sign in, behind a gate that lets one hash run, the health check is answered: it waits for nothing of
// theirs. (How fast is a figure: make bench ONLY=logins.)
func TestTheHealthCheckDoesNotWaitForWhoSignsIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Account.Passwords.Slots, r.Account.Passwords.Patience, r.Account.Passwords.Cost = 1, time.Hour, 13
	r.Account.Limits.LoginFailuresPerIP, r.Account.Limits.LoginFailuresPerNet = 1000, 1000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sent, over atomic.Int32
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/api/v1/auth/login", strings.NewReader(fmt.Sprintf(`{"email":"nobody%d@example.com","password":%q}`, i, good)))
			if err != nil {
				return
			}
			req.Header.Set("Content-Type", "application/json")
			sent.Add(1)
			if res, err := plain.Do(req); err == nil {
				over.Add(1)
				_ = res.Body.Close()
			}
		})
	}
	testkit.Eventually(t, patience, func() bool { return sent.Load() == 50 }, "all have come")
	for range 10 {
		require.Equal(t, 200, r.call(t, "GET", "/health", "", "").StatusCode)
		require.Equal(t, 200, r.call(t, "GET", "/health/ready", "", "").StatusCode)
	}
	require.Less(t, over.Load(), int32(50), "it was answered while people waited")
	cancel()
	all.Wait()
}
