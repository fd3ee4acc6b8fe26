package store_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

const limit = 500

// submission is a job of p that nothing speaks against.
func (y *yard) submission(p place, kind sweep.JobKind, reserve int) store.Submission {
	y.t.Helper()
	return store.Submission{Customer: p.customer, PlanVersion: 1, Weight: 1, EstimatedUnits: 100, Job: newID(y.t), Mailbox: p.mailbox, Account: []byte("a"), Kind: kind,
		Reserve: reserve, Limit: limit, Now: time.Now().UTC(), MaxOpen: 1000, MaxExecutes: 1000, Actor: sweep.Actor{Kind: sweep.ByToken, Customer: p.customer, RequestID: "req"}}
}

// admit submits and wants it admitted.
func (y *yard) admit(db *store.DB, s store.Submission) store.Verdict {
	y.t.Helper()
	v, err := db.Submit(y.t.Context(), s)
	require.NoError(y.t, err)
	require.True(y.t, v.Admitted, "%+v", v)
	return v
}

// refuse submits and wants it refused.
func (y *yard) refuse(db *store.DB, s store.Submission) store.Verdict {
	y.t.Helper()
	v, err := db.Submit(y.t.Context(), s)
	require.NoError(y.t, err)
	require.False(y.t, v.Admitted)
	require.Zero(y.t, ask[int64](y, "SELECT count(*) FROM jobs WHERE id = $1", s.Job.String()))
	return v
}

// prepared is a cleanup plan of n messages.
func (y *yard) prepared(p place, n int) sweep.ID {
	y.t.Helper()
	id := newID(y.t)
	y.exec(`INSERT INTO cleanup_plans (customer_id, id, mailbox_id, account, generation, action, head, ids, messages, bytes, history_id, made_by, made_at, expires_at)
		VALUES ($1, $2, $3, 'a', 1, 'trash', '', 'ids', $4, 1, 1, $2, now(), now() + interval '7 days')`, p.customer.String(), id.String(), p.mailbox.String(), n)
	return id
}

// usage is what usage_tracking says of a customer, over all periods.
func (y *yard) usage(p place) (used, reserved int) {
	y.t.Helper()
	return ask[int](y, "SELECT coalesce(sum(used), 0) FROM usage_tracking WHERE customer_id = $1", p.customer.String()),
		ask[int](y, "SELECT coalesce(sum(reserved), 0) FROM usage_tracking WHERE customer_id = $1", p.customer.String())
}

// audited is how many entries the customer's chain has.
func (y *yard) audited(p place) int64 {
	y.t.Helper()
	return ask[int64](y, "SELECT count(*) FROM audit_logs WHERE customer_id = $1", p.customer.String())
}

// Quota rule 1: 100 prepared plans each of two customers at once over four connections, room for 7 of each.
func TestQuotaIsNeverOversold(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := openFour(t, y.d, "mailsweep_app")
	places := []place{y.place("a"), y.place("b")}
	var submissions []store.Submission
	for range 100 {
		for _, p := range places {
			s := y.submission(p, sweep.Execute, 68)
			s.CleanupPlan = y.prepared(p, 68)
			submissions = append(submissions, s)
		}
	}
	var all sync.WaitGroup
	var admitted [2]atomic.Int32
	for i, s := range submissions {
		all.Go(func() {
			v, err := db.Submit(t.Context(), s)
			if err != nil {
				t.Error(err)
			}
			if v.Admitted {
				admitted[i%2].Add(1)
			}
			if sum := v.Quota.Used + v.Quota.Reserved; sum > limit {
				t.Errorf("%d of %d", sum, limit)
			}
		})
	}
	all.Wait()
	for i, p := range places {
		used, reserved := y.usage(p)
		require.Equal(t, []int{7, 0, 7 * 68}, []int{int(admitted[i].Load()), used, reserved})
		require.Equal(t, int64(7), ask[int64](y, "SELECT count(*) FROM jobs WHERE customer_id = $1 AND reserved = 68", p.customer.String()))
		require.Equal(t, int64(7), y.audited(p), "each admission is in the audit log, no refusal")
		require.Equal(t, 700.0, ask[float64](y, "SELECT vt FROM customers WHERE id = $1", p.customer.String()), "virtual time grows with what was admitted")
	}
}

func TestPartialReservesWhatFits(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, p := open(t, y.d, "mailsweep_app"), y.place("a")
	y.admit(db, y.submission(p, sweep.Execute, 450))
	over := y.submission(p, sweep.Execute, 60)
	require.Equal(t, 450, y.refuse(db, over).Quota.Reserved)
	over.Partial = true
	require.Equal(t, 50, y.admit(db, over).Reserved)
	more := y.submission(p, sweep.Execute, 60)
	more.Partial = true
	require.Zero(t, y.refuse(db, more).Quota.Remaining(), "nothing fits any more")
	_, reserved := y.usage(p)
	require.Equal(t, limit, reserved)
	y.admit(db, y.submission(p, sweep.Undo, 0))
	shrunk := y.submission(p, sweep.Execute, 1)
	shrunk.Limit, shrunk.Partial = 10, true
	y.refuse(db, shrunk)

	fresh := y.place("b")
	y.refuse(db, y.submission(fresh, sweep.Execute, limit+1))
	first := y.submission(fresh, sweep.Execute, limit+1)
	first.Partial = true
	require.Equal(t, limit, y.admit(db, first).Reserved, "also where the period has no row yet")
}

// A reservation belongs to the period in which it was made.
func TestANewMonthHasTheFullQuota(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, p := open(t, y.d, "mailsweep_app"), y.place("a")
	next := sweep.PeriodAt(time.Now()).End
	for _, now := range []time.Time{next.Add(-time.Millisecond), next} {
		s := y.submission(p, sweep.Execute, limit)
		s.Now = now
		y.admit(db, s)
		s.Job, s.Reserve = newID(t), 1
		y.refuse(db, s)
	}
	require.Equal(t, int64(2), ask[int64](y, "SELECT count(*) FROM usage_tracking WHERE reserved = $1", limit))
}

// Executed at once 20 times, a plan makes one job, and everybody else is told which.
func TestACleanupPlanIsExecutedOnce(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, p := openFour(t, y.d, "mailsweep_app"), y.place("a")
	plan := y.prepared(p, 5)
	var all sync.WaitGroup
	var mu sync.Mutex
	told, first := map[sweep.ID]int{}, sweep.ID{}
	for range 20 {
		s := y.submission(p, sweep.Execute, 5)
		s.CleanupPlan = plan
		all.Go(func() {
			v, err := db.Submit(t.Context(), s)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if v.Admitted {
				first = s.Job
			} else {
				told[v.PlanJob]++
			}
		})
	}
	all.Wait()
	require.Equal(t, map[sweep.ID]int{first: 19}, told)
	y.set(first, "state = 'succeeded'")
	again := y.submission(p, sweep.Execute, 5)
	again.CleanupPlan = plan
	y.exec("UPDATE cleanup_plans SET consumed_by = $1 WHERE id = $2", first.String(), plan.String())
	require.Equal(t, first, y.refuse(db, again).PlanJob, "also when it is over")
	y.exec("UPDATE cleanup_plans SET consumed_by = NULL WHERE id = $1", plan.String())
	y.admit(db, again)
}

func TestARunIsUndoneOnceAtATime(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, p := open(t, y.d, "mailsweep_app"), y.place("a")
	plan, run := y.prepared(p, 5), y.job(p, "a", sweep.Execute, 1)
	y.set(run, "state = 'succeeded'")
	y.exec("INSERT INTO cleanup_runs (customer_id, job_id, plan_id, mailbox_id, action, state, planned, started_at) VALUES ($1, $2, $3, $4, 'trash', 'succeeded', 1, now())",
		p.customer.String(), run.String(), plan.String(), p.mailbox.String())
	undo := func() store.Submission {
		s := y.submission(p, sweep.Undo, 0)
		s.UndoOf = run
		return s
	}
	first := undo()
	y.admit(db, first)
	require.Equal(t, first.Job, y.refuse(db, undo()).UndoJob, "while it is open")
	y.set(first.Job, "state = 'failed'")
	second := undo()
	y.admit(db, second)
	y.set(second.Job, "state = 'succeeded'")
	y.exec("UPDATE cleanup_runs SET undone_by = $1", second.Job.String())
	require.Equal(t, second.Job, y.refuse(db, undo()).UndoJob, "and after it")
}

func TestAnOpenAnalysisIsJoined(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, p := open(t, y.d, "mailsweep_app"), y.place("a")
	first := y.submission(p, sweep.Analyze, 0)
	y.admit(db, first)
	require.Equal(t, first.Job, y.refuse(db, y.submission(p, sweep.Analyze, 0)).SameJob)
	y.admit(db, y.submission(p, sweep.DryRun, 0))
	y.set(first.Job, "state = 'succeeded'")
	y.admit(db, y.submission(p, sweep.Analyze, 0))
}

// The caps hold when all submit at once.
func TestOpenJobsAndExecutesADayAreCappedExactly(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := openFour(t, y.d, "mailsweep_app")
	flood := func(p place, kind sweep.JobKind, maxOpen, maxExecutes int) (admitted int, refusals []store.Verdict) {
		var all sync.WaitGroup
		var mu sync.Mutex
		for range 40 {
			s := y.submission(p, kind, 0)
			s.MaxOpen, s.MaxExecutes = maxOpen, maxExecutes
			all.Go(func() {
				v, err := db.Submit(t.Context(), s)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if v.Admitted {
					admitted++
				} else {
					refusals = append(refusals, v)
				}
			})
		}
		all.Wait()
		return admitted, refusals
	}
	p := y.place("a")
	n, refusals := flood(p, sweep.DryRun, 20, 100)
	require.Equal(t, 20, n)
	require.True(t, refusals[0].TooManyOpen && !refusals[0].TooManyRuns)
	y.exec("UPDATE jobs SET state = 'canceled'")
	n, refusals = flood(p, sweep.Execute, 100, 11)
	require.Equal(t, 11, n)
	require.True(t, refusals[0].TooManyRuns && !refusals[0].TooManyOpen)
	y.exec("UPDATE jobs SET state = 'canceled'")
	late := y.submission(p, sweep.Execute, 0)
	late.MaxExecutes = 11
	y.refuse(db, late)
	late.Now = late.Now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	y.admit(db, late)
}

func TestAStaleASuspendedCustomerAndAHaltAreTold(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, p := open(t, y.d, "mailsweep_app"), y.place("a")
	stale := y.submission(p, sweep.Execute, 1)
	stale.PlanVersion = 2
	require.True(t, y.refuse(db, stale).Stale)
	y.exec("UPDATE customers SET suspended_at = now()")
	require.True(t, y.refuse(db, y.submission(p, sweep.Execute, 1)).Stale)
	y.exec("UPDATE customers SET suspended_at = NULL")
	require.True(t, y.refuse(db, y.submission(place{newID(t), p.mailbox}, sweep.Execute, 1)).Stale, "a customer that is not there")

	q := y.place("b")
	for _, halt := range []struct {
		scope, value string
		kind         sweep.JobKind
		stops        place
	}{
		{"all", "", sweep.Analyze, q},
		{"kind", "execute", sweep.Execute, q},
		{"customer", p.customer.String(), sweep.DryRun, p},
	} {
		y.exec("INSERT INTO halts (id, scope, value, reason, created_by, created_at) VALUES ($1, $2, $3, 'why', 'ops', now())", newID(t).String(), halt.scope, halt.value)
		require.Equal(t, "why", y.refuse(db, y.submission(halt.stops, halt.kind, 0)).Halted, "%+v", halt)
		if halt.scope != "all" {
			y.admit(db, y.submission(q, sweep.DryRun, 0))
		}
		y.exec("UPDATE halts SET lifted_at = now()")
		y.admit(db, y.submission(p, sweep.DryRun, 0))
	}
	used, reserved := y.usage(p)
	require.Equal(t, [2]int{}, [2]int{used, reserved})
}

// A worker that ends a job holds the usage row and may then write a notice or a mail, whose foreign key looks at the customer:
// a submission that holds the customer and waits for the usage row must not be in its way.
func TestSubmittingAndEndingDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, p := open(t, y.d, "mailsweep_app"), y.place("a")
	y.admit(db, y.submission(p, sweep.Execute, 1))
	other, err := pgx.Connect(t.Context(), y.d.Bootstrap)
	require.NoError(t, err)
	defer other.Close(t.Context())
	ending, err := other.Begin(t.Context())
	require.NoError(t, err)
	_, err = ending.Exec(t.Context(), "UPDATE usage_tracking SET used = 1")
	require.NoError(t, err)
	done := make(chan error, 1)
	s := y.submission(p, sweep.Execute, 1)
	go func() {
		_, err := db.Submit(t.Context(), s)
		done <- err
	}()
	testkit.Eventually(t, 5*time.Second, func() bool {
		return ask[bool](y, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'mailsweep-test' AND wait_event_type = 'Lock')")
	}, "the submission waits for the usage row")
	_, err = ending.Exec(t.Context(), "INSERT INTO notices VALUES ($1, 'quota_warning', 'x', now())", p.customer.String())
	require.NoError(t, err)
	require.NoError(t, ending.Commit(t.Context()))
	require.NoError(t, <-done)
}

// What submissions count is kept by whoever writes jobs: after any history it is the jobs that are not over.
func TestOpenJobsAreThoseThatAreNotOver(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, p := open(t, y.d, "mailsweep_app"), y.place("a")
	differ := func() int64 {
		return ask[int64](y, `SELECT count(*) FROM (SELECT customer_id, id, mailbox_id, kind, plan_id, undo_of FROM jobs WHERE state NOT IN ('succeeded','failed','canceled')) j
			FULL JOIN open_jobs o ON o.customer_id = j.customer_id AND o.job_id = j.id AND o.mailbox_id = j.mailbox_id AND o.kind = j.kind
			AND o.plan_id IS NOT DISTINCT FROM j.plan_id AND o.undo_of IS NOT DISTINCT FROM j.undo_of WHERE o.job_id IS NULL OR j.id IS NULL`)
	}
	for _, state := range []string{"canceled", "failed", "queued"} {
		s := y.submission(p, sweep.Execute, 1)
		y.admit(db, s)
		y.exec("UPDATE jobs SET state = $2, plan_id = $1 WHERE id = $1", s.Job.String(), state)
		require.Zero(t, differ(), state)
	}
	y.exec("UPDATE jobs SET state = 'queued' WHERE state = 'failed'")
	require.Equal(t, int64(2), ask[int64](y, "SELECT count(*) FROM open_jobs"))
	require.Zero(t, differ(), "run again")
	y.exec("DELETE FROM jobs")
	require.Zero(t, ask[int64](y, "SELECT count(*) FROM open_jobs"))
}

// Facts that were read earlier admit nothing once they have changed.
func TestASubmissionMadeFromFactsThatChangedIsStale(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, p := open(t, y.d, "mailsweep_app"), y.place("a")
	for name, change := range map[string]string{
		"the mailbox":     "UPDATE mailboxes SET state = 'needs_reconnect'",
		"the mailboxes":   "UPDATE mailboxes SET state = 'disconnected'",
		"the plan":        "UPDATE customers SET plan = 'basic', plan_version = plan_version + 1",
		"the suspension":  "UPDATE customers SET suspended_at = now()",
		"nothing of that": "UPDATE customers SET name = 'x'",
	} {
		y.exec("UPDATE mailboxes SET state = 'active'")
		y.exec("UPDATE customers SET suspended_at = NULL")
		facts, err := db.Admission(t.Context(), p.customer)
		require.NoError(t, err)
		s := y.submission(p, sweep.DryRun, 0)
		s.Made, s.PlanVersion = &facts, facts.PlanVersion
		y.exec(change)
		v, err := db.Submit(t.Context(), s)
		require.NoError(t, err)
		require.Equal(t, name != "nothing of that", v.Stale, name)
		require.Equal(t, !v.Stale, v.Admitted, name)
	}
}
