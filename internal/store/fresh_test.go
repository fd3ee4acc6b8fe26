package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// REG-9: what the migrations leave is a list of plans and what the schema needs of itself; nobody can sign in.
func TestAFreshInstallationKnowsNobody(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), database(t).Bootstrap)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public','sys','lookup','archive') ORDER BY 1")
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(tables), 40)
	var filled []string
	for _, table := range tables {
		var some bool
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM "+table+")").Scan(&some))
		if some {
			filled = append(filled, table)
		}
	}
	require.Equal(t, []string{"public.dispatch_clock", "public.goose_db_version", "public.plan_quotas"}, filled)
}
