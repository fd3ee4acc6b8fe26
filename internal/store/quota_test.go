package store_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// ledgerMachine is a customer whose jobs go their ways in any order.
type ledgerMachine struct {
	*yard
	app, worker *store.DB
	p           place
	jobs        []*machineJob
}

// machineJob is what the machine knows of a job; want is what it must have been charged.
type machineJob struct {
	id       sweep.ID
	kind     sweep.JobKind
	of       *machineJob
	claim    *store.Claim
	state    sweep.JobState
	rest     int // reserved and not settled
	need     int // the same, also when the job is over
	batch    int
	want     int
	proved   bool
	open     bool
	touched  bool
	canceled bool
	pausing  bool
}

// Quota rules 1 to 4: whatever happens in whatever order, used is the sum of the ledger, reserved is what open jobs still hold, and no
// admission goes over the limit; no undo, proof or reset gives back more than is still counted.
func TestUsedIsTheLedgerAndReservedIsOpen(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	app, worker := open(t, y.d, "mailsweep_app"), open(t, y.d, "mailsweep_worker")
	checks := 0
	rapid.Check(t, func(r *rapid.T) {
		checks++
		m := &ledgerMachine{yard: y, app: app, worker: worker, p: y.place(fmt.Sprint("account ", checks))}
		r.Repeat(map[string]func(*rapid.T){
			"": m.check, "submit": m.submit, "undo": m.undo, "claim": m.take, "batch": m.change, "settle twice": m.settleTwice, "proof": m.prove,
			"finish": m.finish, "cancel": m.cancel, "park": m.park, "die": m.die, "end unclaimed": m.endUnclaimed,
			"reset": m.reset, "pause": m.pause, "resume": m.resume, "stumble": m.stumble, "rerun": m.rerun, "repair": m.repair,
		})
	})
}

// one draws a job that fits; nil if none does.
func (m *ledgerMachine) one(r *rapid.T, fits func(*machineJob) bool) *machineJob {
	var fit []*machineJob
	for _, j := range m.jobs {
		if fits(j) {
			fit = append(fit, j)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return rapid.SampledFrom(fit).Draw(r, "job")
}

func claimed(j *machineJob) bool { return j.open && j.claim != nil }

func (m *ledgerMachine) submit(r *rapid.T) {
	s := m.submission(m.p, sweep.Execute, rapid.SampledFrom([]int{0, 1, 60, 150, 400, 501}).Draw(r, "messages"))
	s.Limit, s.Partial = rapid.SampledFrom([]int{limit, limit, 5000, 100}).Draw(r, "limit"), rapid.Bool().Draw(r, "partial")
	v, err := m.app.Submit(m.t.Context(), s)
	require.NoError(r, err)
	used, reserved := m.usage(m.p)
	if !v.Admitted {
		require.Greater(r, s.Reserve, max(0, s.Limit-used-reserved), "it would have fitted")
		return
	}
	require.True(r, s.Reserve == 0 || used+reserved <= s.Limit, "%d + %d of %d", used, reserved, s.Limit)
	m.jobs = append(m.jobs, &machineJob{id: s.Job, kind: sweep.Execute, state: sweep.Queued, rest: v.Reserved, need: v.Reserved, open: true})
}

func (m *ledgerMachine) undo(r *rapid.T) {
	of := m.one(r, func(j *machineJob) bool {
		return !j.open && j.batch > 0 && j.of == nil && !slices.ContainsFunc(m.jobs, func(u *machineJob) bool { return u.of == j && u.open })
	})
	if of == nil {
		return
	}
	s := m.submission(m.p, sweep.Undo, 0)
	s.UndoOf = of.id
	m.admit(m.app, s)
	m.jobs = append(m.jobs, &machineJob{id: s.Job, kind: sweep.Undo, of: of, state: sweep.Queued, open: true})
}

func (m *ledgerMachine) take(r *rapid.T) {
	j := m.one(r, func(j *machineJob) bool { return j.open && j.claim == nil && j.state != sweep.Paused })
	if j == nil {
		return
	}
	m.happens(r, j, sweep.Dispatch, sweep.Claim)
	c, ok, err := m.worker.Claim(m.t.Context(), m.p.customer, j.id, m.dispatch(j.id), store.Worker{Name: "w"})
	require.NoError(r, err)
	require.True(r, ok)
	require.Equal(r, []any{j.canceled, j.rest}, []any{c.Canceled, c.Reserved - c.Settled})
	j.claim = &c
}

func (m *ledgerMachine) change(r *rapid.T) {
	j := m.one(r, func(j *machineJob) bool { return claimed(j) && (j.rest > 0 || j.of != nil) })
	if j == nil {
		return
	}
	j.touched = true
	require.NoError(r, m.worker.BeginBatch(m.t.Context(), j.claim, j.batch, nil, 1, time.Now()))
	if rapid.Bool().Draw(r, "the call failed") {
		return
	}
	if j.of == nil {
		cost := rapid.IntRange(0, j.rest).Draw(r, "messages")
		j.rest -= cost
		j.need -= cost
		j.want += cost
		require.NoError(r, m.worker.SettleBatch(m.t.Context(), j.claim, j.batch, cost, time.Now()))
	} else {
		back := rapid.IntRange(0, 150).Draw(r, "messages")
		j.of.want -= min(back, j.of.want)
		for range rapid.IntRange(1, 2).Draw(r, "times") {
			require.NoError(r, m.worker.GiveBack(m.t.Context(), j.claim, j.batch, back, time.Now()))
		}
	}
	j.batch++
}

// reset forgives what every run counts, and no more of it later.
func (m *ledgerMachine) reset(r *rapid.T) {
	used := 0
	for _, j := range m.jobs {
		used, j.want = used+j.want, 0
	}
	require.NoError(r, m.app.Tenant(m.t.Context(), m.p.customer, func(tx *store.Tx) error {
		forgiven, err := tx.ResetUsage(sweep.PeriodAt(tx.Now))
		require.Equal(r, used, forgiven)
		return err
	}))
}

func (m *ledgerMachine) settleTwice(r *rapid.T) {
	j := m.one(r, func(j *machineJob) bool { return claimed(j) && j.of == nil && j.batch > 0 })
	if j == nil {
		return
	}
	n := rapid.IntRange(0, j.batch-1).Draw(r, "batch")
	if ask[int64](m.yard, "SELECT count(*) FROM usage_ledger WHERE job_id = $1 AND batch_no = $2", j.id.String(), n) == 0 {
		return
	}
	require.NoError(r, m.worker.SettleBatch(m.t.Context(), j.claim, n, 1, time.Now()))
}

func (m *ledgerMachine) prove(r *rapid.T) {
	j := m.one(r, func(j *machineJob) bool { return claimed(j) && j.of == nil })
	if j == nil {
		return
	}
	less := rapid.IntRange(0, 150).Draw(r, "less")
	require.NoError(r, m.worker.Fenced(m.t.Context(), j.claim, func(tx *store.Tx) error { return tx.Correct(j.claim, -less) }))
	if less = min(less, j.want); less > 0 && !j.proved {
		j.want, j.proved = j.want-less, true
	}
}

func (m *ledgerMachine) finish(r *rapid.T) {
	j := m.one(r, claimed)
	if j == nil {
		return
	}
	e := store.Ending{State: rapid.SampledFrom([]sweep.JobState{sweep.Succeeded, sweep.Failed, sweep.Canceled}).Draw(r, "state")}
	if rapid.Bool().Draw(r, "in one round trip") {
		require.NoError(r, m.worker.Finish(m.t.Context(), j.claim, e))
	} else {
		require.NoError(r, m.worker.Fenced(m.t.Context(), j.claim, func(tx *store.Tx) error { return tx.Finish(j.claim, e) }))
	}
	require.ErrorIs(r, m.worker.Finish(m.t.Context(), j.claim, e), store.ErrFenced, "over is over")
	m.ends(r, j, e.State.Ends())
}

// happens moves the model of a job.
func (m *ledgerMachine) happens(r *rapid.T, j *machineJob, events ...sweep.Event) {
	for _, e := range events {
		next, err := j.state.After(e)
		require.NoError(r, err)
		j.state = next
	}
}

func (m *ledgerMachine) ends(r *rapid.T, j *machineJob, e sweep.Event) {
	m.happens(r, j, e)
	j.open, j.rest, j.claim = false, 0, nil
}

// order does what a person wants of some job.
func (m *ledgerMachine) order(r *rapid.T, ask func(*store.Tx, sweep.ID) error) (*machineJob, error) {
	j := m.one(r, func(*machineJob) bool { return true })
	if j == nil {
		return nil, nil
	}
	return j, m.app.Tenant(m.t.Context(), m.p.customer, func(tx *store.Tx) error { return ask(tx, j.id) })
}

func (m *ledgerMachine) pause(r *rapid.T) {
	j, err := m.order(r, (*store.Tx).RequestPause)
	switch {
	case j == nil:
	case !j.open:
		require.Equal(r, sweep.Conflict, sweep.CodeOf(err))
	case j.canceled:
		require.Equal(r, sweep.Conflict, sweep.CodeOf(err))
	case j.claim == nil && j.state != sweep.Paused:
		require.NoError(r, err)
		m.happens(r, j, sweep.Pause)
		j.pausing = false
	default:
		require.NoError(r, err, "a running job hears of it at its next heartbeat")
		j.pausing = j.claim != nil
	}
}

func (m *ledgerMachine) resume(r *rapid.T) {
	j, err := m.order(r, (*store.Tx).Resume)
	switch {
	case j == nil:
	case !j.open:
		require.Equal(r, sweep.Conflict, sweep.CodeOf(err))
	default:
		require.NoError(r, err)
		j.pausing = false
		if j.state == sweep.Paused {
			m.happens(r, j, sweep.Resume)
		}
	}
}

// stumble breaks the work on a job, too often in a row if need be: it is given up then.
func (m *ledgerMachine) stumble(r *rapid.T) {
	j := m.one(r, claimed)
	if j == nil {
		return
	}
	poison, err := m.worker.Stumble(m.t.Context(), j.claim, "why")
	require.NoError(r, err)
	if poison {
		require.NoError(r, m.worker.Finish(m.t.Context(), j.claim, store.Ending{State: sweep.Failed, Code: sweep.Internal}))
		m.ends(r, j, sweep.Fail)
		return
	}
	m.happens(r, j, sweep.HandBack)
	j.claim = nil
}

func (m *ledgerMachine) rerun(r *rapid.T) {
	within := rapid.SampledFrom([]int{limit, 5000, 100}).Draw(r, "limit")
	used, reserved := m.usage(m.p)
	j, err := m.order(r, func(tx *store.Tx, id sweep.ID) error { return tx.Rerun(id, within) })
	switch {
	case j == nil:
	case j.state != sweep.Failed:
		require.Equal(r, sweep.Conflict, sweep.CodeOf(err))
	case m.taken(j):
		require.Equal(r, sweep.Conflict, sweep.CodeOf(err), "an undo of it is open or, for an undo, another one")
	case j.need > 0 && used+reserved+j.need > within:
		require.Equal(r, sweep.QuotaExceeded, sweep.CodeOf(err))
	default:
		require.NoError(r, err)
		m.happens(r, j, sweep.Rerun)
		j.open, j.rest, j.canceled, j.pausing = true, j.need, false, false
	}
}

// taken says that another job has taken up what a failed one left.
func (m *ledgerMachine) taken(failed *machineJob) bool {
	run := cmp.Or(failed.of, failed)
	return slices.ContainsFunc(m.jobs, func(o *machineJob) bool { return o.open && o != failed && o.of == run })
}

func (m *ledgerMachine) repair(r *rapid.T) {
	require.NoError(r, m.app.Tenant(m.t.Context(), m.p.customer, func(tx *store.Tx) error {
		drifts, err := tx.RepairReservations()
		require.Empty(r, drifts, "nothing to repair")
		return err
	}))
}

func (m *ledgerMachine) cancel(r *rapid.T) {
	j := m.one(r, func(*machineJob) bool { return true })
	if j == nil {
		return
	}
	err := m.app.Tenant(m.t.Context(), m.p.customer, func(tx *store.Tx) error { return tx.RequestCancel(j.id) })
	switch {
	case j.state == sweep.Canceled:
		require.NoError(r, err, "it may be asked again")
		return
	case !j.open:
		require.Equal(r, sweep.Conflict, sweep.CodeOf(err))
		return
	}
	require.NoError(r, err)
	switch j.canceled = true; {
	case j.claim == nil && !j.touched:
		m.ends(r, j, sweep.Cancel)
	case j.state == sweep.Waiting || j.state == sweep.Paused:
		m.happens(r, j, sweep.Wake)
	}
}

func (m *ledgerMachine) park(r *rapid.T) {
	j := m.one(r, claimed)
	if j == nil {
		return
	}
	p := rapid.SampledFrom([]store.Parking{{Event: sweep.HandBack}, {Event: sweep.Wait, For: time.Hour}, {Event: sweep.Pause}}).Draw(r, "parking")
	require.NoError(r, m.worker.Park(m.t.Context(), j.claim, p))
	switch {
	case j.canceled:
		p.Event = sweep.HandBack
	case j.pausing:
		p.Event = sweep.Pause
	case p.Event == sweep.Pause:
		p.Event = sweep.HandBack // taken back meanwhile
	}
	m.happens(r, j, p.Event)
	j.claim, j.pausing = nil, false
}

// die leaves the claim behind: it is sent back to the queue, and what it still tries is refused.
func (m *ledgerMachine) die(r *rapid.T) {
	j := m.one(r, claimed)
	if j == nil {
		return
	}
	m.set(j.id, "state = 'queued'")
	m.happens(r, j, sweep.Lose)
	require.ErrorIs(r, m.worker.SettleBatch(m.t.Context(), j.claim, j.batch, 1, time.Now()), store.ErrFenced)
	j.claim = nil
}

func (m *ledgerMachine) endUnclaimed(r *rapid.T) {
	j := m.one(r, func(*machineJob) bool { return true })
	if j == nil {
		return
	}
	require.NoError(r, m.app.Tenant(m.t.Context(), m.p.customer, func(tx *store.Tx) error { return tx.EndUnclaimed(j.id, sweep.Failed, sweep.Internal, "") }))
	if j.open {
		m.ends(r, j, sweep.Fail)
	}
}

func (m *ledgerMachine) check(r *rapid.T) {
	c, want, held := m.p.customer.String(), 0, 0
	for _, j := range m.jobs {
		want, held = want+j.want, held+j.rest
		require.Equal(r, string(j.state), ask[string](m.yard, "SELECT state FROM jobs WHERE id = $1", j.id.String()))
	}
	got := ask[[]int](m.yard, `SELECT ARRAY[coalesce(sum(used), 0), coalesce(sum(reserved), 0),
		(SELECT coalesce(sum(emails), 0) FROM usage_ledger WHERE customer_id = $1),
		(SELECT coalesce(sum(reserved - settled), 0) FROM jobs WHERE customer_id = $1 AND state NOT IN ('succeeded','failed','canceled'))]::int[]
		FROM usage_tracking WHERE customer_id = $1`, c)
	require.Equal(r, []int{want, held, want, held}, got, "used, reserved, the ledger, what open jobs hold")
}
