package ops_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"mailsweep/internal/ops"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
	"mailsweep/migrations"
)

const password = "test-only"

// year is a database on whose business clock things happen at any time of a year.
type year struct {
	t    *testing.T
	d    testkit.Database
	conn *pgx.Conn
}

func newYear(t *testing.T) *year {
	t.Helper()
	d := testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: func(ctx context.Context, url string) error {
		return store.Migrate(ctx, url, store.Passwords{"mailsweep_app": password, "mailsweep_scheduler": password, "mailsweep_ops": password})
	}})
	conn, err := pgx.Connect(t.Context(), d.Bootstrap)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	y := &year{t, d, conn}
	_, err = y.as("mailsweep_scheduler", time.Now()).EnsurePartitions(t.Context(), day(1, 1), 12)
	require.NoError(t, err)
	return y
}

func day(month time.Month, d int) time.Time { return time.Date(2027, month, d, 12, 0, 0, 0, time.UTC) }

// as is a login for which it is now that time.
func (y *year) as(role string, now time.Time) *store.DB {
	y.t.Helper()
	db, err := store.Open(y.t.Context(), store.Options{URL: y.d.URL(role, password), Process: "test", ClockOffset: time.Until(now)})
	require.NoError(y.t, err)
	y.t.Cleanup(db.Close)
	return db
}

// on does something of a customer when it is that time.
func (y *year) on(now time.Time, id sweep.ID, do func(*store.Tx) error) {
	y.t.Helper()
	db := y.as("mailsweep_app", now)
	require.NoError(y.t, db.Tenant(y.t.Context(), id, do))
	db.Close()
}

func (y *year) newID(at time.Time) sweep.ID {
	y.t.Helper()
	id, err := sweep.NewID(at, rand.Reader)
	require.NoError(y.t, err)
	return id
}

// joins is a customer that signs up then, with a trial.
func (y *year) joins(now time.Time) sweep.ID {
	y.t.Helper()
	id := y.newID(now)
	y.on(now, id, func(tx *store.Tx) error { return tx.InsertCustomer("", []byte("key"), tx.Now.Add(sweep.TrialLength)) })
	return id
}

// buys is a subscription of so many cents as it is seen then.
func (y *year) buys(now time.Time, id sweep.ID, tier sweep.Tier, every sweep.Every, cents int64, pay sweep.Payment) {
	y.t.Helper()
	y.on(now, id, func(tx *store.Tx) error {
		_, err := tx.SaveSubscription(store.Subscription{ID: "sub_" + id.String(), Payment: pay, PriceID: "price", Tier: tier, Every: every, Cents: cents, PeriodStart: now, PeriodEnd: now.AddDate(0, 1, 0), CreatedAt: now})
		if err != nil {
			return err
		}
		return tx.SetBought(sweep.Subscription{}.Apply(sweep.Purchase{Payment: pay, Tier: tier}, now))
	})
}

func (y *year) exec(query string, args ...any) {
	y.t.Helper()
	_, err := y.conn.Exec(y.t.Context(), query, args...)
	require.NoError(y.t, err)
}

// works is a run of that day: messages counted, bytes trashed, units spent.
func (y *year) works(at time.Time, id sweep.ID, emails int, bytes, units int64) (run sweep.ID) {
	y.t.Helper()
	run = y.newID(at)
	y.exec("SET session_replication_role = replica")
	y.exec(`INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, units, run_at, created_at, finished_at) VALUES ($1, $2, $1, 'a', 'execute', 'succeeded', 1, 0, $3, $4, $4, $4)`,
		id.String(), run.String(), units, at)
	y.exec(`INSERT INTO cleanup_runs (customer_id, job_id, plan_id, mailbox_id, action, state, planned, bytes, started_at, finished_at) VALUES ($1, $2, $2, $1, 'trash', 'succeeded', 1, $3, $4, $4)`,
		id.String(), run.String(), bytes, at)
	y.exec("RESET session_replication_role")
	y.exec(`INSERT INTO usage_tracking AS t (customer_id, period_start, used) VALUES ($1, $2, $3) ON CONFLICT (customer_id, period_start) DO UPDATE SET used = t.used + excluded.used`,
		id.String(), sweep.PeriodAt(at).Start, emails)
	return run
}

// read reads a month's figures with the ops login when it is that time.
func (y *year) read(now time.Time, month time.Month) ops.Figures {
	y.t.Helper()
	s := ops.Service{All: y.as("mailsweep_ops", now), Plans: sweep.DefaultPlans()}
	f, err := s.Figures(y.t.Context(), sweep.PeriodAt(day(month, 1)))
	require.NoError(y.t, err)
	return f
}

// A year's first months: who signs up, tries, pays by the month and by the year, changes, stops paying, is granted, leaves.
func TestAMonthsFiguresAreThoseOfItsTime(t *testing.T) {
	t.Parallel()
	y := newYear(t)
	monthly, yearly, tries, granted, leaves := y.joins(day(1, 3)), y.joins(day(1, 3)), y.joins(day(1, 20)), y.joins(day(1, 5)), y.joins(day(1, 6))
	y.buys(day(1, 10), monthly, sweep.Basic, sweep.Month, 900, sweep.Paid)
	y.buys(day(1, 30), yearly, sweep.Pro, sweep.Year, 29_000, sweep.Paid)
	y.buys(day(1, 30), leaves, sweep.Enterprise, sweep.Month, 9_900, sweep.Paid)
	y.on(day(1, 8), granted, func(tx *store.Tx) error { return tx.SetGrant(sweep.Enterprise, day(2, 10)) })
	y.works(day(1, 11), monthly, 300, 1_000_000, 40)
	run := y.works(day(1, 12), yearly, 700, 2_000_000, 60)
	y.works(day(1, 12), granted, 0, 0, 0)
	y.on(day(1, 13), monthly, func(tx *store.Tx) error { return tx.NoteRefused(sweep.PeriodAt(tx.Now).Start) })

	january := y.read(day(2, 1), 1)
	require.Equal(t, []any{5, 5, false}, []any{january.SignUps, january.Trials, january.Closed})
	require.Equal(t, []ops.DayFigures{{Day: "2027-01-03", SignUps: 2, Trials: 2}, {Day: "2027-01-05", SignUps: 1, Trials: 1}, {Day: "2027-01-06", SignUps: 1, Trials: 1}, {Day: "2027-01-20", SignUps: 1, Trials: 1}}, january.Days)
	require.Equal(t, 900+2_417+9_900, january.MRRCents, "a year's price counts a twelfth, a grant nothing")
	require.Equal(t, []any{3, 0, ops.Share{Part: 0, Of: 0}}, []any{january.Paying, january.MRRBeforeCents, january.Churn})
	require.Equal(t, ops.Share{Part: 3, Of: 4}, january.TrialToPaid, "the trial of the 20th has not ended")
	require.InDelta(t, 13_217.0/3, january.ARPU.Each(), 0.01)
	require.Equal(t, ops.Mean{Sum: 1_000, N: 2}, january.Emails)
	require.Equal(t, int64(3_000_000), january.FreedBytes)
	require.Equal(t, ops.Share{Part: 1, Of: 3}, january.QuotaExceeded)
	require.Equal(t, ops.Mean{Sum: 100, N: 2}, january.UnitsPerCustomer)
	var plans []string
	for _, p := range january.Plans {
		plans = append(plans, fmt.Sprint(p.Plan, " ", p.Customers, " ", p.Paying, " ", p.MRRCents, " ", p.Units.Sum, " ", p.UnitsP95))
	}
	require.Equal(t, []string{"trial 1 0 0 0 0", "basic 1 1 900 40 40", "pro 1 1 2417 60 60", "enterprise 2 1 9900 0 0"}, plans)

	y.buys(day(2, 2), monthly, sweep.Pro, sweep.Month, 2_900, sweep.Paid)
	y.buys(day(2, 3), yearly, sweep.Pro, sweep.Year, 29_000, sweep.Ended)
	y.on(day(2, 4), leaves, func(tx *store.Tx) error { return tx.DeleteCustomer(day(2, 11)) })
	y.exec("UPDATE cleanup_runs SET undone_by = $2 WHERE job_id = $1", run.String(), y.works(day(2, 3), yearly, 0, 0, 5).String())
	y.exec("UPDATE jobs SET kind = 'undo' WHERE id = (SELECT undone_by FROM cleanup_runs WHERE job_id = $1)", run.String())
	february := y.read(day(3, 1), 2)
	require.Equal(t, []any{2_900, 13_217, 1, ops.Share{Part: 2, Of: 3}, 12_317}, []any{february.MRRCents, february.MRRBeforeCents, february.Paying, february.Churn, february.ChurnedCents})
	require.Equal(t, ops.Share{Part: 0, Of: 1}, february.TrialToPaid)
	require.Equal(t, int64(-2_000_000), february.FreedBytes, "taken back out in the month of the undo")
	require.Equal(t, january, y.read(day(3, 1), 1), "January is as it was")

	y.on(day(3, 2), monthly, func(tx *store.Tx) error {
		return tx.SetBought(sweep.Subscription{Tier: sweep.Pro, PastDueAt: day(3, 2)})
	})
	require.Equal(t, 1, y.read(day(3, 9).Add(-time.Hour), 3).Paying, "within the grace")
	march := y.read(day(3, 9).Add(time.Hour), 3)
	require.Equal(t, []any{0, ops.Share{Part: 1, Of: 1}}, []any{march.MRRCents, march.Churn})
	require.Equal(t, february, y.read(day(3, 9), 2))
	y.buys(day(3, 12), tries, sweep.Basic, sweep.Month, 900, sweep.Paid)
	require.Equal(t, []any{january, february}, []any{y.read(day(4, 1), 1), y.read(day(4, 1), 2)}, "who pays later did not pay then")
}

// What a month was closed with stays, also when its customers are purged and its jobs are gone.
func TestAClosedMonthStays(t *testing.T) {
	t.Parallel()
	y := newYear(t)
	id := y.joins(day(1, 3))
	y.buys(day(1, 10), id, sweep.Basic, sweep.Month, 900, sweep.Paid)
	y.works(day(1, 11), id, 300, 1_000_000, 40)
	before := y.read(day(2, 2), 1)
	shut := func(now time.Time) error {
		return ops.CloseFigures(t.Context(), y.as("mailsweep_scheduler", now), sweep.DefaultPlans(), sweep.PeriodAt(day(1, 1)))
	}
	require.Equal(t, sweep.Conflict, sweep.CodeOf(shut(day(1, 31))), "it still runs")
	require.NoError(t, shut(day(2, 2)))
	before.Closed = true
	require.Equal(t, before, y.read(day(2, 3), 1))
	for _, table := range []string{"plan_history", "usage_tracking", "jobs", "cleanup_runs"} {
		y.exec("DELETE FROM " + table)
	}
	require.NoError(t, shut(day(2, 4)), "again changes nothing")
	require.Equal(t, before, y.read(day(2, 4), 1))
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// A customer's months, whatever is bought, canceled and not paid at any time, are those of a model that looks at the last thing done.
func TestStandingsFollowWhatWasDone(t *testing.T) {
	t.Parallel()
	y := newYear(t)
	id, ask := y.joins(day(1, 1)), y.as("mailsweep_ops", day(12, 1))
	rapid.Check(t, func(r *rapid.T) {
		y.exec("DELETE FROM plan_history")
		at, cents, due := day(1, 1), 0, time.Time{}
		ends := time.Time{}
		months := map[time.Month]int{}
		paying := func(t time.Time) int {
			if !ends.IsZero() && !t.Before(ends) || !due.IsZero() && !t.Before(due.Add(sweep.GraceLength)) {
				return 0
			}
			return cents
		}
		for range rapid.IntRange(1, 6).Draw(r, "changes") {
			next := at.Add(time.Duration(rapid.IntRange(1, 45*24).Draw(r, "hours")) * time.Hour)
			for m := at.Month(); m < min(next.Month(), 11); m++ {
				months[m] = paying(sweep.PeriodAt(day(m, 1)).End)
			}
			if next.Year() > 2027 || next.Month() > 10 {
				break
			}
			at = next
			tier := rapid.SampledFrom(sweep.Tiers()).Draw(r, "plan")
			due, ends, cents = time.Time{}, time.Time{}, sweep.DefaultPlans()[tier].PriceCents
			if rapid.Bool().Draw(r, "past due") {
				due = at.Add(-time.Duration(rapid.IntRange(0, 100).Draw(r, "since")) * time.Hour)
			}
			if rapid.Bool().Draw(r, "canceled") {
				ends = at.Add(time.Duration(rapid.IntRange(1, 1000).Draw(r, "ends in")) * time.Hour)
			}
			y.exec("SELECT set_config('app.clock_offset', $1, false)", fmt.Sprintf("%d microseconds", time.Until(at).Microseconds()))
			y.exec("UPDATE customers SET plan = $2, plan_past_due_at = $3, plan_ends_at = $4 WHERE id = $1", id.String(), string(tier), orNull(due), orNull(ends))
		}
		for m := at.Month(); m < 11; m++ {
			months[m] = paying(sweep.PeriodAt(day(m, 1)).End)
		}
		for range 3 {
			m := time.Month(rapid.IntRange(1, 10).Draw(r, "month"))
			want := months[m]
			c, err := ask.MonthCounts(t.Context(), sweep.PeriodAt(day(m, 1)))
			require.NoError(r, err)
			require.Equal(r, want, c.Money.Cents, m)
			require.Equal(r, months[m-1], c.Money.CentsBefore, m)
		}
	})
}

func TestFiguresAreShownWithWhatTheyMean(t *testing.T) {
	t.Parallel()
	y := newYear(t)
	id := y.joins(day(1, 3))
	y.buys(day(1, 10), id, sweep.Pro, sweep.Year, 29_000, sweep.Paid)
	y.works(day(1, 11), id, 300, 1_000_000, 40)
	f := y.read(day(2, 2), 1)
	var table, comma bytes.Buffer
	require.NoError(t, f.Table(&table))
	require.Regexp(t, `(?m)^2027-01, as of 2027-02-01 00:00 UTC: it still runs$`, table.String())
	require.Regexp(t, `(?m)^ +all +MRR, \$ +24\.17$`, table.String())
	require.Regexp(t, `(?m)^ +pro +units per dollar +1\.7$`, table.String())
	for _, d := range ops.Definitions() {
		require.Contains(t, table.String(), d.Name+": ")
	}
	require.NoError(t, f.CSV(&comma))
	require.True(t, strings.HasPrefix(comma.String(), "month,of,figure,value\n2027-01,,sign-ups,1\n"), comma.String())
	require.Contains(t, comma.String(), "\n2027-01,pro,\"MRR, $\",24.17\n")
	require.Contains(t, comma.String(), "\n2027-01,2027-01-03,sign-ups,1\n")
	raw, err := json.Marshal(f)
	require.NoError(t, err)
	require.NotContains(t, string(raw)+table.String(), sweep.CustomerID.Show(id))
	_, err = ops.FiguresOf(t.Context(), y.as("mailsweep_ops", day(1, 1)), sweep.DefaultPlans(), sweep.PeriodAt(day(3, 1)))
	require.Equal(t, sweep.Invalid, sweep.CodeOf(err), "March has not begun")
}
