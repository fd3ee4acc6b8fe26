package cleanup_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// What comes between two steps: an order, a stop or a wait that the step did not expect.

func TestAWorkerThatStopsBeforeItHasOpenedTheMailboxHandsTheJobBack(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 101)
	lock, err := c.root.Begin(t.Context())
	require.NoError(t, err)
	_, err = lock.Exec(t.Context(), "LOCK TABLE keep_list IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	ctx, quit := context.WithCancel(context.Background())
	task, ended := c.take(t)[0], make(chan error, 1)
	go func() { ended <- c.runner.Run(ctx, task.Customer, task.Job, task.Epoch) }()
	testkit.Eventually(t, 10*time.Second, func() bool { return c.job(t, run.ID).State == sweep.Running }, "claimed")
	quit()
	require.NoError(t, <-ended)
	require.NoError(t, lock.Rollback(t.Context()))
	require.Equal(t, sweep.Queued, c.job(t, run.ID).State)
	c.whole(t, run, plan)
}

func TestAWorkerThatStopsWhileItClaimsHandsTheJobBack(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 111)
	lock, err := c.root.Begin(context.Background())
	require.NoError(t, err)
	defer lock.Rollback(context.Background())
	task, ended := c.take(t)[0], make(chan error, 1)
	_, err = lock.Exec(t.Context(), "SELECT FROM jobs WHERE id = $1 FOR UPDATE", jobID(t, run.ID).String())
	require.NoError(t, err)
	ctx, quit := context.WithCancel(context.Background())
	go func() { ended <- c.runner.Run(ctx, task.Customer, task.Job, task.Epoch) }()
	testkit.Eventually(t, 10*time.Second, func() bool {
		return c.count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'mailsweep_worker' AND wait_event_type = 'Lock'") == 1
	}, "it is claiming")
	quit()
	require.NoError(t, lock.Rollback(t.Context()))
	require.NoError(t, <-ended)
	require.Equal(t, sweep.Queued, c.job(t, run.ID).State)
	task = c.take(t)[0]
	require.ErrorIs(t, c.runner.Run(ctx, task.Customer, task.Job, task.Epoch), context.Canceled)
	require.Zero(t, c.count(t, "SELECT count(*) FROM jobs WHERE state = 'running'"), "nor does one that has stopped claim")
	c.run(t, task)
	c.whole(t, run, plan)
}

func TestACanceledRunThatGmailMakesWaitIsSettledFirst(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 102)
	c.wire.at(stop{path: "/messages/batchModify", n: 3, after: func() {
		c.google.Inject(google.Fault{Status: 429, RetryAfter: 900 * time.Second, Times: 60})
	}})
	c.run(t, c.take(t)[0])
	require.Equal(t, sweep.Waiting, c.job(t, run.ID).State)
	_, err := c.Cancel(t.Context(), c.Actor, jobID(t, run.ID))
	require.NoError(t, err)
	c.run(t, c.take(t)[0])
	require.Equal(t, sweep.Waiting, c.job(t, run.ID).State, "nobody can prove now what was changed")
	require.Empty(t, c.take(t), "and nobody tries without a pause")
	c.google.ClearFaults()
	c.due(t)
	res := resultOf(t, c.finished(t, run))
	require.Equal(t, sweep.Canceled, c.job(t, run.ID).State)
	touched := c.touchedAtMost(t, plan)
	require.NotZero(t, touched)
	require.Equal(t, []int{touched, touched}, []int{res.Cleaned, c.ledger(t, run.ID)})
}

func TestAPauseTakenBackBeforeTheEdgeDoesNotHappen(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 103)
	c.duringBatch(t, run.ID, 2, func() {
		_, err := c.Pause(context.Background(), c.Actor, jobID(t, run.ID))
		require.NoError(t, err)
		c.runner.Nudge(sweep.ID{})
		c.heard(t, run.ID)
		_, err = c.Resume(context.Background(), c.Actor, jobID(t, run.ID))
		require.NoError(t, err)
	})
	require.Equal(t, sweep.Queued, c.job(t, run.ID).State)
	c.whole(t, run, plan)
}

func TestAPauseThatNobodyHeardHoldsWhenTheClaimEndsOtherwise(t *testing.T) {
	t.Parallel()
	c, run, _ := ready(t, 104)
	task := c.take(t)[0]
	claim, ok, err := c.worker.Claim(t.Context(), task.Customer, task.Job, task.Epoch, store.Worker{Name: "w"})
	require.NoError(t, err)
	require.True(t, ok)
	_, err = c.Pause(t.Context(), c.Actor, jobID(t, run.ID))
	require.NoError(t, err)
	require.NoError(t, c.worker.Park(t.Context(), &claim, store.Parking{Event: sweep.HandBack}))
	requirePaused(t, c.job(t, run.ID))
}

func TestACanceledRunIsNotPaused(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 105)
	c.duringBatch(t, run.ID, 2, func() {
		_, err := c.Pause(context.Background(), c.Actor, jobID(t, run.ID))
		require.NoError(t, err)
	})
	_, err := c.Cancel(t.Context(), c.Actor, jobID(t, run.ID))
	require.NoError(t, err)
	_, err = c.Pause(t.Context(), c.Actor, jobID(t, run.ID))
	require.Equal(t, sweep.Conflict, sweep.CodeOf(err))
	require.Equal(t, sweep.Canceled, c.finished(t, run).State)
	require.Equal(t, c.ledger(t, run.ID), c.touchedAtMost(t, plan))
}

func TestACancelIsObeyedUnderAHalt(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 106)
	c.duringBatch(t, run.ID, 2, func() { c.halt(t, "kind", string(sweep.Execute)) })
	_, err := c.Cancel(t.Context(), c.Actor, jobID(t, run.ID))
	require.NoError(t, err)
	require.Equal(t, sweep.Canceled, c.finished(t, run).State)
	require.Equal(t, c.ledger(t, run.ID), c.touchedAtMost(t, plan))
	require.Zero(t, c.count(t, "SELECT count(*) FROM google_accounts WHERE active_job_id IS NOT NULL"), "the lane is free")
}

func TestUndoGivesBackNoQuotaThatWasNotCharged(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 600, Seed: 107})
	before := c.digest(t)
	run := c.submit(t, c.preview(t, wanted(t, sweep.Trash, everything)).CleanupPlanID)
	c.wire.at(stop{path: "/messages/batchModify", after: func() { panic("after the change") }})
	c.run(t, c.take(t)[0])
	require.NoError(t, c.google.Revoke(c.email))
	c.exec(t, "UPDATE mailboxes SET state = 'needs_reconnect' WHERE id = $1", c.mailbox.String())
	c.due(t)
	run = c.finished(t, run)
	charged := c.usage(t).Used
	c.reconnect(t)
	undo, err := c.SubmitUndo(t.Context(), c.Actor, jobID(t, run.ID), cleanup.Idempotency{})
	require.NoError(t, err)
	require.Equal(t, sweep.Succeeded, c.finished(t, undo).State)
	require.Equal(t, before, c.digest(t))
	require.Equal(t, -charged, c.ledger(t, undo.ID))
	require.Zero(t, c.usage(t).Used)
}

func TestWorkThatHearsThatItHangsIsGivenBackToo(t *testing.T) {
	t.Parallel()
	c, run, plan := ready(t, 108)
	cleanup.StallAfter(c.runner, 700*time.Millisecond)
	c.wire.at(stop{path: "/messages/batchModify", n: 2, before: func() { c.heard(t, run.ID) }})
	c.run(t, c.take(t)[0])
	require.Equal(t, sweep.Queued, c.job(t, run.ID).State)
	cleanup.StallAfter(c.runner, 0)
	c.due(t)
	c.whole(t, run, plan)
}
