package opscli_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/ops"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// JWT-5: what was signed in before a suspension stays out after it.
func TestASuspensionSignsTheCustomersPeopleOut(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id, shown := customer(t, s, true)
	people := make([]sweep.ID, 2)
	versions := func() (all []int) {
		require.NoError(t, s.DB.Tenant(t.Context(), id, func(tx *store.Tx) error {
			for _, user := range people {
				version, err := tx.LockUser(user)
				require.NoError(t, err)
				all = append(all, version)
			}
			return nil
		}))
		return all
	}
	require.NoError(t, s.DB.Tenant(t.Context(), id, func(tx *store.Tx) error {
		for i := range people {
			people[i] = tx.NewID()
			require.NoError(t, tx.InsertMember(people[i], sweep.Owner))
			_, err := tx.InsertUser(store.User{ID: people[i], Email: sweep.UserID.Show(people[i]) + "@example.com", Password: "x"})
			require.NoError(t, err)
		}
		return nil
	}))
	before := versions()
	for _, verb := range []string{"suspend", "reactivate"} {
		_, err := run(t, s, "ada", verb, shown, "--reason", "a ticket")
		require.NoError(t, err)
		for i, version := range versions() {
			require.Equal(t, before[i]+1, version, verb)
		}
	}
}

// customer adds one whose trial ends in a day, or who never had one.
func customer(t *testing.T, s *ops.Service, trial bool) (id sweep.ID, shown string) {
	t.Helper()
	id, err := sweep.NewID(time.Now(), rand.Reader)
	require.NoError(t, err)
	require.NoError(t, s.DB.Tenant(t.Context(), id, func(tx *store.Tx) error {
		ends := tx.Now.Add(24 * time.Hour)
		if err := tx.InsertCustomer("", []byte("key"), ends); err != nil || trial {
			return err
		}
		return tx.Exec("UPDATE customers SET trial_ends_at = NULL WHERE id = ?", id.String()).Error
	}))
	return id, sweep.CustomerID.Show(id)
}

func TestACustomersDailyCasesAreDoneByNameAndReason(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id, shown := customer(t, s, true)
	do := func(args ...string) string {
		out, err := run(t, s, "ada", append(args, "--reason", "a ticket")...)
		require.NoError(t, err, args)
		return out
	}
	show := func() string {
		out, err := run(t, s, "ben", "show", shown)
		require.NoError(t, err)
		return out
	}
	require.Regexp(t, `(?s)plan +pro now; bought: free\n.*trial +until 20.*0 of 5000 messages used, 0 reserved, 5000 left\n.*open jobs +0\n`, show())
	require.Equal(t, shown+": enterprise until 2099-01-01 00:00 UTC\n", do("grant", shown, "enterprise", "--to", "2099-01-01T00:00:00Z"))
	require.Regexp(t, `plan +enterprise now; bought: free\ngranted +enterprise, until 2099-01-01 00:00 UTC\n`, show())
	do("grant", shown, "basic")
	require.Regexp(t, `granted +basic\n`, show())
	require.NoError(t, s.DB.Tenant(t.Context(), id, func(tx *store.Tx) error { return tx.SetBought(sweep.Subscription{Tier: sweep.Enterprise}) }))
	require.Regexp(t, `plan +enterprise now; bought: enterprise\ngranted +basic\n`, show(), "what is bought leaves the grant as it is")
	do("grant", shown, "free")
	require.Regexp(t, `plan +enterprise now; bought: enterprise\n`, show(), "and a grant takes nothing away that is paid for")
	require.NotContains(t, show(), "granted")
	before, err := s.Customer(t.Context(), id)
	require.NoError(t, err)
	do("trial", shown, "--days", "7")
	after, err := s.Customer(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 7*24*time.Hour, after.TrialEndsAt.Sub(before.TrialEndsAt))
	require.Greater(t, after.PlanVersion, before.PlanVersion, "whoever keeps the plan in mind reads it again")

	do("suspend", shown)
	require.Regexp(t, `(?s)SUSPENDED +since 20.*STOPPED +by ada: a ticket`, show())
	_, err = run(t, s, "ada", "suspend", shown, "--reason", "again")
	require.Equal(t, sweep.Conflict, sweep.CodeOf(err))
	do("lift", "customer", shown)
	do("suspend", shown) // as after an interruption: the halt is put in force again
	require.Regexp(t, `STOPPED +by ada`, show())
	do("reactivate", shown)
	require.NotRegexp(t, "SUSPENDED|STOPPED", show())
	_, err = run(t, s, "ada", "reactivate", shown, "--reason", "again")
	require.Equal(t, sweep.Conflict, sweep.CodeOf(err))

	var acts []string
	require.NoError(t, s.DB.Tenant(t.Context(), id, func(tx *store.Tx) error {
		return tx.Raw("SELECT action || ' by ' || actor || ': ' || (data->>'why') FROM audit_logs ORDER BY seq").Scan(&acts).Error
	}))
	require.Equal(t, []string{"plan.granted by ops:ada: a ticket", "plan.granted by ops:ada: a ticket", "plan.granted by ops:ada: a ticket", "trial.extended by ops:ada: a ticket", "customer.halted by ops:ada: a ticket",
		"customer.suspended by ops:ada: a ticket", "customer.released by ops:ada: a ticket", "customer.halted by ops:ada: a ticket", "customer.reactivated by ops:ada: a ticket", "customer.released by ops:ada: a ticket"}, acts)
}

func TestWhatCannotBeDoneToACustomerChangesNothing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id, shown := customer(t, s, false)
	before, err := s.Customer(t.Context(), id)
	require.NoError(t, err)
	nobody := sweep.CustomerID.Show(sweep.ID{15: 1})
	for _, c := range []struct {
		code sweep.Code
		args []string
	}{
		{sweep.Invalid, []string{"grant", shown, "platinum"}},
		{sweep.Invalid, []string{"grant", shown}},
		{sweep.Invalid, []string{"grant", shown, "pro", "--to", "tomorrow"}},
		{sweep.Invalid, []string{"grant", shown, "pro", "--to", "2020-01-01T00:00:00Z"}},
		{sweep.Invalid, []string{"trial", shown}},
		{sweep.Invalid, []string{"trial", shown, "--days", "91"}},
		{sweep.Conflict, []string{"trial", shown, "--days", "7"}},
		{sweep.NotFound, []string{"grant", nobody, "pro"}},
		{sweep.NotFound, []string{"suspend", nobody}},
		{sweep.NotFound, []string{"show", nobody}},
		{sweep.Invalid, []string{"suspend"}},
	} {
		_, err := run(t, s, "ada", append(c.args, "--reason", "a ticket")...)
		require.Equal(t, c.code, sweep.CodeOf(err), c.args)
	}
	_, err = run(t, s, "ada", "suspend", shown)
	require.Equal(t, sweep.Invalid, sweep.CodeOf(err), "without a reason")
	_, err = run(t, s, "", "suspend", shown, "--reason", "a ticket")
	require.Equal(t, sweep.Forbidden, sweep.CodeOf(err), "without a name")
	after, err := s.Customer(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// charge books messages that a run of this month cleaned.
func charge(t *testing.T, d testkit.Database, id sweep.ID, n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.Bootstrap)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	job, err := sweep.NewID(time.Now(), rand.Reader)
	require.NoError(t, err)
	month := sweep.PeriodAt(time.Now()).Start
	_, err = conn.Exec(t.Context(), `WITH u AS (INSERT INTO usage_tracking (customer_id, period_start, used) VALUES ($1, $3, $4))
		INSERT INTO usage_ledger (customer_id, job_id, batch_no, kind, emails, period_start, created_at) VALUES ($1, $2, 0, 'settle', $4, $3, now())`, id.String(), job.String(), month, n)
	require.NoError(t, err)
}

// What is forgiven is not counted any more, is told with its month, and stands in both logs.
func TestAMonthsUsageIsForgivenByNameAndReason(t *testing.T) {
	t.Parallel()
	s, d := newServiceOn(t)
	id, shown := customer(t, s, true)
	month := time.Now().UTC().Format("2006-01")
	reset := func(period string) (string, error) {
		return run(t, s, "ada", "reset-usage", shown, "--period", period, "--reason", "a ticket")
	}
	_, err := reset(month)
	require.Equal(t, sweep.Conflict, sweep.CodeOf(err), "nothing was used")
	for _, period := range []string{"", "november", "2026-13", "2126-01"} {
		_, err = reset(period)
		require.Equal(t, sweep.Invalid, sweep.CodeOf(err), period)
	}
	_, err = reset("2020-01")
	require.Equal(t, sweep.Conflict, sweep.CodeOf(err), "before all ledgers")
	charge(t, d, id, 70)
	out, err := reset(month)
	require.NoError(t, err)
	require.Equal(t, shown+": 70 messages of "+month+" are not counted any more\n", out)
	out, err = run(t, s, "ben", "show", shown)
	require.NoError(t, err)
	require.Contains(t, out, " 0 of 5000 messages used")
	var told string
	require.NoError(t, s.DB.Tenant(t.Context(), id, func(tx *store.Tx) error {
		return tx.Raw("SELECT actor || ' ' || data::text FROM audit_logs WHERE action = 'usage.reset'").Scan(&told).Error
	}))
	require.Equal(t, `ops:ada {"why": "a ticket", "period": "`+month+`", "messages": 70}`, told)
	acts, err := s.Log(t.Context(), 0, 1)
	require.NoError(t, err)
	require.Equal(t, []string{"ada", "reset-usage", shown, "a ticket"}, []string{acts[0].Operator, acts[0].Act, acts[0].Object, acts[0].Reason})
}

// A pause starts nothing and stops nothing, so it is no suspension's halt; and who was deleted is shut already.
func TestASuspensionStopsWhatRunsWhateverWasPaused(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id, shown := customer(t, s, true)
	for _, args := range [][]string{{"suspend", shown}, {"lift", "customer", shown}, {"pause", "customer", shown}, {"suspend", shown}} {
		_, err := run(t, s, "ada", append(args, "--reason", "a ticket")...)
		require.NoError(t, err, args)
	}
	c, err := s.Customer(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, c.Halts, 2, "the pause, and a halt")

	require.NoError(t, s.DB.Tenant(t.Context(), id, func(tx *store.Tx) error { return tx.DeleteCustomer(tx.Now.Add(time.Hour)) }))
	_, err = run(t, s, "ada", "suspend", shown, "--reason", "a ticket")
	require.Equal(t, sweep.Conflict, sweep.CodeOf(err))
	out, err := run(t, s, "ada", "show", shown)
	require.NoError(t, err)
	require.Contains(t, out, "DELETED ")
}
