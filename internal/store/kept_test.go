package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
)

// The privacy page names every table of the schema, or says that it holds nothing of customers; and nothing that is not there. A new table fails here.
func TestThePrivacyPageForgetsNoTable(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	rows, err := y.conn.Query(t.Context(), `SELECT c.relname::text FROM pg_class c WHERE c.relkind IN ('r','p') AND NOT c.relispartition
		AND c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'goose%'`)
	require.NoError(t, err)
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	var told []string
	for _, k := range store.KeptTables() {
		require.NotEmpty(t, k.What, k.Table)
		told = append(told, k.Table)
	}
	require.ElementsMatch(t, there, append(told, store.Impersonal()...))
	rows, err = y.conn.Query(t.Context(), "SELECT DISTINCT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('customer_id','user_id','email','account','address_hash') AND NOT a.attisdropped WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r','p') AND NOT c.relispartition")
	require.NoError(t, err)
	personal, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Subset(t, told, personal)
}
