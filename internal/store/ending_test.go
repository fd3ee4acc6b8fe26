package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

func TestFinishingReleasesWhatWasReservedTooMuchAndTheLane(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.begin(0)
	w.settle(0, 60)
	other := w.submission(w.p, sweep.Execute, 30)
	w.admit(w.app, other)
	w.exec("UPDATE google_accounts SET active_job_id = $1", w.job.String())
	w.finish(sweep.Succeeded)
	w.requireUsage(60, 30)
	require.Equal(t, sweep.Succeeded, w.state(w.job))
	require.True(t, ask[bool](w.yard, "SELECT active_job_id IS NULL FROM google_accounts"))
	require.True(t, ask[bool](w.yard, "SELECT finished_at IS NOT NULL AND lease_until IS NULL AND result = 'r' FROM jobs WHERE id = $1", w.job.String()))
	w.exec("UPDATE google_accounts SET active_job_id = $1", other.Job.String())
	require.NoError(t, w.app.Tenant(t.Context(), w.p.customer, func(tx *store.Tx) error { return tx.EndUnclaimed(w.job, sweep.Failed, sweep.Internal, "") }))
	require.Equal(t, sweep.Succeeded, w.state(w.job), "what is over stays over")
	w.requireUsage(60, 30)
	require.False(t, ask[bool](w.yard, "SELECT active_job_id IS NULL FROM google_accounts"), "another job's lane")
}

func TestCancelingInEachState(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.finish(sweep.Failed)
	for _, c := range []struct {
		from, to  string
		batch     bool
		remaining int
	}{
		{"queued", "canceled", false, 0},
		{"waiting", "canceled", false, 0},
		{"queued", "queued", true, 40},
		{"waiting", "queued", true, 40},
		{"dispatched", "canceled", false, 0},
		{"dispatched", "dispatched", true, 40},
		{"paused", "canceled", false, 0},
		{"paused", "queued", true, 40},
		{"running", "running", true, 40},
	} {
		w.again()
		if c.batch {
			w.begin(0)
			w.settle(0, 60)
		}
		w.set(w.job, "run_at = clock_timestamp() + interval '1 hour', state = '"+c.from+"'")
		require.NoError(t, w.cancel(w.job))
		require.Equal(t, c.to, string(w.state(w.job)), "%+v", c)
		require.Equal(t, c.remaining > 0, ask[bool](w.yard, "SELECT cancel_requested AND finished_at IS NULL FROM jobs WHERE id = $1", w.job.String()))
		if c.from == "waiting" && c.to == "queued" {
			require.True(t, ask[bool](w.yard, "SELECT run_at <= clock_timestamp() FROM jobs WHERE id = $1", w.job.String()), "it is woken")
		}
		if c.to == "running" {
			orders, err := w.worker.Renew(t.Context(), w.c, store.Beat{})
			require.NoError(t, err)
			require.True(t, orders.Cancel)
		}
		_, reserved := w.usage(w.p)
		require.Equal(t, c.remaining, reserved, "%+v", c)
		if c.remaining > 0 {
			require.True(t, w.claim(w.worker, w.p, w.job).Canceled, "the next claim is told")
			require.NoError(t, w.app.Tenant(t.Context(), w.p.customer, func(tx *store.Tx) error { return tx.EndUnclaimed(w.job, sweep.Canceled, "", "") }))
		}
		whole := ask[string](w.yard, "SELECT to_json(j)::text FROM jobs j WHERE id = $1", w.job.String())
		require.NoError(t, w.cancel(w.job), "what is canceled can be canceled again")
		require.Equal(t, whole, ask[string](w.yard, "SELECT to_json(j)::text FROM jobs j WHERE id = $1", w.job.String()), "and stays as it is")
		w.set(w.job, "state = 'succeeded'")
		require.Equal(t, sweep.Conflict, sweep.CodeOf(w.cancel(w.job)), "what is over otherwise cannot be canceled")
		w.exec("UPDATE usage_tracking SET used = 0")
	}
	require.Equal(t, sweep.NotFound, sweep.CodeOf(w.cancel(newID(t))))
}

// TEN-13: another customer's job is no job.
func TestAForeignJobIsLikeNone(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	stranger := w.place("b")
	for _, id := range []sweep.ID{w.job, newID(t)} {
		require.NoError(t, w.app.Tenant(t.Context(), stranger.customer, func(tx *store.Tx) error {
			require.EqualError(t, tx.RequestCancel(id), "not_found: there is no such job")
			_, err := tx.Job(id)
			require.EqualError(t, err, "not_found: there is no such job")
			return tx.EndUnclaimed(id, sweep.Failed, sweep.Internal, "")
		}))
	}
	require.Equal(t, sweep.Running, w.state(w.job))
	require.NoError(t, w.app.Tenant(t.Context(), stranger.customer, func(tx *store.Tx) error { return tx.CancelMailboxJobs(w.p.mailbox) }))
	require.False(t, ask[bool](w.yard, "SELECT cancel_requested FROM jobs"))
	require.NoError(t, w.app.Tenant(t.Context(), w.p.customer, func(tx *store.Tx) error { return tx.CancelMailboxJobs(w.p.mailbox) }))
	require.True(t, ask[bool](w.yard, "SELECT cancel_requested FROM jobs"))
}

func TestParkingWaitsUnlessAskedToStop(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	park := func(p store.Parking) (state sweep.JobState, due bool) {
		require.NoError(t, w.worker.Park(t.Context(), w.c, p))
		due = ask[bool](w.yard, "SELECT run_at <= clock_timestamp() FROM jobs WHERE id = $1", w.job.String())
		state = w.state(w.job)
		w.c = w.claim(w.worker, w.p, w.job)
		return state, due
	}
	state, due := park(store.Parking{Event: sweep.Wait, For: time.Hour})
	require.Equal(t, []any{sweep.Waiting, false}, []any{state, due})
	state, due = park(store.Parking{Event: sweep.HandBack})
	require.Equal(t, []any{sweep.Queued, true}, []any{state, due})
	require.NoError(t, w.cancel(w.job))
	state, due = park(store.Parking{Event: sweep.Wait, For: time.Hour})
	require.Equal(t, []any{sweep.Queued, true}, []any{state, due}, "asked to stop between the last heartbeat and the parking")
	w.requireUsage(0, 100)
}

func TestAHeartbeatHearsOfHalts(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	for scope, value := range map[string]string{"all": "", "kind": "execute", "customer": w.p.customer.String()} {
		w.exec("INSERT INTO halts (id, scope, value, reason, created_by, created_at) VALUES ($1, $2, $3, 'why', 'ops', now())", newID(t).String(), scope, value)
		orders, err := w.worker.Renew(t.Context(), w.c, store.Beat{})
		require.NoError(t, err)
		require.Equal(t, store.Orders{Halt: true}, orders, scope)
		w.exec("UPDATE halts SET lifted_at = now()")
		orders, err = w.worker.Renew(t.Context(), w.c, store.Beat{})
		require.NoError(t, err)
		require.Equal(t, store.Orders{}, orders)
	}
}
