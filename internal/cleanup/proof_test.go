package cleanup_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// starredLate is a run of one batch of which a message got a star between the look and the call; spoil comes before it is put back.
func starredLate(t *testing.T, seed uint64, spoil func(*customer)) (c *customer, run sweep.JobView, starred string) {
	t.Helper()
	c = newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 500, Seed: seed})
	r := wanted(t, sweep.Trash, everything)
	r.Spec.Protect.Starred = true
	p := c.preview(t, r)
	starred = c.lone(t, c.members(t, p.CleanupPlanID), 1)[0]
	c.wire.at(stop{path: "/messages/batchModify", before: func() { c.relabel(t, starred, "STARRED") }})
	c.wire.at(stop{path: "/messages/batchModify", n: 2, before: func() { spoil(c) }})
	return c, c.submit(t, p.CleanupPlanID), starred
}

func TestAPutBackThatGmailDoesNotAnswerIsTriedUntilItDoes(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]google.Fault{
		"an outage": {Method: "messages.batchModify", Status: 503, HTML503: true, Times: 6},
		"a wait":    {Method: "messages.batchModify", Status: 429, RetryAfter: 90e9, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, run, starred := starredLate(t, 121, func(c *customer) { c.google.Inject(f) })
			c.run(t, c.take(t)[0])
			require.Equal(t, sweep.Waiting, c.job(t, run.ID).State)
			require.Contains(t, c.message(t, starred).Labels, "TRASH")
			c.due(t)
			var res sweep.ExecuteResult
			c.succeeded(t, run, &res)
			require.Equal(t, map[sweep.Reason]int{sweep.ProtectedLate: 1}, res.Skipped.ByReason)
			require.Equal(t, res.Planned-1, res.Cleaned)
			c.addsUp(t, res)
			require.NotContains(t, c.message(t, starred).Labels, "TRASH")
		})
	}
}

func TestWhatCannotBePutBackIsToldAndComesBackWithTheUndo(t *testing.T) {
	t.Parallel()
	c, run, starred := starredLate(t, 122, func(c *customer) {
		require.NoError(t, c.google.Revoke(c.email))
	})
	run = c.finished(t, run)
	require.Equal(t, sweep.Failed, run.State)
	require.Equal(t, sweep.MailboxNeedsReconnect, run.Error.Code)
	res := resultOf(t, run)
	require.Equal(t, map[sweep.Reason]int{sweep.ProtectedLate: 1}, res.Skipped.ByReason)
	require.Equal(t, res.Planned-1, res.Cleaned, "what is protected is not charged")
	c.addsUp(t, res)
	require.Contains(t, c.message(t, starred).Labels, "TRASH")
	c.reconnect(t)
	require.Equal(t, res.Planned, c.undone(t, run.ID).Restored)
	require.NotContains(t, c.message(t, starred).Labels, "TRASH")
	require.Zero(t, c.usage(t).Used)
}
