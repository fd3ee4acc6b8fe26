package cleanup_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// order is what a worker may be told in the middle of a job, and how the job stands once it has obeyed.
type order struct {
	give func(c *customer, t *testing.T, job string, quit func())
	then sweep.JobState
	goOn func(c *customer, t *testing.T, job string)
}

func orders() map[string]order {
	var halt string
	nothing := func(*customer, *testing.T, string) {}
	return map[string]order{
		"cancel": {func(c *customer, t *testing.T, job string, _ func()) {
			_, err := c.Cancel(context.Background(), c.Actor, jobID(t, job))
			require.NoError(t, err)
		}, sweep.Canceled, nil},
		"pause": {func(c *customer, t *testing.T, job string, _ func()) {
			_, err := c.Pause(context.Background(), c.Actor, jobID(t, job))
			require.NoError(t, err)
		}, sweep.Waiting, func(c *customer, t *testing.T, job string) {
			_, err := c.Resume(t.Context(), c.Actor, jobID(t, job))
			require.NoError(t, err)
		}},
		"halt": {func(c *customer, t *testing.T, _ string, _ func()) { halt = c.halt(t, "all", "") }, sweep.Waiting,
			func(c *customer, t *testing.T, _ string) { c.lift(t, halt); c.due(t) }},
		"shutdown": {func(_ *customer, _ *testing.T, _ string, quit func()) { quit() }, sweep.Queued, nothing},
	}
}

// told runs a job and gives the order at a place of the wire. It says how many calls of the place's kind went on after it was heard, this one
// included.
func (c *customer) told(t *testing.T, job sweep.JobView, o order, at stop) (after int) {
	t.Helper()
	ctx, quit := context.WithCancel(context.Background())
	defer quit()
	calls := c.asked(at.path)
	before := -1
	at.before = func() {
		o.give(c, t, job.ID, quit)
		c.runner.Nudge(sweep.ID{})
		c.heard(t, job.ID)
		before = calls.times()
	}
	c.wire.at(at)
	task := c.take(t)[0]
	require.NoError(t, c.runner.Run(ctx, task.Customer, task.Job, task.Epoch))
	require.Equal(t, o.then, c.job(t, job.ID).State)
	require.NotEqual(t, -1, before, "the place was not reached")
	return calls.times() - before
}

func TestAnExecuteHearsItsOrdersWhileItPlans(t *testing.T) {
	t.Parallel()
	for name, o := range orders() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 700, Seed: 121})
			r := wanted(t, sweep.Archive, `{"category":"promotions"}`)
			v, err := c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Direct: &r, MaxMessages: 700}, cleanup.Idempotency{})
			require.NoError(t, err)
			require.LessOrEqual(t, c.told(t, v, o, stop{path: "/messages", n: 10}), parallel, "of some 60 listings")
			require.Empty(t, c.changes(t))
			if o.goOn == nil {
				require.Zero(t, c.usage(t).Reserved)
				return
			}
			o.goOn(c, t, v.ID)
			c.addsUp(t, resultOf(t, c.finished(t, v)))
		})
	}
}

func TestAnExecuteHearsItsOrdersWhileItLooksAnew(t *testing.T) {
	t.Parallel()
	for name, o := range orders() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 700, Seed: 122})
			p := c.preview(t, wanted(t, sweep.Archive, `{"category":"promotions"}`))
			plan := c.members(t, p.CleanupPlanID)
			v := c.submit(t, p.CleanupPlanID)
			require.NoError(t, c.google.ExpireHistory(c.email))
			require.LessOrEqual(t, c.told(t, v, o, stop{path: "/messages", n: 10}), parallel, "of some 60 listings")
			require.Empty(t, c.changes(t))
			if o.goOn == nil {
				_, res := c.executed(t, p.CleanupPlanID)
				require.Equal(t, len(plan), res.Cleaned, "its plan was given back")
				return
			}
			o.goOn(c, t, v.ID)
			c.whole(t, v, plan)
		})
	}
}

func TestAnUndoHearsItsOrdersWhileItLooks(t *testing.T) {
	t.Parallel()
	for name, o := range orders() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 700, Seed: 123})
			before := c.digest(t)
			job, _ := c.executed(t, c.preview(t, wanted(t, sweep.Archive, `{"category":"promotions"}`)).CleanupPlanID)
			require.NoError(t, c.google.ExpireHistory(c.email))
			v, err := c.SubmitUndo(t.Context(), c.Actor, jobID(t, job), cleanup.Idempotency{})
			require.NoError(t, err)
			require.Equal(t, 1, c.told(t, v, o, stop{path: "/messages"}), "of five listings")
			if o.goOn == nil {
				c.undone(t, job)
			} else {
				o.goOn(c, t, v.ID)
				require.Equal(t, sweep.Succeeded, c.finished(t, v).State)
			}
			require.Equal(t, before, c.digest(t))
		})
	}
}

func TestARunHearsItsOrdersBetweenTwoTriesOfACall(t *testing.T) {
	t.Parallel()
	for name, o := range orders() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, run, plan := ready(t, 124)
			c.runner.Gmail.TimeScale = 1 // pauses of seconds
			c.google.Inject(google.Fault{Method: "messages.batchModify", Status: 503, HTML503: true, Probability: 1})
			require.LessOrEqual(t, c.told(t, run, o, stop{path: "/messages/batchModify"}), inFlight, "each once at most")
			c.google.ClearFaults()
			c.runner.Gmail.TimeScale = scale
			if o.goOn == nil {
				require.Zero(t, c.usage(t).Reserved+c.usage(t).Used)
				return
			}
			o.goOn(c, t, run.ID)
			c.whole(t, run, plan)
		})
	}
}

func TestWhatIsOnItsWayWhenARunIsPausedIsAwaitedAndCharged(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 127)
	require.Greater(t, len(plan), inFlight*sweep.BatchSize)
	c.duringBatch(t, run.ID, 1, func() {
		_, err := c.Pause(context.Background(), c.Actor, jobID(t, run.ID))
		require.NoError(t, err)
	})
	requirePaused(t, c.job(t, run.ID))
	touched := c.touchedAtMost(t, plan)
	require.NotZero(t, touched)
	require.Equal(t, touched, c.ledger(t, run.ID))
}

// A run that is canceled at rest is settled without a look: what the look would have learnt is not lost to the index.
func TestARunCanceledAtRestLeavesTheIndexWhole(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 8000, Seed: 125})
	p := c.preview(t, wanted(t, sweep.Archive, everything))
	starred := 0
	for _, m := range c.messages(t) {
		if labelled(m, sweep.LabelInbox) && !labelled(m, sweep.LabelStarred) && starred < 5 {
			c.relabel(t, m.ID, sweep.LabelStarred)
			starred++
		}
	}
	run := c.submit(t, p.CleanupPlanID)
	c.duringBatch(t, run.ID, 2, func() {
		_, err := c.Pause(context.Background(), c.Actor, jobID(t, run.ID))
		require.NoError(t, err)
	})
	requirePaused(t, c.job(t, run.ID))
	_, err := c.Cancel(t.Context(), c.Actor, jobID(t, run.ID))
	require.NoError(t, err)
	run = c.finished(t, run)
	require.Equal(t, sweep.Canceled, run.State)
	require.Equal(t, resultOf(t, run).Cleaned, c.ledger(t, run.ID))
	c.preview(t, wanted(t, sweep.MarkRead, everything)) // follows history from where the index stands
	n, err := c.Count(t.Context(), c.Customer, cleanup.Target{}, criteria(t, `{"label":"STARRED"}`))
	require.NoError(t, err)
	truth := 0
	for _, m := range c.messages(t) {
		if labelled(m, sweep.LabelStarred) && !labelled(m, sweep.LabelTrash) && !labelled(m, sweep.LabelSpam) && !labelled(m, sweep.LabelSent) && !labelled(m, sweep.LabelDraft) {
			truth++
		}
	}
	require.Equal(t, truth, n.Matched)
}

func TestAnUndoCanceledAtRestTellsWhatItRestored(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 8000, Seed: 126})
	before := c.digest(t)
	job, res := c.executed(t, c.preview(t, wanted(t, sweep.Trash, everything)).CleanupPlanID)
	undo, err := c.SubmitUndo(t.Context(), c.Actor, jobID(t, job), cleanup.Idempotency{})
	require.NoError(t, err)
	c.duringBatch(t, undo.ID, 2, func() {
		_, err := c.Pause(context.Background(), c.Actor, jobID(t, undo.ID))
		require.NoError(t, err)
	})
	requirePaused(t, c.job(t, undo.ID))
	_, err = c.Cancel(t.Context(), c.Actor, jobID(t, undo.ID))
	require.NoError(t, err)
	v := c.finished(t, undo)
	require.Equal(t, sweep.Canceled, v.State)
	require.NotNil(t, v.Result, "%+v", v.Error)
	require.Equal(t, res.Cleaned+c.ledger(t, undo.ID), c.usage(t).Used)
	require.Negative(t, c.ledger(t, undo.ID))
	c.undone(t, job)
	require.Equal(t, before, c.digest(t))
	require.Zero(t, c.usage(t).Used)
}
