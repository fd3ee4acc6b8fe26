package cleanup_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// day lets so many percent of the Google project's day be booked, which ends in an hour.
func (r *rig) day(percent int64) (ends time.Time) {
	ends = time.Now().Add(time.Hour)
	r.runner.Budget = sweep.DayBudget{Units: 1000}
	r.runner.Booked = func(context.Context) (int64, time.Time) { return percent * 10, ends }
	return ends
}

// putOffIs runs a job once and wants it to wait for the next day, with nothing asked of Gmail and nobody charged.
func (c *customer) putOffIs(t *testing.T, v sweep.JobView, ends time.Time) {
	t.Helper()
	before, used := c.unitsCharged(t), c.usage(t).Used
	for _, d := range c.take(t) {
		c.run(t, d)
	}
	v = c.job(t, v.ID)
	require.Equal(t, sweep.Waiting, v.State)
	require.Contains(t, v.Phase, "put off")
	require.NotNil(t, v.WaitingUntil)
	last := map[sweep.JobKind]time.Duration{sweep.Analyze: time.Hour}[v.Kind]
	require.WithinRange(t, *v.WaitingUntil, ends.Add(-5*time.Second), ends.Add(max(last, 10*time.Minute)+5*time.Second))
	require.Equal(t, before, c.unitsCharged(t), "Gmail was asked")
	require.Empty(t, c.take(t), "it is handed out before its time")
	require.Equal(t, used, c.usage(t).Used)
}

func TestNearTheDaysEndNewWorkWaitsForTheNextAndUndoDoesNot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.customer(t, "one@gmail.example", google.Generate{Messages: 300, Seed: 91})
	r.day(0)
	c.analyzed(t)
	r.day(98)
	analysis, err := c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{}, cleanup.Idempotency{})
	require.NoError(t, err)
	c.putOffIs(t, analysis, r.day(90))
	c.due(t)
	c.putOffIs(t, analysis, r.day(99)) // a day later there is no room either
	c.due(t)
	r.day(0)
	require.Equal(t, sweep.Succeeded, c.finished(t, analysis).State)

	dry, err := c.SubmitDryRun(t.Context(), c.Actor, wanted(t, sweep.Trash, everything), cleanup.Idempotency{})
	require.NoError(t, err)
	c.putOffIs(t, dry, r.day(95))
	c.due(t)
	r.day(0)
	var plan sweep.DryRunResult
	c.succeeded(t, dry, &plan)

	earlier := c.preview(t, wanted(t, sweep.MarkRead, everything))
	marked, _ := c.executed(t, earlier.CleanupPlanID)
	run := c.submit(t, plan.CleanupPlanID)
	used := c.usage(t).Used
	c.putOffIs(t, run, r.day(98))
	c.undone(t, marked) // the lane is free for it
	require.Less(t, c.usage(t).Used, used)
	require.Equal(t, sweep.Waiting, c.job(t, run.ID).State)
	require.Equal(t, plan.ToClean, c.usage(t).Reserved, "what is promised stays promised")
	c.due(t)
	r.day(0)
	before := c.digest(t)
	var res sweep.ExecuteResult
	c.succeeded(t, run, &res)
	require.Equal(t, plan.ToClean, res.Cleaned)
	r.day(100)
	require.Equal(t, res.Cleaned, c.undone(t, run.ID).Restored)
	require.Equal(t, before, c.digest(t))
}

func TestWhatWasPutOffDoesNotGoOnAllAtOnce(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 3, Seed: 93})
	v, err := c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{}, cleanup.Idempotency{})
	require.NoError(t, err)
	after := map[time.Duration]bool{}
	for range 5 {
		ends := c.day(90)
		c.putOffIs(t, v, ends)
		after[c.job(t, v.ID).WaitingUntil.Sub(ends).Round(time.Second)] = true
		c.due(t)
	}
	require.Greater(t, len(after), 2, "of an hour's seconds")
}

// What is reserved is not stopped by time: the plan was good when its execute was admitted.
func TestAPlanThatExpiresWhileItsRunIsPutOffIsExecutedAllTheSame(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 94)
	c.putOffIs(t, run, c.day(98))
	c.exec(t, "UPDATE cleanup_plans SET expires_at = now() - interval '3 days' WHERE customer_id = $1", c.Customer.String())
	c.due(t)
	c.day(0)
	c.whole(t, c.finished(t, run), plan)
}

// What has begun is not torn: another worker goes on with it however much of the day is booked.
func TestARunThatHasBegunGoesOnWhateverIsBooked(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 92)
	c.day(0)
	asked := 0
	c.runner.Booked = func(context.Context) (int64, time.Time) {
		asked++
		return 1000 * int64(min(1, asked-1)), time.Now().Add(time.Hour) // nothing at the first claim, all of it from then on
	}
	c.lostAt(t, run, stop{path: "/messages/batchModify", n: 1}, true)
	c.whole(t, c.finished(t, run), plan)
}
