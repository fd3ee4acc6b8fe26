package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
)

// What operators had granted before anything could be bought is a grant after it could, and again a plan when that is taken back.
func TestGrantsOutliveTheMigrationThatTellsThemFromPurchases(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	who := y.place("a").customer.String()
	y.exec("UPDATE customers SET granted_plan = 'pro', granted_until = '2030-01-01' WHERE id = $1", who)
	for ask[bool](y, "SELECT EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'customers' AND column_name = 'granted_plan')") {
		require.NoError(t, store.Down(t.Context(), y.d.Bootstrap))
	}
	require.Equal(t, "pro until 2030", ask[string](y, "SELECT plan || ' until ' || extract(year FROM plan_ends_at) FROM customers WHERE id = $1", who))
	require.NoError(t, migrate(t.Context(), y.d.Bootstrap))
	require.Equal(t, "free, granted pro until 2030", ask[string](y, "SELECT plan || ', granted ' || granted_plan || ' until ' || extract(year FROM granted_until) FROM customers WHERE id = $1 AND plan_ends_at IS NULL", who))
}
