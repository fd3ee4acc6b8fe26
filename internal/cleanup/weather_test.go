package cleanup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// Whatever ends a claim early in the middle of finding senders, no message is read again.
func TestAnAnalysisThatWaitsKeepsWhatItHasRead(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 200, Seed: 310})
	for nth := 50; nth <= 150; nth += 50 {
		c.google.Inject(google.Fault{Method: "messages.get", Status: 429, RetryAfter: 90 * time.Second, Nth: nth, Times: 1})
	}
	v, err := c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{}, cleanup.Idempotency{})
	require.NoError(t, err)
	c.run(t, c.take(t)[0])
	require.Equal(t, sweep.Waiting, c.job(t, v.ID).State)
	var a sweep.Analysis
	c.succeeded(t, v, &a)
	c.sendersEqual(t, a)
	l, err := c.google.Ledger(c.email)
	require.NoError(t, err)
	require.LessOrEqual(t, l.Calls["messages.get"], a.Messages+3*parallel)
}
