package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// dispatch hands a job out without the queue and tells its epoch.
func (y *yard) dispatch(job sweep.ID) int {
	y.t.Helper()
	y.exec("UPDATE jobs SET state = 'queued' WHERE id = $1 AND state = 'running'", job.String())
	return ask[int](y, "UPDATE jobs SET state = 'dispatched', epoch = epoch + 1, dispatched_at = clock_timestamp() WHERE id = $1 RETURNING epoch", job.String())
}

func (y *yard) claim(db *store.DB, p place, job sweep.ID) *store.Claim {
	y.t.Helper()
	c, ok, err := db.Claim(y.t.Context(), p.customer, job, y.dispatch(job), store.Worker{Name: "worker"})
	require.NoError(y.t, err)
	require.True(y.t, ok)
	return &c
}

func (y *yard) state(job sweep.ID) sweep.JobState {
	y.t.Helper()
	return sweep.JobState(ask[string](y, "SELECT state FROM jobs WHERE id = $1", job.String()))
}

// workshop is a yard with an admitted execute of 100 messages in the hands of a worker.
type workshop struct {
	*yard
	app, worker *store.DB
	p           place
	plan, job   sweep.ID
	c           *store.Claim
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	y := newYard(t)
	w := &workshop{yard: y, app: open(t, y.d, "mailsweep_app"), worker: openFour(t, y.d, "mailsweep_worker"), p: y.place("a")}
	w.again()
	return w
}

// again admits another execute and claims it.
func (w *workshop) again() {
	w.t.Helper()
	w.plan = w.prepared(w.p, 100)
	s := w.submission(w.p, sweep.Execute, 100)
	s.CleanupPlan = w.plan
	w.admit(w.app, s)
	w.job, w.c = s.Job, w.claim(w.worker, w.p, s.Job)
}

func (w *workshop) begin(n int) {
	w.t.Helper()
	require.NoError(w.t, w.worker.BeginBatch(w.t.Context(), w.c, n, []byte("ids"), 1, time.Now()))
}

func (w *workshop) settle(n, cost int) {
	w.t.Helper()
	require.NoError(w.t, w.worker.SettleBatch(w.t.Context(), w.c, n, cost, time.Now()))
}

func (w *workshop) finish(s sweep.JobState) {
	w.t.Helper()
	require.NoError(w.t, w.worker.Fenced(w.t.Context(), w.c, func(tx *store.Tx) error { return tx.Finish(w.c, store.Ending{State: s, Result: []byte("r")}) }))
}

func (w *workshop) cancel(job sweep.ID) error {
	return w.app.Tenant(w.t.Context(), w.p.customer, func(tx *store.Tx) error { return tx.RequestCancel(job) })
}

func (w *workshop) requireUsage(used, reserved int) {
	w.t.Helper()
	u, r := w.usage(w.p)
	require.Equal(w.t, [2]int{used, reserved}, [2]int{u, r}, "used and reserved")
}

func TestATaskIsClaimedOnce(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, p := openFour(t, y.d, "mailsweep_worker"), y.place("a")
	job := y.job(p, "a", sweep.Analyze, 1)
	_, ok, err := db.Claim(t.Context(), p.customer, job, 0, store.Worker{Name: "w"})
	require.NoError(t, err)
	require.False(t, ok, "a job that was not handed out")
	epoch := y.dispatch(job)
	var all sync.WaitGroup
	var mu sync.Mutex
	var won []store.Claim
	for range 20 {
		all.Go(func() {
			c, ok, err := db.Claim(t.Context(), p.customer, job, epoch, store.Worker{Name: "w"})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if ok {
				won = append(won, c)
			}
		})
	}
	all.Wait()
	require.Len(t, won, 1)
	require.Equal(t, []any{1, job, "req", sweep.Running, "starting"}, []any{won[0].Fence, won[0].ID, won[0].RequestID, won[0].State, won[0].Phase})
	y.set(job, "state = 'dispatched', epoch = epoch + 1")
	for customer, epoch := range map[sweep.ID]int{p.customer: epoch, y.place("a").customer: epoch + 1} { // TEN-10
		_, ok, err = db.Claim(t.Context(), customer, job, epoch, store.Worker{Name: "w"})
		require.NoError(t, err)
		require.False(t, ok, "an old epoch, and another customer's payload")
	}
}

// What was thought dead and is not finds every write refused.
func TestADeadClaimIsReplacedAndFenced(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	ctx, old := t.Context(), w.c
	for size, sealed := range []string{"here", "ere twice", "ere"} { // again from the same place, as after a lost answer
		require.NoError(t, w.worker.Checkpoint(ctx, old, min(size, 1), []byte(sealed)))
	}
	w.begin(0)
	orders, err := w.worker.Renew(ctx, old, store.Beat{Phase: "cleaning", Done: 1, Total: 2})
	require.NoError(t, err)
	require.Equal(t, store.Orders{}, orders)
	w.set(w.job, "lease_until = clock_timestamp() - interval '1 second'")
	epoch := ask[int](w.yard, "SELECT epoch FROM jobs WHERE id = $1", w.job.String())
	next, ok, err := w.worker.Claim(ctx, w.p.customer, w.job, epoch, store.Worker{Name: "next"})
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []byte("here"), next.Checkpoint)
	require.Equal(t, old.Fence+1, next.Fence)
	before := ask[string](w.yard, "SELECT to_json(j)::text FROM jobs j WHERE id = $1", w.job.String())
	reached := false
	late := map[string]func() error{
		"renew":      func() error { _, err := w.worker.Renew(ctx, old, store.Beat{Phase: "late"}); return err },
		"begin":      func() error { return w.worker.BeginBatch(ctx, old, 1, []byte("late"), 1, time.Now()) },
		"settle":     func() error { return w.worker.SettleBatch(ctx, old, 0, 7, time.Now()) },
		"checkpoint": func() error { return w.worker.Checkpoint(ctx, old, 4, []byte("late")) },
		"park":       func() error { return w.worker.Park(ctx, old, store.Parking{Event: sweep.Wait, For: time.Hour}) },
		"fenced":     func() error { return w.worker.Fenced(ctx, old, func(*store.Tx) error { reached = true; return nil }) },
	}
	refused := func() {
		t.Helper()
		for what, write := range late {
			require.ErrorIs(t, write(), store.ErrFenced, what)
		}
		require.False(t, reached)
		require.Equal(t, []int64{1, 0}, []int64{ask[int64](w.yard, "SELECT count(*) FROM batches WHERE state = 'intent' AND ids = 'ids'"), ask[int64](w.yard, "SELECT count(*) FROM usage_ledger")})
	}
	refused()
	require.Equal(t, before, ask[string](w.yard, "SELECT to_json(j)::text FROM jobs j WHERE id = $1", w.job.String()))
	w.requireUsage(0, 100)
	w.c = &next
	w.finish(sweep.Succeeded)
	refused()
	old = &next
	refused()
}

func TestABatchIsChargedOnce(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.begin(0)
	w.settle(0, 60)
	w.settle(0, 60)
	w.requireUsage(60, 40)
	w.set(w.job, "lease_until = clock_timestamp() - interval '1 second'")
	next, ok, err := w.worker.Claim(t.Context(), w.p.customer, w.job, w.epoch(), store.Worker{Name: "next"})
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, 60, next.Settled)
	w.c = &next
	w.settle(0, 60)
	w.requireUsage(60, 40)
	require.NoError(t, w.worker.BeginBatch(t.Context(), w.c, 0, []byte("other"), 9, time.Now()))
	require.Equal(t, []byte("ids"), ask[[]byte](w.yard, "SELECT ids FROM batches"), "what is done is not begun again")
	w.finish(sweep.Succeeded)
	w.requireUsage(60, 0)
}

func (w *workshop) epoch() int {
	return ask[int](w.yard, "SELECT epoch FROM jobs WHERE id = $1", w.job.String())
}

// Three jobs of one customer settle their batches at once over four connections.
func TestSettlingAtOnceLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	var all sync.WaitGroup
	for range 3 {
		for n := range 10 {
			c := w.c
			all.Go(func() {
				for range 2 {
					if err := w.worker.BeginBatch(t.Context(), c, n, nil, 7, time.Now()); err != nil {
						t.Error(err)
					}
					if err := w.worker.SettleBatch(t.Context(), c, n, 7, time.Now()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		w.again()
	}
	all.Wait()
	w.requireUsage(210, 190)
	require.Equal(t, int64(210), ask[int64](w.yard, "SELECT sum(emails) FROM usage_ledger"))
	require.Equal(t, int64(210), ask[int64](w.yard, "SELECT sum(settled) FROM jobs"))
}

func TestTheProofOnlyLowersAndOnce(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.begin(0)
	w.settle(0, 60)
	for _, n := range []int{5, -10, -10, -3} {
		require.NoError(t, w.worker.Fenced(t.Context(), w.c, func(tx *store.Tx) error { return tx.Correct(w.c, n) }))
	}
	w.requireUsage(50, 40)
	require.Equal(t, int64(50), ask[int64](w.yard, "SELECT sum(emails) FROM usage_ledger"))
	require.NoError(t, w.worker.Tenant(t.Context(), w.p.customer, func(tx *store.Tx) error {
		n, err := tx.SettledOf(w.job)
		require.Equal(t, 60, n, "before the proof")
		return err
	}))
}

func TestAPlanIsConsumedByItsFirstBatchAndCanBeFreed(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	consumer := func() (by sweep.ID) {
		require.NoError(t, w.worker.Tenant(t.Context(), w.p.customer, func(tx *store.Tx) error {
			plan, err := tx.Plan(w.plan)
			by = plan.ConsumedBy
			return err
		}))
		return by
	}
	require.True(t, consumer().IsZero(), "claiming consumes nothing")
	w.begin(0)
	require.Equal(t, w.job, consumer())
	free := func(job sweep.ID) {
		require.NoError(t, w.worker.Tenant(t.Context(), w.p.customer, func(tx *store.Tx) error { return tx.Unconsume(w.plan, job) }))
	}
	free(newID(t))
	require.Equal(t, w.job, consumer(), "only its consumer frees it")
	free(w.job)
	require.True(t, consumer().IsZero())
}

func TestUndoGivesQuotaBackWithUndoRowsOnly(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.begin(0)
	w.settle(0, 60)
	w.finish(sweep.Succeeded)
	s := w.submission(w.p, sweep.Undo, 0)
	s.UndoOf = w.job
	w.admit(w.app, s)
	w.c = w.claim(w.worker, w.p, s.Job)
	w.begin(0)
	for range 2 {
		require.NoError(t, w.worker.GiveBack(t.Context(), w.c, 0, 60, time.Now()))
	}
	w.requireUsage(0, 0)
	w.begin(1)
	require.NoError(t, w.worker.GiveBack(t.Context(), w.c, 1, 0, time.Now()))
	w.finish(sweep.Succeeded)
	w.requireUsage(0, 0)
	require.Equal(t, "settle 60, undo -60", ask[string](w.yard, "SELECT string_agg(kind || ' ' || emails, ', ' ORDER BY kind) FROM usage_ledger"), "a batch of an earlier period writes no row")
}

func TestWhatOnlyReadsIsToldToGiveWayToAWriter(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	reads := w.submission(w.p, sweep.Analyze, 0)
	w.admit(w.app, reads)
	analysis := w.claim(w.worker, w.p, reads.Job)
	yields := func(c *store.Claim) bool {
		orders, err := w.worker.Renew(t.Context(), c, store.Beat{Phase: "finding senders"})
		require.NoError(t, err)
		return orders.Yield
	}
	require.True(t, yields(analysis), "an execute runs on the same mailbox")
	require.False(t, yields(w.c), "the writer gives way to nobody")
	w.finish(sweep.Succeeded)
	require.False(t, yields(analysis))
}

// The batches of an undo, and an operator, give back at the same time: all together exactly what the run counts.
func TestNobodyGivesBackWhatAnotherHasGivenBackMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	scheduler := open(t, w.d, "mailsweep_scheduler")
	w.begin(0)
	w.settle(0, 100)
	w.finish(sweep.Succeeded)
	other := w.c
	for range 10 {
		w.again()
		w.begin(0)
		w.settle(0, 100)
		w.finish(sweep.Succeeded)
		s := w.submission(w.p, sweep.Undo, 0)
		s.UndoOf = w.job
		w.admit(w.app, s)
		w.c = w.claim(w.worker, w.p, s.Job)
		var all sync.WaitGroup
		for n := range 4 {
			all.Go(func() {
				if err := w.worker.GiveBack(t.Context(), w.c, n, 60, time.Now()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Go(func() {
			err := w.app.Tenant(t.Context(), w.p.customer, func(tx *store.Tx) error {
				_, err := tx.ResetUsage(sweep.PeriodAt(tx.Now))
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		w.finish(sweep.Succeeded)
		w.requireUsage(0, 0)
		require.Empty(t, w.breaches(scheduler))
	}
	require.Equal(t, -100, ask[int](w.yard, "SELECT sum(emails) FROM usage_ledger WHERE job_id = $1 AND kind = 'ops'", other.ID.String()), "forgiven once")
}
