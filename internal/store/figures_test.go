package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// open is what the scheduler reads of one kind and state.
func (y *yard) open(db *store.DB, most int, kind sweep.JobKind, state sweep.JobState) (found store.OpenJobs) {
	y.t.Helper()
	all, err := db.OpenJobs(y.t.Context(), most)
	require.NoError(y.t, err)
	for _, o := range all {
		if o.Kind == kind && o.State == state {
			found = o
		}
	}
	return found
}

func TestOpenJobsAreCountedUpToACap(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_scheduler")
	p := y.place("acc")
	for i := range 7 {
		y.job(p, "acc", sweep.Analyze, float64(i))
	}
	y.exec("UPDATE jobs SET state = 'paused' WHERE id IN (SELECT id FROM jobs ORDER BY vt LIMIT 2)")
	over := y.job(p, "acc", sweep.Analyze, 9)
	for _, state := range []string{"dispatched", "running", "succeeded"} {
		y.set(over, "state = '"+state+"'")
	}
	require.Equal(t, 5, y.open(db, 100, sweep.Analyze, sweep.Queued).N)
	require.Equal(t, 2, y.open(db, 100, sweep.Analyze, sweep.Paused).N)
	require.Zero(t, y.open(db, 100, sweep.Analyze, sweep.Succeeded).N, "what is over is not open")
	require.Equal(t, 3, y.open(db, 3, sweep.Analyze, sweep.Queued).N, "the count stops")
}

func TestAJobIsLateOnlyWhenItCouldHaveGoneOn(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_scheduler")
	p := y.place("acc")
	first, second := y.job(p, "acc", sweep.Execute, 1), y.job(p, "acc", sweep.Execute, 2)
	reading := y.job(p, "acc", sweep.Analyze, 1)
	y.exec("UPDATE jobs SET run_at = clock_timestamp() - interval '1 hour'")
	late := func(kind sweep.JobKind, state sweep.JobState) time.Duration {
		return y.open(db, 100, kind, state).Late.Round(time.Minute)
	}
	require.Equal(t, time.Hour, late(sweep.Execute, sweep.Queued))

	y.exec("UPDATE google_accounts SET active_job_id = $1", first.String())
	y.exec("UPDATE jobs SET state = 'dispatched', dispatched_at = clock_timestamp() - interval '10 minutes' WHERE id = $1", first.String())
	require.Zero(t, late(sweep.Execute, sweep.Queued), "the second waits for the account, not for us")
	require.Equal(t, 10*time.Minute, late(sweep.Execute, sweep.Dispatched))
	require.Equal(t, time.Hour, late(sweep.Analyze, sweep.Queued), "what only reads needs no lane")

	y.exec("UPDATE jobs SET state = 'running', lease_until = clock_timestamp() - interval '5 minutes' WHERE id = $1", first.String())
	require.Equal(t, 5*time.Minute, late(sweep.Execute, sweep.Running))
	y.exec("UPDATE jobs SET lease_until = clock_timestamp() + interval '5 minutes' WHERE id = $1", first.String())
	require.Zero(t, late(sweep.Execute, sweep.Running), "its worker lives")
	y.exec("UPDATE jobs SET run_at = clock_timestamp() + interval '1 hour' WHERE id IN ($1, $2)", reading.String(), second.String())
	require.Zero(t, late(sweep.Analyze, sweep.Queued), "it is not its time yet")
}

func TestTheOldestUnsentPostAndLateDutiesAreTold(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_scheduler")
	n, age, err := db.UnsentPosts(t.Context(), 10)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Zero(t, age)
	p := y.place("acc")
	for i, state := range []string{"queued", "dispatched", "done", "failed"} {
		y.exec(`INSERT INTO outbox (customer_id, id, kind, state, run_at, created_at) VALUES ($1, $2, 'verify_email', $3, clock_timestamp() + interval '1 minute',
			clock_timestamp() - make_interval(mins => $4))`, p.customer.String(), newID(t).String(), state, 10*(i+1))
	}
	n, age, err = db.UnsentPosts(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, 20*time.Minute, age.Round(time.Minute))

	y.exec("INSERT INTO duties (name, next_due) VALUES ('late', now() - interval '1 hour'), ('early', now() + interval '1 hour')")
	late, err := db.DutiesLate(t.Context())
	require.NoError(t, err)
	require.Equal(t, time.Hour, late["late"].Round(time.Minute))
	require.Zero(t, late["early"])
}

func TestTheUnitsOfADayAreThoseOfTheJobsThatBeganInIt(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	one, other := y.place("acc"), y.place("other")
	for i, p := range []place{one, one, other, other} {
		job := y.job(p, "acc", sweep.Analyze, float64(i))
		y.exec("UPDATE jobs SET units = $2, started_at = CASE WHEN $3 THEN now() - interval '5 hours' ELSE now() END WHERE id = $1", job.String(), 10<<i, i == 1)
	}
	y.job(one, "acc", sweep.Analyze, 5) // has not begun
	units, err := open(t, y.d, "mailsweep_worker").UnitsSince(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.EqualValues(t, 10+40+80, units)
	_, err = open(t, y.d, "mailsweep_app").UnitsSince(t.Context(), time.Now())
	require.Error(t, err, "for workers only")
}
