package cleanup_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

const inFlight = cleanup.InFlight

// ready is a customer with a submitted run of several batches.
func ready(t *testing.T, seed uint64) (c *customer, run sweep.JobView, plan []string) {
	t.Helper()
	c = newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 8000, Seed: seed})
	p := c.preview(t, wanted(t, sweep.Trash, everything))
	return c, c.submit(t, p.CleanupPlanID), c.members(t, p.CleanupPlanID)
}

// duringBatch does f while the n-th change is on its way to Google, and holds it and those after it until the heartbeat has heard.
func (c *customer) duringBatch(t *testing.T, job string, n int, f func()) {
	t.Helper()
	var once sync.Once
	for i := range inFlight {
		c.wire.at(stop{path: "/messages/batchModify", n: n + i, before: func() {
			once.Do(func() { f(); c.runner.Nudge(sweep.ID{}); c.heard(t, job) })
		}})
	}
	c.run(t, c.take(t)[0])
}

// whole says that a run did all of its plan, and each message once.
func (c *customer) whole(t *testing.T, run sweep.JobView, plan []string) {
	t.Helper()
	var res sweep.ExecuteResult
	c.succeeded(t, run, &res)
	require.Equal(t, len(plan), res.Cleaned)
	require.Equal(t, len(plan), c.ledger(t, run.ID))
	require.Equal(t, len(plan), c.touchedAtMost(t, plan))
	c.addsUp(t, res)
}

// requirePaused: callers see a paused job as one that waits, with this phase.
func requirePaused(t *testing.T, v sweep.JobView) {
	t.Helper()
	require.Equal(t, sweep.Waiting, v.State)
	require.Equal(t, "paused", v.Phase)
}

// due lets whatever waits for its time have waited long enough.
func (c *customer) due(t *testing.T) {
	t.Helper()
	c.exec(t, "UPDATE jobs SET run_at = now() - interval '1 s' WHERE customer_id = $1 AND finished_at IS NULL", c.Customer.String())
}

func TestAPausedRunRestsAtAnEdgeAndGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 81)
	c.duringBatch(t, run.ID, 2, func() {
		v, err := c.Pause(context.Background(), c.Actor, jobID(t, run.ID))
		require.NoError(t, err)
		require.Equal(t, sweep.Running, v.State, "until its worker has heard")
	})
	requirePaused(t, c.job(t, run.ID))
	charged := c.ledger(t, run.ID)
	require.NotZero(t, charged)
	require.Less(t, charged, len(plan))
	require.Equal(t, len(plan)-charged, c.usage(t).Reserved, "what is left stays reserved")
	require.Empty(t, c.take(t), "nobody hands out what is paused")
	v, err := c.Resume(t.Context(), c.Actor, jobID(t, run.ID))
	require.NoError(t, err)
	require.Equal(t, sweep.Queued, v.State)
	c.whole(t, run, plan)
}

func TestAPausedRunThatIsCanceledIsChargedForWhatItDid(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 82)
	c.duringBatch(t, run.ID, 2, func() {
		_, err := c.Pause(context.Background(), c.Actor, jobID(t, run.ID))
		require.NoError(t, err)
	})
	_, err := c.Cancel(t.Context(), c.Actor, jobID(t, run.ID))
	require.NoError(t, err)
	v := c.finished(t, run)
	require.Equal(t, sweep.Canceled, v.State)
	res := resultOf(t, v)
	require.Less(t, res.Cleaned, len(plan))
	require.Equal(t, res.Cleaned, c.touchedAtMost(t, plan))
	require.Equal(t, res.Cleaned, c.ledger(t, run.ID))
	require.Zero(t, c.usage(t).Reserved)
}

func TestAQueuedJobIsPausedAtOnce(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 83)
	v, err := c.Pause(t.Context(), c.Actor, jobID(t, run.ID))
	require.NoError(t, err)
	requirePaused(t, v)
	require.Empty(t, c.take(t))
	_, err = c.Resume(t.Context(), c.Actor, jobID(t, run.ID))
	require.NoError(t, err)
	c.whole(t, run, plan)
	_, err = c.Pause(t.Context(), c.Actor, jobID(t, run.ID))
	require.Equal(t, sweep.Conflict, sweep.CodeOf(err))
}

func (r *rig) halt(t *testing.T, scope, value string) (id string) {
	t.Helper()
	id = newID(t).String()
	r.exec(t, "INSERT INTO halts (id, scope, value, reason, created_by, created_at) VALUES ($1, $2, $3, 'a test', 'ops', now())", id, scope, value)
	return id
}

func (r *rig) lift(t *testing.T, id string) {
	t.Helper()
	r.exec(t, "UPDATE halts SET lifted_at = now(), lifted_by = 'ops' WHERE id = $1", id)
}

func TestAHaltedRunStopsAtAnEdgeAndGoesOnWhenItIsLifted(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 84)
	var halt string
	c.duringBatch(t, run.ID, 2, func() { halt = c.halt(t, "kind", string(sweep.Execute)) })
	v := c.job(t, run.ID)
	require.Equal(t, "halted by an operator", v.Phase)
	require.Less(t, c.ledger(t, run.ID), len(plan))
	c.due(t)
	require.Empty(t, c.take(t))
	c.lift(t, halt)
	c.whole(t, run, plan)
}

func TestAHaltOfABuildLeavesTheJobToAnother(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 85)
	c.runner.Worker.Build = "bad"
	c.halt(t, "build", "bad")
	c.run(t, c.take(t)[0])
	require.Equal(t, "halted by an operator", c.job(t, run.ID).Phase)
	require.Zero(t, c.changes(t)["trash"])
	c.due(t)
	c.runner.Worker.Build = "good"
	c.whole(t, run, plan)
}

func TestWorkThatBreaksAgainAndAgainEndsWithItsReasonAndCanBeRunAgain(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 86)
	var broken sweep.JobView
	for n := 1; n <= sweep.PoisonLimit; n++ {
		require.False(t, broken.State.Done(), "after %d breaks", n-1)
		c.wire.at(stop{path: "/history", before: func() { panic("private subject") }})
		c.due(t)
		c.run(t, c.take(t)[0])
		broken = c.job(t, run.ID)
	}
	require.Equal(t, sweep.Failed, broken.State)
	require.Equal(t, sweep.Internal, broken.Error.Code)
	require.NotContains(t, c.log.String(), "private subject")
	var trouble string
	require.NoError(t, c.root.QueryRow(t.Context(), "SELECT trouble FROM jobs WHERE id = $1", jobID(t, run.ID).String()).Scan(&trouble))
	require.Regexp(t, `^panic in cleanup_test.*:\d+: a string$`, trouble)
	require.Zero(t, c.usage(t).Reserved)

	require.NoError(t, c.DB.Tenant(t.Context(), c.Customer, func(tx *store.Tx) error { return tx.Rerun(jobID(t, run.ID), 100_000) }))
	c.whole(t, run, plan)
}

func TestWorkThatHangsIsGivenBackWithItsReason(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 87)
	cleanup.StallAfter(c.runner, 700*time.Millisecond)
	hung, over := make(chan struct{}), make(chan struct{})
	c.wire.at(stop{path: "/messages/batchModify", n: 2, before: func() { close(hung); <-over }})
	done := make(chan struct{})
	task := c.take(t)[0]
	go func() { defer close(done); _ = c.runner.Run(context.Background(), task.Customer, task.Job, task.Epoch) }()
	<-hung
	testkit.Eventually(t, 20*time.Second, func() bool { return c.lost(t, run.ID) }, "the lease of what hangs is let go")
	cleanup.StallAfter(c.runner, 0)
	c.whole(t, run, plan)
	close(over)
	<-done
	require.Equal(t, len(plan), c.ledger(t, run.ID), "the late one writes nothing")
}

func TestAClaimThatHearsNothingStopsBeforeItsLeaseDoes(t *testing.T) {
	t.Parallel()
	require.Less(t, cleanup.DeafFor, sweep.Lease)
	c, run, plan := ready(t, 112)
	task := c.take(t)[0]
	lock, err := c.root.Begin(context.Background())
	require.NoError(t, err)
	defer lock.Rollback(context.Background())
	began := time.Now()
	c.wire.at(stop{path: "/history", before: func() {
		_, err := lock.Exec(context.Background(), "SELECT FROM jobs WHERE id = $1 FOR UPDATE", jobID(t, run.ID).String())
		require.NoError(t, err)
		began = time.Now()
		for !cleanup.Heard(c.runner, jobID(t, run.ID)) && time.Since(began) < 2*sweep.Lease {
			pause(t)
		}
	}})
	require.NoError(t, c.runner.Run(context.Background(), task.Customer, task.Job, task.Epoch))
	require.Less(t, time.Since(began), sweep.Lease)
	require.Empty(t, c.changes(t))
	require.NoError(t, lock.Rollback(t.Context()))
	c.run(t, c.usurp(t, run.ID))
	require.Equal(t, sweep.Succeeded, c.job(t, run.ID).State)
	require.Equal(t, len(plan), c.ledger(t, run.ID))
}

// lost hands a job out anew if its lease has run out.
func (c *customer) lost(t *testing.T, job string) bool {
	t.Helper()
	_, err := c.clerk.DeadLeases(context.Background(), 100)
	require.NoError(t, err)
	return c.job(t, job).State == sweep.Queued
}

// TestALostDatabaseFailsNoJob breaks every connection of the worker while a change is at Gmail: whatever of the claim is heard, the job goes
// on from what is settled.
func TestALostDatabaseFailsNoJob(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 88)
	c.wire.at(stop{path: "/messages/batchModify", after: func() { c.cutOff(t) }})
	task := c.take(t)[0]
	_ = c.runner.Run(t.Context(), task.Customer, task.Job, task.Epoch) // that it could not say how it ended is one of the ends
	v := c.job(t, run.ID)
	require.False(t, v.State.Done(), "%s: %+v", v.State, v.Error)
	if v.State == sweep.Running {
		c.exec(t, "UPDATE jobs SET lease_until = now() - interval '1 s' WHERE customer_id = $1", c.Customer.String())
		require.True(t, c.lost(t, run.ID))
	}
	c.due(t)
	c.whole(t, run, plan)
}

// The end of a job waits for a row while its heartbeat is due: the claim that ends the job does not take itself for lost.
func TestAHeartbeatDoesNotOvertakeTheEnd(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 300, Seed: 32})
	job, err := c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{}, cleanup.Idempotency{})
	require.NoError(t, err)
	tx, err := c.root.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context()) //nolint:errcheck // it is over by then
	_, err = tx.Exec(t.Context(), "SELECT 1 FROM mailboxes FOR NO KEY UPDATE")
	require.NoError(t, err)
	task, ended := c.take(t)[0], make(chan error, 1)
	go func() { ended <- c.runner.Run(context.Background(), task.Customer, task.Job, task.Epoch) }()
	blocked := func() int {
		return c.count(t, `SELECT count(DISTINCT w.pid) FROM pg_locks w WHERE NOT w.granted
			AND EXISTS (SELECT FROM pg_locks h JOIN pg_database d ON d.oid = h.database WHERE h.pid = w.pid AND d.datname = current_database())`)
	}
	testkit.Eventually(t, 20*time.Second, func() bool { return blocked() > 0 }, "the end waits for the mailbox")
	require.Never(t, func() bool { c.runner.Nudge(sweep.ID{}); return blocked() > 1 }, 2*time.Second, 20*time.Millisecond, "a heartbeat waits for the end")
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, <-ended)
	require.Equal(t, sweep.Succeeded, c.job(t, job.ID).State)
	require.NotContains(t, c.log.String(), "fenced")
}

// cutOff breaks every connection of the worker.
func (r *rig) cutOff(t *testing.T) {
	t.Helper()
	_, err := r.root.Exec(context.Background(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mailsweep_worker' AND datname = current_database()")
	require.NoError(t, err)
}

func TestADatabaseThatDoesNotAnswerIsWaitedForHoweverLongGmailWasAway(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 110)
	var err error
	c.runner.DB, err = store.Open(t.Context(), store.Options{URL: c.url("mailsweep_worker"), Process: "test", Patience: 2 * time.Second})
	require.NoError(t, err)
	t.Cleanup(c.runner.DB.Close)
	c.exec(t, "UPDATE jobs SET away_since = run_at - interval '25 hours'")
	lock, err := c.root.Begin(context.Background())
	require.NoError(t, err)
	defer lock.Rollback(context.Background())
	c.wire.at(stop{path: "/history", after: func() {
		_, err := lock.Exec(context.Background(), "LOCK TABLE cleanup_runs IN ACCESS EXCLUSIVE MODE")
		require.NoError(t, err)
	}})
	c.run(t, c.take(t)[0])
	require.NoError(t, lock.Rollback(t.Context()))
	v := c.job(t, run.ID)
	require.Equal(t, sweep.Waiting, v.State, "%+v", v.Error)
	c.due(t)
	c.whole(t, run, plan)
}
