package store_test

import (
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// tenant is a customer at the turn of a month: what it had reserved before, in a worker's hands or not.
type tenant struct {
	place
	old   store.Submission
	claim *store.Claim
}

// month is many tenants at the turn of a month, on a clock of their own.
type month struct {
	*yard
	app, worker, scheduler *store.DB
	tenants                []*tenant
	turn                   time.Time
}

// each does something for all tenants, some at once.
func (m *month) each(f func(*tenant) error) {
	m.t.Helper()
	var all sync.WaitGroup
	line := make(chan *tenant)
	for range 4 {
		all.Go(func() {
			for one := range line {
				if err := f(one); err != nil {
					m.t.Error(err)
				}
			}
		})
	}
	for _, one := range m.tenants {
		line <- one
	}
	close(line)
	all.Wait()
	if m.t.Failed() {
		m.t.FailNow()
	}
}

// ask submits an execute of n messages when it is that time.
func (m *month) ask(p place, at time.Time, n int) (store.Submission, store.Verdict, error) {
	s := m.submission(p, sweep.Execute, n)
	s.Now = at
	v, err := m.app.Submit(m.t.Context(), s)
	return s, v, err
}

// fills wants a period to have room for exactly so many messages at that time.
func (m *month) fills(one *tenant, at time.Time, room int) (s store.Submission) {
	if _, v, err := m.ask(one.place, at, room+1); err != nil || v.Admitted {
		m.t.Errorf("%s: %d messages admitted, room was for %d: %v", at, room+1, room, err)
	}
	if room == 0 {
		return s
	}
	s, v, err := m.ask(one.place, at, room)
	if err != nil || !v.Admitted {
		m.t.Errorf("%s: %d messages refused: %+v %v", at, room, v, err)
	}
	return s
}

// before fills the old month to the last millisecond; some of it runs, and is half done, when the month turns.
func (m *month) before(running int) {
	m.each(func(one *tenant) error { one.old = m.fills(one, m.turn.Add(-time.Millisecond), limit); return nil })
	for _, one := range m.tenants[:running] {
		one.claim = m.claim(m.worker, one.place, one.old.Job)
	}
	m.each(func(one *tenant) error {
		if one.claim == nil {
			return nil
		}
		return m.worker.SettleBatch(m.t.Context(), one.claim, 0, limit/2, m.turn.Add(-time.Millisecond))
	})
}

// after finds the new month whole at once, then lets clocks that step back by up to five minutes find nothing more in either, and ends what ran.
func (m *month) after() {
	m.each(func(one *tenant) error { m.fills(one, m.turn, limit); return nil })
	m.each(func(one *tenant) error {
		back := m.turn.Add(-time.Duration(1 + rand.Int64N(int64(5*time.Minute))))
		m.fills(one, back, 0)
		m.fills(one, m.turn.Add(time.Second), 0)
		if one.claim == nil {
			return nil
		}
		if err := m.worker.SettleBatch(m.t.Context(), one.claim, 1, limit/2, back); err != nil {
			return err
		}
		return m.worker.Finish(m.t.Context(), one.claim, store.Ending{State: sweep.Succeeded})
	})
	m.each(m.judge)
}

// judge wants every unit in exactly one month, and books that agree.
func (m *month) judge(one *tenant) error {
	want := map[time.Time][2]int{sweep.PeriodAt(m.turn.Add(-1)).Start: {0, limit}, m.turn: {0, limit}}
	if one.claim != nil {
		want[sweep.PeriodAt(m.turn.Add(-1)).Start] = [2]int{limit, 0}
	}
	return m.scheduler.Tenant(m.t.Context(), one.customer, func(tx *store.Tx) error {
		var rows []struct {
			PeriodStart    time.Time
			Used, Reserved int
		}
		if err := tx.Raw("SELECT period_start, used, reserved FROM usage_tracking").Scan(&rows).Error; err != nil {
			return err
		}
		for _, r := range rows {
			if got := [2]int{r.Used, r.Reserved}; got != want[r.PeriodStart.UTC()] || len(rows) != 2 {
				m.t.Errorf("%s of %d months: used and reserved %v, want %v", r.PeriodStart, len(rows), got, want[r.PeriodStart.UTC()])
			}
		}
		found, err := tx.QuotaBreaches()
		if len(found) > 0 {
			m.t.Errorf("the books: %+v", found)
		}
		drifts, again := tx.RepairReservations()
		if len(drifts) > 0 {
			m.t.Errorf("there was something to repair: %+v", drifts)
		}
		if err == nil {
			err = again
		}
		return err
	})
}

// A fifth of the tenants has jobs running over midnight of the 1st: a unit counts in the month in which it was reserved, whoever comes at
// 00:00:00.000 finds the whole quota, and a clock that steps back finds nothing twice. Leap days and the year's end are months as others.
func TestAMonthTurnsOverRunningJobs(t *testing.T) {
	t.Parallel()
	tenants, running := 30, 6
	if os.Getenv("FULL") != "" {
		tenants, running = 1000, 200
	}
	y := newYard(t)
	m := &month{yard: y, app: openFour(t, y.d, "mailsweep_app"), worker: openFour(t, y.d, "mailsweep_worker"), scheduler: openFour(t, y.d, "mailsweep_scheduler")}
	for _, turn := range []time.Time{time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 3, 1, 0, 0, 0, 0, time.UTC)} {
		m.tenants, m.turn = nil, turn
		_, err := m.scheduler.EnsurePartitions(t.Context(), turn.AddDate(0, -1, 0), 2)
		require.NoError(t, err)
		for range tenants {
			m.tenants = append(m.tenants, &tenant{place: y.place("a")})
		}
		m.before(running)
		m.after()
	}
}

// 64 at once want of the last ten units: they are granted exactly those.
func TestTheLastUnitsAreGrantedExactly(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := openFour(t, y.d, "mailsweep_app")
	for _, c := range []struct {
		each    int
		partial bool
		granted int64
	}{{1, false, 10}, {3, false, 9}, {3, true, 10}} {
		p := y.place("a")
		y.exec("INSERT INTO usage_tracking (customer_id, period_start, used) VALUES ($1, $2, $3)", p.customer.String(), sweep.PeriodAt(time.Now()).Start, limit-10)
		var all sync.WaitGroup
		var granted atomic.Int64
		for range 64 {
			s := y.submission(p, sweep.Execute, c.each)
			s.Partial = c.partial
			all.Go(func() {
				v, err := db.Submit(t.Context(), s)
				if err != nil {
					t.Error(err)
				}
				if v.Admitted {
					granted.Add(int64(v.Reserved))
				}
			})
		}
		all.Wait()
		used, reserved := y.usage(p)
		require.Equal(t, []int64{c.granted, limit - 10 + c.granted}, []int64{granted.Load(), int64(used + reserved)}, "%+v", c)
	}
}

// planned is what the plan in force allows now, as a submission sees it.
func (w *workshop) planned(messages int) (s store.Submission) {
	w.t.Helper()
	s = w.submission(w.p, sweep.Execute, messages)
	w.tenant(w.app, func(tx *store.Tx) error {
		c, err := tx.LoadCustomer()
		s.PlanVersion, s.Limit, s.Now = c.PlanVersion, sweep.DefaultPlans().PlanAt(c.Customer, tx.Now).Emails, tx.Now
		return err
	})
	return s
}

// Whoever changes plans back and forth gets no fresh quota: what was used stays, and the best of the plans bounds the month.
func TestFiftyTogglesOfThePlanGiveNothingExtra(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	require.NoError(t, w.cancel(w.job))
	w.finish(sweep.Canceled)
	admitted := 0
	for i := range 50 {
		w.exec("UPDATE customers SET plan = $2, plan_version = plan_version + 1 WHERE id = $1", w.p.customer.String(), string([]sweep.Tier{sweep.Basic, sweep.Free}[i%2]))
		s := w.planned(500)
		v, err := w.app.Submit(t.Context(), s)
		require.NoError(t, err)
		require.False(t, v.Stale)
		admitted += v.Reserved
		require.LessOrEqual(t, admitted, 5_000)
	}
	require.Equal(t, 5_000, admitted, "the larger plan's quota, once")
}

// What is reserved is done, whatever becomes of the plan: it shrinks, the trial ends. Nothing more is taken on.
func TestReservedWorkOutlivesThePlan(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{
		"downgrade":    "UPDATE customers SET plan = 'free', plan_version = plan_version + 1",
		"end of trial": "UPDATE customers SET plan = 'free', trial_ends_at = now(), plan_version = plan_version + 1",
		"not paid":     "UPDATE customers SET plan_past_due_at = now() - interval '8 days', plan_version = plan_version + 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			require.NoError(t, w.cancel(w.job))
			w.finish(sweep.Canceled)
			w.exec("UPDATE customers SET plan = 'basic', trial_ends_at = now() + interval '1 day', plan_version = plan_version + 1")
			s := w.planned(4_000)
			w.admit(w.app, s)
			waits := w.planned(900)
			w.admit(w.app, waits)
			w.c = w.claim(w.worker, w.p, s.Job)
			w.begin(0)
			w.settle(0, 1_000)
			w.exec(end)
			w.exec("UPDATE customers SET trial_ends_at = NULL WHERE trial_ends_at > now()")
			require.Equal(t, 500, w.planned(0).Limit)
			orders, err := w.worker.Renew(t.Context(), w.c, store.Beat{})
			require.NoError(t, err)
			require.Equal(t, store.Orders{}, orders, "nobody tells it to stop")
			w.begin(1)
			w.settle(1, 3_000)
			w.finish(sweep.Succeeded)
			w.c = w.claim(w.worker, w.p, waits.Job)
			w.begin(0)
			w.settle(0, 900)
			w.finish(sweep.Succeeded)
			w.requireUsage(4_900, 0)
			w.refuse(w.app, w.planned(1))
		})
	}
}
