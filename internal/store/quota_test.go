package store_test

import (
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
	rest     int // reserved and not settled
	batch    int
	want     int
	proved   bool
	open     bool
	touched  bool
	canceled bool
}

// Quota rules 1 to 4: whatever happens in whatever order, used is the sum of the ledger, reserved is what open jobs still hold, and no
// admission goes over the limit.
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
	m.jobs = append(m.jobs, &machineJob{id: s.Job, kind: sweep.Execute, rest: v.Reserved, open: true})
}

func (m *ledgerMachine) undo(r *rapid.T) {
	of := m.one(r, func(j *machineJob) bool {
		return !j.open && j.want > 0 && !slices.ContainsFunc(m.jobs, func(u *machineJob) bool { return u.of == j && u.open })
	})
	if of == nil {
		return
	}
	s := m.submission(m.p, sweep.Undo, 0)
	s.UndoOf = of.id
	m.admit(m.app, s)
	m.jobs = append(m.jobs, &machineJob{id: s.Job, kind: sweep.Undo, of: of, open: true})
}

func (m *ledgerMachine) take(r *rapid.T) {
	j := m.one(r, func(j *machineJob) bool { return j.open && j.claim == nil })
	if j == nil {
		return
	}
	c, ok, err := m.worker.Claim(m.t.Context(), m.p.customer, j.id, m.dispatch(j.id), "w")
	require.NoError(r, err)
	require.True(r, ok)
	require.Equal(r, []any{j.canceled, j.rest}, []any{c.Canceled, c.Reserved - c.Settled})
	j.claim = &c
}

func (m *ledgerMachine) change(r *rapid.T) {
	j := m.one(r, func(j *machineJob) bool { return claimed(j) && (j.rest > 0 || j.of != nil && j.of.want > 0) })
	if j == nil {
		return
	}
	j.touched = true
	require.NoError(r, m.worker.BeginBatch(m.t.Context(), j.claim, j.batch, nil, 1, time.Now()))
	if rapid.Bool().Draw(r, "the call failed") {
		return
	}
	kind, cost := "settle", 0
	if j.of == nil {
		cost = rapid.IntRange(0, j.rest).Draw(r, "messages")
		j.rest -= cost
		j.want += cost
	} else {
		kind, cost = "undo", -rapid.IntRange(0, j.of.want).Draw(r, "messages")
		j.of.want += cost
	}
	require.NoError(r, m.worker.SettleBatch(m.t.Context(), j.claim, j.batch, cost, kind, 1, time.Now()))
	j.batch++
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
	require.NoError(r, m.worker.SettleBatch(m.t.Context(), j.claim, n, 1, "settle", 1, time.Now()))
}

func (m *ledgerMachine) prove(r *rapid.T) {
	j := m.one(r, func(j *machineJob) bool { return claimed(j) && j.of == nil && j.want > 0 })
	if j == nil {
		return
	}
	by := -rapid.IntRange(0, j.want).Draw(r, "less")
	require.NoError(r, m.worker.Fenced(m.t.Context(), j.claim, func(tx *store.Tx) error { return tx.Correct(j.claim, by) }))
	if by < 0 && !j.proved {
		j.want, j.proved = j.want+by, true
	}
}

func (m *ledgerMachine) finish(r *rapid.T) {
	j := m.one(r, claimed)
	if j == nil {
		return
	}
	state := rapid.SampledFrom([]sweep.JobState{sweep.Succeeded, sweep.Failed, sweep.Canceled}).Draw(r, "state")
	require.NoError(r, m.worker.Fenced(m.t.Context(), j.claim, func(tx *store.Tx) error { return tx.Finish(j.claim, store.Ending{State: state}) }))
	j.open, j.rest = false, 0
}

func (m *ledgerMachine) cancel(r *rapid.T) {
	j := m.one(r, func(*machineJob) bool { return true })
	if j == nil {
		return
	}
	err := m.app.Tenant(m.t.Context(), m.p.customer, func(tx *store.Tx) error { return tx.RequestCancel(j.id) })
	if !j.open {
		require.Equal(r, sweep.Conflict, sweep.CodeOf(err))
		return
	}
	require.NoError(r, err)
	if j.canceled = true; j.claim == nil && !j.touched {
		j.open, j.rest = false, 0
	}
}

func (m *ledgerMachine) park(r *rapid.T) {
	j := m.one(r, claimed)
	if j == nil {
		return
	}
	require.NoError(r, m.worker.Park(m.t.Context(), j.claim, time.Duration(rapid.IntRange(0, 1).Draw(r, "wait"))*time.Hour, "parked", nil))
	j.claim = nil
}

// die leaves the claim behind: it is sent back to the queue, and what it still tries is refused.
func (m *ledgerMachine) die(r *rapid.T) {
	j := m.one(r, claimed)
	if j == nil {
		return
	}
	m.set(j.id, "state = 'queued'")
	require.ErrorIs(r, m.worker.SettleBatch(m.t.Context(), j.claim, j.batch, 1, "settle", 1, time.Now()), store.ErrFenced)
	j.claim = nil
}

func (m *ledgerMachine) endUnclaimed(r *rapid.T) {
	j := m.one(r, func(*machineJob) bool { return true })
	if j == nil {
		return
	}
	require.NoError(r, m.app.Tenant(m.t.Context(), m.p.customer, func(tx *store.Tx) error { return tx.EndUnclaimed(j.id, sweep.Failed, sweep.Internal, "") }))
	j.open, j.rest = false, 0
}

func (m *ledgerMachine) check(r *rapid.T) {
	c, want, held := m.p.customer.String(), 0, 0
	for _, j := range m.jobs {
		want, held = want+j.want, held+j.rest
	}
	got := ask[[]int](m.yard, `SELECT ARRAY[coalesce(sum(used), 0), coalesce(sum(reserved), 0),
		(SELECT coalesce(sum(emails), 0) FROM usage_ledger WHERE customer_id = $1),
		(SELECT coalesce(sum(reserved - settled), 0) FROM jobs WHERE customer_id = $1 AND state NOT IN ('succeeded','failed','canceled'))]::int[]
		FROM usage_tracking WHERE customer_id = $1`, c)
	require.Equal(r, []int{want, held, want, held}, got, "used, reserved, the ledger, what open jobs hold")
}
