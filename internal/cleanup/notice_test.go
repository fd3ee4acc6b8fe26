package cleanup_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/mail"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

func TestTheOwnerHearsOfEachRunOfMoreThanAThousandMessages(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 6000, Seed: 95})
	c.onPlan(t, sweep.Pro)
	some := func(n int) (sweep.JobView, sweep.ExecuteResult) {
		r := wanted(t, sweep.MarkRead, `{"unread":true}`)
		v, err := c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Direct: &r, MaxMessages: n, Partial: true}, cleanup.Idempotency{})
		require.NoError(t, err)
		job := c.finished(t, v)
		res := resultOf(t, job)
		require.Equal(t, n, res.Cleaned)
		return job, res
	}
	some(1000)
	require.Zero(t, c.posts.count(mail.CleanupDone))
	job, res := some(1001)
	told := c.posts.of(mail.CleanupDone)
	require.Len(t, told, 1)
	require.WithinDuration(t, res.UndoUntil, told[0].UndoUntil, 0)
	told[0].UndoUntil = res.UndoUntil
	require.Equal(t, mail.Data{Mailbox: "one@gmail.example", Action: "mark_read", State: "succeeded", JobID: job.ID, Cleaned: 1001, UndoUntil: res.UndoUntil}, told[0])
}
