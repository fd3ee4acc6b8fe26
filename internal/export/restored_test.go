package export_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// TEN-14: of a backup of two customers, restored into another database, each customer sees through the logins of the processes the rows that
// it had, all of them and no others, in every table; its export, made from there, tells nothing of the other.
func TestARestoredBackupShowsEachCustomerItsOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ada, ben := r.add(t, "adasword"), r.add(t, "bensword")
	for p, word := range map[person]string{ada: "adasword", ben: "bensword"} {
		r.fill(t, p, word)
		r.index(t, p)
	}
	back := rigOn(t, testkit.Restore(t, testkit.Dump(t, r.database)), r.Vault)
	tables := fencedTables(t, r.root)
	require.Equal(t, tables, fencedTables(t, back.root))
	seen := 0
	for _, role := range []string{"mailsweep_owner", "mailsweep_app", "mailsweep_worker", "mailsweep_scheduler"} {
		login, err := pgx.Connect(t.Context(), back.database.URL(role, rolePassword))
		require.NoError(t, err)
		t.Cleanup(func() { _ = login.Close(context.Background()) })
		for table, of := range tables {
			columns := readable(t, back.root, role, table)
			if columns == "" {
				require.NotEqual(t, "mailsweep_owner", role, "the owner has every right: only the fence is between it and %s", table)
				continue
			}
			for _, p := range []person{ada, ben} {
				had := rowsSeen(t, r.root, "", columns, table+" t WHERE "+fmt.Sprintf(of, p.customer))
				require.Equal(t, had, rowsSeen(t, login, p.customer.String(), columns, table), "%s in %s", role, table)
				seen += len(had)
				if !strings.Contains(table, "_20") {
					require.NotEmpty(t, had, "%s has a row to be told apart", table)
				}
			}
			require.Empty(t, rowsSeen(t, login, newID(t).String(), columns, table), "%s as nobody in %s", role, table)
			require.Empty(t, rowsSeen(t, login, "", columns, table), "%s without a customer in %s", role, table)
		}
	}
	require.Greater(t, seen, 200)
	back.tells(t, ada, "adasword", ben, "bensword")
	back.tells(t, ben, "bensword", ada, "adasword")
}

// tells wants a customer's export to hold its own word, and no word and no id of another.
func (r *rig) tells(t *testing.T, p person, word string, other person, foreign string) {
	t.Helper()
	whole := ""
	for name, text := range r.made(t, p) {
		whole += name + "\n" + text
	}
	require.True(t, strings.Contains(whole, word+"@example.com"), "its own address")
	texts := []string{foreign}
	for _, id := range []sweep.ID{other.customer, other.user, other.mailbox, other.job, other.plan} {
		texts = append(texts, id.String(), hexOf(id))
	}
	for _, text := range texts {
		require.False(t, strings.Contains(whole, text), "%s in the export of %s", text, word)
	}
}

// fencedTables are the tables of customers, partitions too, each with what says of a row that it is a customer's.
func fencedTables(t *testing.T, root *pgx.Conn) map[string]string {
	t.Helper()
	rows, err := root.Query(t.Context(), `SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'customer_id' AND NOT a.attisdropped
		WHERE c.relkind IN ('r','p') AND c.relnamespace = 'public'::regnamespace`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(names), 30)
	tables := map[string]string{"customers": "t.id = '%s'", "users": "t.id IN (SELECT user_id FROM members WHERE customer_id = '%s')"}
	for _, name := range names {
		tables[name] = "t.customer_id = '%s'"
	}
	return tables
}

// readable lists the columns that a role may read.
func readable(t *testing.T, root *pgx.Conn, role, table string) (columns string) {
	t.Helper()
	require.NoError(t, root.QueryRow(t.Context(), `SELECT coalesce(string_agg(quote_ident(attname), ', ' ORDER BY attnum), '') FROM pg_attribute
		WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND has_column_privilege($2, attrelid, attnum, 'SELECT')`, table, role).Scan(&columns))
	return columns
}

// rowsSeen are the rows that a login is shown as a customer, in one order.
func rowsSeen(t *testing.T, conn *pgx.Conn, customer, columns, from string) []string {
	t.Helper()
	_, err := conn.Exec(t.Context(), "SELECT set_config('app.customer_id', $1, false)", customer)
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), "SELECT ROW("+columns+")::text FROM "+from+" ORDER BY 1")
	require.NoError(t, err)
	seen, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err, from)
	return seen
}
