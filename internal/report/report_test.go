package report_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/report"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
	"mailsweep/migrations"
)

const rolePassword = "test-only"

func migrate(ctx context.Context, url string) error {
	return store.Migrate(ctx, url, store.Passwords{"mailsweep_owner": rolePassword, "mailsweep_app": rolePassword, "mailsweep_worker": rolePassword,
		"mailsweep_scheduler": rolePassword, "mailsweep_ops": rolePassword})
}

type rig struct {
	report.Service
	database testkit.Database
	root     *pgx.Conn
}

func newRig(t *testing.T) *rig {
	t.Helper()
	d := testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: migrate})
	root, err := pgx.Connect(t.Context(), d.Bootstrap)
	require.NoError(t, err)
	t.Cleanup(func() { _ = root.Close(context.Background()) })
	r := &rig{database: d, root: root}
	r.Service = report.Service{DB: r.open(t, 0), Plans: sweep.DefaultPlans(), UpgradeURL: "https://app.example/billing"}
	return r
}

func (r *rig) open(t *testing.T, offset time.Duration) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: r.database.URL("mailsweep_app", rolePassword), Process: "test", ClockOffset: offset})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func (r *rig) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	_, err := r.root.Exec(t.Context(), query, args...)
	require.NoError(t, err)
}

func newID(t *testing.T) sweep.ID {
	id, err := sweep.NewID(time.Now(), rand.Reader)
	require.NoError(t, err)
	return id
}

// customer is on the free plan with a trial of so many days.
func (r *rig) customer(t *testing.T, trialDays float64) sweep.ID {
	id := newID(t)
	r.exec(t, "INSERT INTO customers (id, trial_ends_at, data_key, created_at) VALUES ($1::text::uuid, now() + make_interval(secs => $2), '', now())", id.String(), trialDays*86400)
	return id
}

func TestUsageTellsTheNumbersOfThisPeriodOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c, other := r.customer(t, -1), r.customer(t, -1)
	this := sweep.PeriodAt(time.Now())
	for _, row := range []struct {
		who   sweep.ID
		start time.Time
		used  int
	}{{c, this.Start, 100}, {c, this.Start.AddDate(0, -1, 0), 500}, {other, this.Start, 77}} {
		r.exec(t, "INSERT INTO usage_tracking VALUES ($1::text::uuid, $2, $3, 30)", row.who.String(), row.start, row.used)
	}
	u, err := r.Usage(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, sweep.UsageView{Plan: sweep.Free, Period: this.Start.Format("2006-01"), Limit: 500, Used: 100, Reserved: 30, Remaining: 370, ResetsAt: this.End}, u)
	next := report.Service{DB: r.open(t, time.Until(this.End)+time.Minute), Plans: sweep.DefaultPlans()}
	u, err = next.Usage(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, 0, u.Used+u.Reserved, "a new month begins at nothing")
	require.Equal(t, this.Next().Start.Format("2006-01"), u.Period)
}

func TestUsageWarnsFromEightyPercent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.customer(t, -1)
	for _, row := range []struct {
		used, reserved int
		warned         bool
	}{{399, 0, false}, {399, 1, true}, {500, 0, true}, {600, 0, true}} {
		r.exec(t, "INSERT INTO usage_tracking VALUES ($1::text::uuid, $2, $3, $4) ON CONFLICT (customer_id, period_start) DO UPDATE SET used = $3, reserved = $4",
			c.String(), sweep.PeriodAt(time.Now()).Start, row.used, row.reserved)
		u, err := r.Usage(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, row.warned, u.Warning != "", "%+v", row)
		require.GreaterOrEqual(t, u.Remaining, 0)
		if row.warned {
			require.Contains(t, u.Warning, "https://app.example/billing")
		}
	}
}

func TestUsageShowsTheTrialWhileItRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u, err := r.Usage(t.Context(), r.customer(t, 2.5))
	require.NoError(t, err)
	require.Equal(t, sweep.Pro, u.Plan)
	require.Equal(t, 5000, u.Limit, "a trial has basic's quota")
	require.Equal(t, 3, u.Trial.DaysLeft)
	u, err = r.Usage(t.Context(), r.customer(t, -0.1))
	require.NoError(t, err)
	require.Nil(t, u.Trial)
	require.Equal(t, 500, u.Limit)
	_, err = r.Usage(t.Context(), newID(t))
	require.Equal(t, sweep.NotFound, sweep.CodeOf(err))
}

// run adds a finished execute and gives its job.
func (r *rig) run(t *testing.T, customer, mailbox, plan sweep.ID, cleaned int, undone bool) string {
	job, undo, by := newID(t), any(nil), any(nil)
	if undone {
		undo, by = fmt.Sprintf(`{"restored":%d,"already_gone":1,"changed_since":0}`, cleaned-1), newID(t).String()
	}
	r.exec(t, `INSERT INTO cleanup_runs (customer_id, job_id, plan_id, mailbox_id, action, state, planned, cleaned, skipped, bytes, actor, started_at, finished_at, undo_until, undone_by, undo)
		VALUES ($1::text::uuid, $2::text::uuid, $3::text::uuid, $4::text::uuid, 'trash', 'succeeded', $5::int + 2, $5, '{"replied":2}', $5 * 10, 'user:usr_1', now(), now(), now() + interval '29 days', $6::text::uuid, $7::text::jsonb)`,
		customer.String(), job.String(), plan.String(), mailbox.String(), cleaned, by, undo)
	return sweep.JobID.Show(job)
}

func (r *rig) mailbox(t *testing.T, customer sweep.ID) (mailbox, plan sweep.ID) {
	mailbox, plan = newID(t), newID(t)
	r.exec(t, "INSERT INTO google_accounts (account, created_at) VALUES ('x', now()) ON CONFLICT DO NOTHING")
	r.exec(t, "INSERT INTO mailboxes (customer_id, id, account, email, state, connected_at) VALUES ($1::text::uuid, $2::text::uuid, 'x', 'a@gmail.example', 'active', now())", customer.String(), mailbox.String())
	r.exec(t, `INSERT INTO cleanup_plans (customer_id, id, mailbox_id, account, generation, action, head, ids, messages, bytes, history_id, made_by, made_at, expires_at)
		VALUES ($1::text::uuid, $2::text::uuid, $3::text::uuid, 'x', 1, 'trash', '', '', 1, 1, 1, $2::text::uuid, now(), now())`, customer.String(), plan.String(), mailbox.String())
	return mailbox, plan
}

func TestHistoryPagesThroughEveryRunOnceNewestFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c, other := r.customer(t, 1), r.customer(t, 1)
	mailbox, plan := r.mailbox(t, c)
	var made []string
	for i := range 45 {
		made = append(made, r.run(t, c, mailbox, plan, i+1, i%9 == 0))
	}
	theirs, their := r.mailbox(t, other)
	r.run(t, other, theirs, their, 1000, false)
	var seen []string
	cursor := ""
	for page := 0; ; page++ {
		runs, next, totals, err := r.History(t.Context(), c, 10, cursor)
		require.NoError(t, err)
		require.Equal(t, sweep.HistoryTotals{Runs: 45, Cleaned: 45 * 46 / 2, Restored: 0 + 9 + 18 + 27 + 36, Bytes: 10 * 45 * 46 / 2}, totals)
		for _, run := range runs {
			seen = append(seen, run.JobID)
		}
		if page == 1 { // a run that is added meanwhile shifts nothing
			r.run(t, c, mailbox, plan, 0, false)
			r.exec(t, "DELETE FROM cleanup_runs WHERE cleaned = 0")
		}
		if cursor = next; next == "" {
			break
		}
	}
	require.Len(t, seen, 45)
	for i, id := range seen {
		require.LessOrEqual(t, i, 44)
		require.Contains(t, made, id)
		if i > 0 {
			require.Less(t, id, seen[i-1])
		}
	}
}

func TestARunIsToldWithItsSkipsAndItsUndo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.customer(t, 1)
	mailbox, plan := r.mailbox(t, c)
	r.run(t, c, mailbox, plan, 7, true)
	runs, next, _, err := r.History(t.Context(), c, 0, "")
	require.NoError(t, err)
	require.Empty(t, next)
	require.Len(t, runs, 1)
	run := runs[0]
	require.Equal(t, []any{9, 7, map[sweep.Reason]int{"replied": 2}, sweep.Trash, sweep.Succeeded, "user:usr_1"}, []any{run.Planned, run.Cleaned, run.Skipped, run.Action, run.State, run.Who})
	require.Equal(t, sweep.PlanID.Show(plan), run.CleanupPlanID)
	require.Equal(t, &sweep.UndoResult{Restored: 6, AlreadyGone: 1}, run.Undo)
	require.Regexp(t, "^job_[0-9a-f]{32}$", run.UndoneBy)
	require.NotNil(t, run.UndoUntil)
}

func TestHistoryRefusesLimitsAndCursorsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.customer(t, 1)
	for _, q := range []struct {
		limit  int
		cursor string
	}{{-1, ""}, {101, ""}, {1, "x"}, {1, "job_"}, {1, "pln_00000000000000000000000000000001"}, {1, "job_zz000000000000000000000000000000"}, {1, "job_00000000000000000000000000000000"}} {
		_, _, _, err := r.History(t.Context(), c, q.limit, q.cursor)
		require.Equal(t, sweep.BadRequest, sweep.CodeOf(err), "%+v", q)
	}
	runs, next, totals, err := r.History(t.Context(), c, 100, "")
	require.NoError(t, err)
	require.Empty(t, next)
	require.Empty(t, runs)
	require.Zero(t, totals)
}
