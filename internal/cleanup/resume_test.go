package cleanup_test

import (
	"context"
	"encoding/json"
	"fmt"
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

// everything is a plan of several batches over most of a mailbox.
const everything = `{"any":[{"unread":true},{"unread":false}]}`

// usurp makes the lease of whoever has the job die, and hands it out anew: what happens when a worker is lost.
func (c *customer) usurp(t *testing.T, job string) store.Dispatched {
	t.Helper()
	var tasks []store.Dispatched
	testkit.Eventually(t, 10*time.Second, func() bool { // what else the lost worker had in flight renews the lease
		c.exec(t, "UPDATE jobs SET lease_until = clock_timestamp() - interval '1 s' WHERE customer_id = $1 AND id = $2", c.Customer.String(), jobID(t, job).String())
		_, err := c.clerk.DeadLeases(context.Background(), 100)
		require.NoError(t, err)
		tasks = c.take(t)
		return len(tasks) == 1
	}, "the job is handed out again")
	return tasks[0]
}

// lostAt loses the worker at a place of the wire: the call hangs there until another claim has ended the job.
func (c *customer) lostAt(t *testing.T, job sweep.JobView, s stop, answered bool) {
	t.Helper()
	reached, over := make(chan struct{}), make(chan struct{})
	hang := func() { close(reached); <-over }
	if answered {
		s.after = hang
	} else {
		s.before = hang
	}
	c.wire.at(s)
	tasks := c.take(t)
	require.Len(t, tasks, 1)
	var first sync.WaitGroup
	first.Go(func() { c.run(t, tasks[0]) })
	select {
	case <-reached:
	case <-time.After(20 * time.Second):
		close(over)
		require.Fail(t, "the place was not reached")
	}
	c.run(t, c.usurp(t, job.ID))
	version := c.jobVersion(t, job.ID)
	ledger := c.ledger(t, job.ID)
	close(over)
	first.Wait()
	require.Equal(t, version, c.jobVersion(t, job.ID), "a lost claim writes nothing")
	require.Equal(t, ledger, c.ledger(t, job.ID))
}

func (c *customer) jobVersion(t *testing.T, job string) int64 {
	t.Helper()
	_, version, err := c.Job(t.Context(), c.Customer, jobID(t, job))
	require.NoError(t, err)
	return version
}

// ledger sums what a job was charged.
func (c *customer) ledger(t *testing.T, job string) int {
	t.Helper()
	return c.count(t, "SELECT coalesce(sum(emails), 0) FROM usage_ledger WHERE customer_id = $1 AND job_id = $2", c.Customer.String(), jobID(t, job).String())
}

func TestALostWorkersRunIsFinishedByTheNextOnce(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]struct {
		stop
		answered bool
	}{
		"while looking, before the first batch": {stop{path: "/history"}, false},
		"in the first call":                     {stop{path: "/messages/batchModify"}, false},
		"after the first call":                  {stop{path: "/messages/batchModify"}, true},
		"in a later call":                       {stop{path: "/messages/batchModify", n: 4}, false},
		"after a later call":                    {stop{path: "/messages/batchModify", n: 4}, true},
		"while proving":                         {stop{path: "/history", n: 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 3600, Seed: 71})
			before := c.digest(t)
			p := c.preview(t, wanted(t, sweep.Trash, everything))
			plan := c.members(t, p.CleanupPlanID)
			require.Greater(t, len(plan), 3*sweep.BatchSize)
			v := c.submit(t, p.CleanupPlanID)
			c.lostAt(t, v, at.stop, at.answered)
			v = c.job(t, v.ID)
			require.Equal(t, sweep.Succeeded, v.State, "%+v", v.Error)
			res := resultOf(t, v)
			require.Equal(t, len(plan), res.Cleaned)
			require.Equal(t, len(plan), c.touchedAtMost(t, plan))
			require.Equal(t, len(plan), c.ledger(t, v.ID))
			c.addsUp(t, res)
			require.Equal(t, len(plan), c.undone(t, v.ID).Restored)
			require.Equal(t, before, c.digest(t))
			require.Zero(t, c.usage(t).Used)
		})
	}
}

func TestALostWorkersUndoIsFinishedByTheNextOnce(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 4} {
		for _, answered := range []bool{false, true} {
			t.Run(fmt.Sprintf("call %d, answered %v", n, answered), func(t *testing.T) {
				t.Parallel()
				c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 3600, Seed: 72})
				before := c.digest(t)
				p := c.preview(t, wanted(t, sweep.Trash, everything))
				job, res := c.executed(t, p.CleanupPlanID)
				v, err := c.SubmitUndo(t.Context(), c.Actor, jobID(t, job), cleanup.Idempotency{})
				require.NoError(t, err)
				c.lostAt(t, v, stop{path: "/messages/batchModify", n: n}, answered)
				v = c.job(t, v.ID)
				require.Equal(t, sweep.Succeeded, v.State, "%+v", v.Error)
				var undo sweep.UndoResult
				require.NoError(t, json.Unmarshal(v.Result, &undo))
				require.Equal(t, res.Cleaned, undo.Restored)
				require.Zero(t, undo.ChangedSince+undo.AlreadyGone)
				require.Equal(t, before, c.digest(t))
				require.Equal(t, -res.Cleaned, c.ledger(t, v.ID))
				require.Zero(t, c.usage(t).Used)
			})
		}
	}
}

func TestAWorkerThatShutsDownHandsItsRunBack(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 3600, Seed: 73})
	p := c.preview(t, wanted(t, sweep.Trash, everything))
	plan := c.members(t, p.CleanupPlanID)
	v := c.submit(t, p.CleanupPlanID)
	ctx, quit := context.WithCancel(context.Background())
	defer quit()
	c.wire.at(stop{path: "/messages/batchModify", before: func() { quit(); c.heard(t, v.ID) }})
	task := c.take(t)[0]
	require.NoError(t, c.runner.Run(ctx, task.Customer, task.Job, task.Epoch))
	require.Equal(t, sweep.Queued, c.job(t, v.ID).State)
	var res sweep.ExecuteResult
	c.succeeded(t, v, &res)
	require.Equal(t, len(plan), res.Cleaned)
	require.Equal(t, len(plan), c.touchedAtMost(t, plan))
	c.addsUp(t, res)
}

// heard waits until the heartbeat of a running job has told what was asked just now.
func (c *customer) heard(t *testing.T, job string) {
	testkit.Eventually(t, 10*time.Second, func() bool { return cleanup.Heard(c.runner, jobID(t, job)) }, "the heartbeat")
}

// TEN-10
func TestATaskOfAnotherCustomersJobIsRefusedAndTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.customer(t, "one@gmail.example", google.Generate{Messages: 20, Seed: 74})
	other := r.customer(t, "two@gmail.example", google.Generate{Messages: 3, Seed: 75})
	v := c.submit(t, c.preview(t, wanted(t, sweep.Trash, everything)).CleanupPlanID)
	var w watch
	c.runner.Watch = w.add
	task := c.take(t)[0]
	own, before := task.Customer, c.digest(t)
	task.Customer = other.Customer
	c.run(t, task)
	require.Equal(t, sweep.Queued, c.job(t, v.ID).State)
	require.Len(t, w.of(cleanup.Foreign), 1)
	require.Empty(t, w.of(cleanup.Stale))
	require.Equal(t, before, c.digest(t), "nothing is changed at Gmail")
	task.Customer = newID(t)
	c.run(t, task)
	require.Len(t, w.of(cleanup.Foreign), 1, "a customer that is purged meanwhile is no alarm")
	task.Customer = own
	c.run(t, task)
	require.Equal(t, sweep.Succeeded, c.job(t, v.ID).State)
}

func TestAStaleTaskDoesNothing(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 200, Seed: 74})
	p := c.preview(t, wanted(t, sweep.Trash, everything))
	v := c.submit(t, p.CleanupPlanID)
	task := c.take(t)[0]
	task.Epoch--
	c.run(t, task)
	require.Equal(t, sweep.Queued, c.job(t, v.ID).State)
	task.Epoch++
	c.run(t, task)
	version := c.jobVersion(t, v.ID)
	c.run(t, task)
	require.Equal(t, version, c.jobVersion(t, v.ID))
}
