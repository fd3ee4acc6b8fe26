package opscli_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/ops"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

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
	require.Regexp(t, `(?s)plan +pro now; bought or granted: free\n.*trial +until 20.*0 of 5000 messages used, 0 reserved, 5000 left\n.*open jobs +0\n`, show())
	require.Equal(t, shown+": enterprise until 2099-01-01 00:00 UTC\n", do("grant", shown, "enterprise", "--to", "2099-01-01T00:00:00Z"))
	require.Regexp(t, `plan +enterprise now; bought or granted: enterprise, until 2099-01-01 00:00 UTC\n`, show())
	do("grant", shown, "basic")
	require.Regexp(t, `bought or granted: basic\n`, show())
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
	require.Equal(t, []string{"plan.granted by ops:ada: a ticket", "plan.granted by ops:ada: a ticket", "trial.extended by ops:ada: a ticket", "customer.halted by ops:ada: a ticket",
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
