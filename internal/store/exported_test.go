package store_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
)

// GDP-1: every column of every table of customers is told by an export, or named as left out with its reason. A new table or column fails here.
func TestAnExportForgetsNoTableAndNoColumn(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	c := y.place("a")
	told := map[string]store.Exported{}
	for _, x := range store.ExportedTables() {
		told[x.Table] = x
	}
	out := store.NotExported()
	worker := open(t, y.d, "mailsweep_worker")
	rows, err := y.conn.Query(t.Context(), `SELECT c.relname::text, array_agg(a.attname::text) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'customer_id'
		WHERE c.relkind IN ('r','p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace AND (c.relname IN ('customers','users')
		  OR EXISTS (SELECT FROM pg_attribute k WHERE k.attrelid = c.oid AND k.attname = 'customer_id' AND NOT k.attisdropped)) GROUP BY 1`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		Name    string
		Columns []string
	}])
	require.NoError(t, err)
	there := map[string]bool{}
	for _, table := range tables {
		there[table.Name] = true
		x, is := told[table.Name]
		if !is {
			require.NotEmpty(t, out[table.Name], "%s: say in ExportedTables what an export tells of it, or in NotExported why nothing", table.Name)
			continue
		}
		require.NotContains(t, out, table.Name)
		require.NoError(t, worker.Tenant(t.Context(), c.customer, func(tx *store.Tx) error {
			columns, err := x.Columns(tx)
			require.NoError(t, err, "the worker may read it")
			for _, column := range table.Columns {
				require.NotEqual(t, slices.Contains(columns, column), x.Left[column] != "", "%s.%s: it is told, or it is in Left with the reason", table.Name, column)
			}
			require.Subset(t, table.Columns, x.Sealed)
			return err
		}))
	}
	for _, x := range store.ExportedTables() {
		require.True(t, there[x.Table], "%s is not there", x.Table)
	}
	for name := range out {
		require.True(t, there[name], "%s is not there", name)
	}
}
