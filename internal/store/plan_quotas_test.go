package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

// The plans of the code and those of the database are the same, for every process; what an operator changes there counts, and no plan can be added that the code does not know.
func TestThePlanTableOfTheDatabaseIsThatOfTheCode(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	for _, role := range []string{"mailsweep_app", "mailsweep_worker", "mailsweep_scheduler", "mailsweep_ops"} {
		plans, err := openFour(t, y.d, role).Plans(t.Context())
		require.NoError(t, err, role)
		require.Equal(t, sweep.DefaultPlans(), plans, role)
	}
	y.exec("UPDATE plan_quotas SET price_cents = 3100, emails = 60000, mailboxes = 7, people = 4, requests_per_minute = 700 WHERE tier = 'pro'")
	plans, err := openFour(t, y.d, "mailsweep_app").Plans(t.Context())
	require.NoError(t, err)
	want := sweep.DefaultPlans()
	pro := want[sweep.Pro]
	pro.PriceCents, pro.Emails, pro.Mailboxes, pro.People, pro.RequestsPerMinute = 3100, 60_000, 7, 4, 700
	want[sweep.Pro] = pro
	require.Equal(t, want, plans)
	_, err = y.conn.Exec(t.Context(), "INSERT INTO plan_quotas VALUES ('gold', 1, 1, 1, 1, 1)")
	require.Error(t, err)
}
