package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// listed are the jobs of a view, as the ops login sees them.
func (y *yard) listed(db *store.DB, f store.OpsFilter) (ids []sweep.ID) {
	y.t.Helper()
	if f.N == 0 {
		f.N = 100
	}
	if f.Most == 0 {
		f.Most = 100
	}
	jobs, err := db.OpsJobs(y.t.Context(), f)
	require.NoError(y.t, err)
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

func TestOperatorsSeeDepthAndAgeByKindAndPlan(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_ops")
	free, pro := y.place("f"), y.place("p")
	y.exec("UPDATE customers SET plan = 'pro' WHERE id = $1", pro.customer.String())
	y.exec("UPDATE customers SET trial_ends_at = now() + interval '1 day' WHERE id = $1", free.customer.String())
	old := y.job(free, "f", sweep.Analyze, 1)
	y.exec("UPDATE jobs SET run_at = clock_timestamp() - interval '1 hour' WHERE id = $1", old.String())
	y.job(free, "f", sweep.Analyze, 2)
	y.set(y.job(pro, "p", sweep.Execute, 1), "state = 'running'")
	y.set(y.job(pro, "p", sweep.Execute, 2), "state = 'waiting'")
	y.set(y.job(pro, "p", sweep.Execute, 3), "state = 'paused'")
	y.set(y.job(pro, "p", sweep.Execute, 4), "state = 'succeeded'")
	depths, err := db.Depths(t.Context(), 100)
	require.NoError(t, err)
	require.Len(t, depths, 2)
	require.Equal(t, time.Hour, depths[0].Oldest.Round(time.Minute))
	depths[0].Oldest = 0
	require.Equal(t, []store.Depth{{Kind: sweep.Analyze, Plan: "trial", Queued: 2}, {Kind: sweep.Execute, Plan: "pro", Running: 1, Waiting: 1, Paused: 1}}, depths)
}

func TestOperatorsPageThroughTheJobsOfAllCustomers(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_ops")
	a, b := y.place("a"), y.place("b")
	jobs := map[string]sweep.ID{}
	for _, state := range []string{"queued", "dispatched", "running", "waiting", "paused", "succeeded", "failed", "canceled"} {
		jobs[state] = y.job(a, "a", sweep.Execute, 1)
		y.set(jobs[state], "dispatched_at = clock_timestamp(), lease_until = clock_timestamp() + interval '1 minute', state = '"+state+"'")
	}
	other := y.job(b, "b", sweep.Analyze, 1)
	for view, want := range map[string][]sweep.ID{
		"queued": {other, jobs["dispatched"], jobs["queued"]}, "running": {jobs["running"]}, "waiting": {jobs["paused"], jobs["waiting"]}, "stuck": nil, "failed": {jobs["failed"]},
		"open": {other, jobs["paused"], jobs["waiting"], jobs["running"], jobs["dispatched"], jobs["queued"]},
	} {
		require.Equal(t, want, y.listed(db, store.OpsFilter{View: view}), view)
	}
	require.Len(t, y.listed(db, store.OpsFilter{View: "all", Customer: a.customer}), 8)
	require.Equal(t, []sweep.ID{other}, y.listed(db, store.OpsFilter{View: "open", Customer: b.customer}))
	require.Equal(t, []sweep.ID{other}, y.listed(db, store.OpsFilter{View: "open", Kind: sweep.Analyze}))
	require.Equal(t, []sweep.ID{jobs["failed"]}, y.listed(db, store.OpsFilter{View: "job", Job: jobs["failed"]}))
	for _, f := range []store.OpsFilter{{View: "open"}, {View: "all", Customer: a.customer}} {
		whole := y.listed(db, f)
		var paged []sweep.ID
		for f.N = 2; ; f.Before = paged[len(paged)-1] {
			page := y.listed(db, f)
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
		}
		require.Equal(t, whole, paged, f.View)
	}
	y.set(jobs["running"], "lease_until = clock_timestamp() - interval '1 second'")
	y.set(jobs["dispatched"], "dispatched_at = clock_timestamp() - interval '1 minute'")
	y.set(jobs["queued"], "barren = 3, trouble = 'panic: x'")
	require.Equal(t, []sweep.ID{jobs["running"], jobs["dispatched"], jobs["queued"]}, y.listed(db, store.OpsFilter{View: "stuck"}))
}

func TestAHaltIsPutOnceAndLiftedOnceByName(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_ops")
	h := store.Halt{Scope: "kind", Value: "execute", Reason: "wrong labels", By: "ada"}
	first, err := db.Halt(t.Context(), h)
	require.NoError(t, err)
	again, err := db.Halt(t.Context(), h)
	require.NoError(t, err)
	require.Equal(t, first, again)
	h.Pause = true
	pause, err := db.Halt(t.Context(), h)
	require.NoError(t, err)
	require.NotEqual(t, first, pause, "a pause is something else")
	require.NoError(t, db.Lift(t.Context(), first, "fixed", "ben"))
	require.Equal(t, sweep.Conflict, sweep.CodeOf(db.Lift(t.Context(), first, "fixed", "ben")))
	halts, err := db.Halts(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, halts, 2)
	require.Equal(t, []any{pause, "", first, "ada", "ben"}, []any{halts[0].ID, halts[0].LiftedBy, halts[1].ID, halts[1].By, halts[1].LiftedBy})

	log, err := db.OpsLog(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Equal(t, []string{"ben lift kind execute fixed", "ada pause kind execute wrong labels", "ada halt kind execute wrong labels", "ada halt kind execute wrong labels"}, told(log))
	older, err := db.OpsLog(t.Context(), log[1].Seq, 10)
	require.NoError(t, err)
	require.Len(t, older, 2)
	require.Zero(t, ask[int](y, `SELECT count(*) FROM (SELECT prev_hash, lag(hash, 1, '') OVER (ORDER BY seq) AS before FROM ops_log) l WHERE prev_hash <> before`), "each row holds the hash of the one before")
	_, err = y.conn.Exec(t.Context(), "UPDATE ops_log SET operator = 'nobody'")
	require.ErrorContains(t, err, "append-only")
	require.Error(t, db.NoteOps(t.Context(), store.OpsEntry{Act: "halt"}), "who acts has a name")
}

func told(log []store.OpsEntry) (lines []string) {
	for _, e := range log {
		lines = append(lines, e.Operator+" "+e.Act+" "+e.Object+" "+e.Reason)
	}
	return lines
}

// What operators may do across customers only their own login may ask for.
func TestOnlyOperatorsHaltAndSeeEverybodysJobs(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	for _, role := range []string{"mailsweep_app", "mailsweep_worker", "mailsweep_scheduler"} {
		db := open(t, y.d, role)
		_, err := db.Halt(t.Context(), store.Halt{Scope: "all", By: "ada"})
		require.ErrorContains(t, err, "permission denied", role)
		_, err = db.OpsJobs(t.Context(), store.OpsFilter{View: "open"})
		require.ErrorContains(t, err, "permission denied", role)
		_, err = db.OpsRuns(t.Context(), store.RunFilter{})
		require.ErrorContains(t, err, "permission denied", role)
	}
}
