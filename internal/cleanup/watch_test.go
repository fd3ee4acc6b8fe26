package cleanup_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// watch keeps the moments of a runner.
type watch struct {
	mu  sync.Mutex
	all []cleanup.Moment
}

func (w *watch) add(m cleanup.Moment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, m)
}

// of gives the moments of a sort and forgets all.
func (w *watch) of(what cleanup.Happening) (found []cleanup.Moment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.all {
		if m.What == what {
			found = append(found, m)
		}
	}
	return found
}

func TestEachClaimIsToldWithItsBatchesAndHowItEnded(t *testing.T) {
	t.Parallel()
	c, run, _ := ready(t, 91)
	var w watch
	c.runner.Watch = w.add
	c.duringBatch(t, run.ID, 1, func() {
		_, err := c.Pause(context.Background(), c.Actor, jobID(t, run.ID))
		require.NoError(t, err)
	})
	left := w.of(cleanup.Left)
	require.Len(t, left, 1)
	require.Equal(t, "paused", left[0].Cause)
	require.True(t, left[0].Again)
	_, err := c.Resume(t.Context(), c.Actor, jobID(t, run.ID))
	require.NoError(t, err)
	require.Equal(t, sweep.Succeeded, c.finished(t, run).State)
	claimed, left := w.of(cleanup.Claimed), w.of(cleanup.Left)
	require.Len(t, claimed, 2)
	require.Len(t, left, 2)
	require.True(t, claimed[0].First)
	require.Positive(t, claimed[0].Took)
	require.False(t, claimed[1].First, "only the first tells how long the customer waited")
	require.Equal(t, []any{"done", false}, []any{left[1].Cause, left[1].Again})
	batches := c.count(t, "SELECT count(*) FROM batches WHERE job_id = $1", jobID(t, run.ID).String())
	require.Greater(t, batches, 1)
	require.Len(t, w.of(cleanup.Batched), batches)
	for _, m := range w.of(cleanup.Batched) {
		require.Equal(t, sweep.Execute, m.Kind)
		require.Positive(t, m.Took)
	}
}

func TestALateClaimAndALateWriteAreTold(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 3000, Seed: 92})
	run := c.submit(t, c.preview(t, wanted(t, sweep.Trash, everything)).CleanupPlanID)
	var w watch
	c.runner.Watch = w.add
	task := c.take(t)[0]
	c.wire.at(stop{path: "/messages/batchModify", n: 1, before: func() {
		c.exec(t, "UPDATE jobs SET fence = fence + 1 WHERE id = $1", task.Job.String())
	}})
	c.run(t, task)
	left := w.of(cleanup.Left)
	require.Len(t, left, 1)
	require.Equal(t, []any{"fenced", true}, []any{left[0].Cause, left[0].Again})
	require.Len(t, w.of(cleanup.Fenced), 1)
	require.Empty(t, w.of(cleanup.Stale))
	c.run(t, task)
	require.Len(t, w.of(cleanup.Stale), 1, "%s", run.ID)
}
