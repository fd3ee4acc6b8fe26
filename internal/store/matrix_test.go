package store_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// fill gives a customer a row in every table, those of a month twice: of now and of at.
func (y *yard) fill(p place, at time.Time) {
	y.t.Helper()
	c, box, user, plan := p.customer.String(), p.mailbox.String(), newID(y.t).String(), newID(y.t).String()
	y.exec("INSERT INTO users (id, email, password, created_at) VALUES ($1::uuid, $1::text || '@example.com', '', now())", user)
	y.exec("INSERT INTO members (customer_id, user_id, role, created_at) VALUES ($1, $2, 'owner', now())", c, user)
	y.exec("INSERT INTO sessions (customer_id, id, user_id, hash, created_at, seen_at, expires_at) VALUES ($1, $2, $3, $4, now(), now(), now())", c, plan, user, []byte(user))
	y.exec("INSERT INTO email_tokens (customer_id, id, user_id, kind, hash, email, expires_at, created_at) VALUES ($1, $2, $3, 'verify', $4, '', now(), now())", c, plan, user, []byte(user))
	y.exec("INSERT INTO oauth_states (customer_id, hash, user_id, verifier, expires_at) VALUES ($1, $2, $3, '', now())", c, []byte(user), user)
	y.exec("INSERT INTO oauth_tokens (customer_id, id, mailbox_id, sealed, created_at) VALUES ($1, $2, $3, '', now())", c, plan, box)
	y.exec("INSERT INTO second_factors (customer_id, user_id, secret, salt, created_at) VALUES ($1, $2, '', '', now())", c, user)
	y.exec("INSERT INTO recovery_codes (customer_id, user_id, hash) VALUES ($1, $2, '')", c, user)
	y.exec("INSERT INTO login_challenges (customer_id, id, user_id, hash, token_version, expires_at) VALUES ($1, $2, $3, $4, 1, now())", c, plan, user, []byte(user))
	y.exec("INSERT INTO api_keys (customer_id, id, user_id, name, id8, hash, scopes, created_at) VALUES ($1, $2, $3, 'same', 'same', $4, 'read', now())", c, plan, user, []byte(user))
	y.exec("INSERT INTO invitations (customer_id, id, email, role, hash, invited_by, expires_at, created_at) VALUES ($1, $2, 'same', 'viewer', $3, $4, now(), now())", c, plan, []byte(user), user)
	y.exec("INSERT INTO exports (customer_id, id, user_id, created_at) VALUES ($1, $2, $3, now())", c, plan, user)
	y.exec("INSERT INTO export_parts (customer_id, export_id, n, sealed) VALUES ($1, $2, 0, '')", c, plan)
	y.exec("INSERT INTO keep_list (customer_id, entry, created_at) VALUES ($1, 'same@example.com', now())", c)
	y.exec("INSERT INTO notices (customer_id, kind, key, created_at) VALUES ($1, 'same', 'same', now())", c)
	y.exec("INSERT INTO idempotency_keys (customer_id, route, key, request_hash, created_at) VALUES ($1, 'same', 'same', '', now())", c)
	y.exec("INSERT INTO mailbox_indexes (customer_id, mailbox_id, segment, version, sealed, as_of) VALUES ($1, $2, 'same', 1, '', now())", c, box)
	y.exec("INSERT INTO subscriptions (customer_id, stripe_id, status, price_id, tier, every, cents, period_start, period_end, created_at, updated_at) VALUES ($1, 'same', 'active', 'same', 'pro', 'month', 1, now(), now(), now(), now())", c)
	y.exec("INSERT INTO billing_intents (customer_id, kind, id, target, created_at) VALUES ($1, 'checkout', $2, 'same', now())", c, plan)
	y.exec("INSERT INTO usage_tracking (customer_id, period_start) VALUES ($1, '2026-01-01')", c)
	y.exec("INSERT INTO audit_anchors (customer_id, month, seq, hash) VALUES ($1, '2026-01-01', 1, '')", c)
	y.exec(`INSERT INTO cleanup_plans (customer_id, id, mailbox_id, account, generation, action, head, ids, messages, bytes, history_id, made_by, made_at, expires_at)
		VALUES ($1, $2, $3, 'a', 1, 'trash', '', '', 1, 1, 1, $2, now(), now())`, c, plan, box)
	y.exec("INSERT INTO open_jobs (customer_id, job_id, mailbox_id, kind) VALUES ($1, $2, $3, 'analyze')", c, plan, box)
	for _, when := range []time.Time{time.Now(), at} {
		id, err := sweep.NewID(when, rand.Reader)
		require.NoError(y.t, err)
		job := id.String()
		y.exec("INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, run_at, created_at) VALUES ($1, $2, $3, 'a', 'execute', 'failed', 1, 1, now(), now())", c, job, box)
		y.exec("INSERT INTO batches (customer_id, job_id, n, state, asked, created_at) VALUES ($1, $2, 0, 'done', 1, now())", c, job)
		y.exec("INSERT INTO usage_ledger (customer_id, job_id, batch_no, kind, emails, period_start, created_at) VALUES ($1, $2, 0, 'settle', 1, now(), now())", c, job)
		y.exec("INSERT INTO cleanup_runs (customer_id, job_id, plan_id, mailbox_id, action, state, planned, started_at) VALUES ($1, $2, $3, $4, 'trash', 'failed', 1, now())", c, job, plan, box)
		y.exec("INSERT INTO outbox (customer_id, id, kind, run_at, created_at) VALUES ($1, $2, 'x', now(), now())", c, job)
		y.exec("SELECT audit($1::uuid, $2, now(), '', '', '', '', NULL, '{}') WHERE set_config('app.customer_id', $1::text, true) IS NOT NULL", c, job)
	}
}

// cell is one try of one role at one table.
type cell struct{ role, table, try, as, statement string }

// matrix tries every statement on every fenced table as every role, as one customer and as none, and lists what got through. No
// statement names the customer: only the fence tells the rows apart. only narrows it to one table.
func matrix(ctx context.Context, tx pgx.Tx, own, other, only string) (leaks []string, allowed int, err error) {
	// A try undoes itself, its role and its tenant with it, and answers the number of rows or the SQLSTATE.
	_, err = tx.Exec(ctx, `CREATE FUNCTION pg_temp.try(p_role text, p_customer text, p_statement text) RETURNS text LANGUAGE plpgsql AS $$
		DECLARE n bigint;
		BEGIN
		  PERFORM set_config('app.customer_id', p_customer, true);
		  EXECUTE format('SET LOCAL ROLE %I', p_role);
		  EXECUTE p_statement;
		  GET DIAGNOSTICS n = ROW_COUNT;
		  RAISE EXCEPTION USING ERRCODE = 'ZZ001', MESSAGE = n;
		EXCEPTION WHEN SQLSTATE 'ZZ001' THEN RETURN SQLERRM; WHEN OTHERS THEN RETURN SQLSTATE;
		END $$`)
	if err != nil {
		return nil, 0, fmt.Errorf("make try: %w", err)
	}
	tables, err := fencedTables(ctx, tx, own, other, only)
	if err != nil {
		return nil, 0, err
	}
	var batch pgx.Batch
	for _, t := range tables {
		for _, c := range t.cells(own, other) {
			batch.Queue("SELECT pg_temp.try($1, $2, $3)", c.role, c.as, c.statement).QueryRow(func(row pgx.Row) error {
				var got string
				if err := row.Scan(&got); err != nil {
					return err
				}
				if n, err := strconv.Atoi(got); len(got) < 5 && err == nil && n > 0 {
					allowed++
				}
				if !slices.Contains(t.right(c, own), got) {
					leaks = append(leaks, fmt.Sprintf("%s %s %s as %s: %s", c.role, c.try, c.table, map[string]string{own: "itself", "": "nobody"}[c.as], got))
				}
				return nil
			})
		}
	}
	return leaks, allowed, tx.SendBatch(ctx, &batch).Close()
}

// fenced is a table with the customer's column, how many rows the customer has in it, and a row of its own and of another.
type fenced struct {
	name, column, own, other string
	rows                     int
	columns                  map[string]string // by role, a column that it may update
}

var tenantRoles = []string{"mailsweep_owner", "mailsweep_app", "mailsweep_worker", "mailsweep_scheduler"}

func fencedTables(ctx context.Context, tx pgx.Tx, own, other, only string) (tables []fenced, err error) {
	rows, err := tx.Query(ctx, `SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r','p')
		AND (c.relname = 'customers' OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'customer_id'))
		AND $1::text IN ('', c.relname::text) ORDER BY 1`, only)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		t := fenced{name: name, column: "customer_id", columns: map[string]string{}}
		if name == "customers" {
			t.column = "id"
		}
		table := pgx.Identifier{name}.Sanitize()
		err := tx.QueryRow(ctx, "SELECT count(*) FILTER (WHERE "+t.column+" = $1), coalesce(min(to_json(t)::text) FILTER (WHERE "+t.column+" = $1), ''), coalesce(min(to_json(t)::text) FILTER (WHERE "+t.column+" = $2), '') FROM "+table+" t",
			own, other).Scan(&t.rows, &t.own, &t.other)
		if err != nil {
			return nil, err
		}
		for _, role := range tenantRoles {
			var column string
			err := tx.QueryRow(ctx, `SELECT coalesce(min(attname) FILTER (WHERE has_column_privilege($2, attrelid, attnum, 'UPDATE') AND has_column_privilege($2, attrelid, attnum, 'SELECT')), $3)
				FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0`, name, role, t.column).Scan(&column)
			if err != nil {
				return nil, err
			}
			t.columns[role] = column
		}
		tables = append(tables, t)
	}
	return tables, nil
}

func (t fenced) cells(own, other string) (cells []cell) {
	name := pgx.Identifier{t.name}.Sanitize()
	insert := func(row string) string {
		return fmt.Sprintf("INSERT INTO %s SELECT (json_populate_record(NULL::%s, '%s')).*", name, name, row)
	}
	for _, role := range tenantRoles {
		for _, as := range []string{own, ""} {
			cells = append(cells, cell{role, t.name, "select", as, "SELECT " + t.column + " FROM " + name},
				cell{role, t.name, "update", as, fmt.Sprintf("UPDATE %s SET %s = %s", name, t.columns[role], t.columns[role])},
				cell{role, t.name, "delete", as, "DELETE FROM " + name})
			if t.rows > 0 {
				cells = append(cells, cell{role, t.name, "insert own", as, insert(t.own)}, cell{role, t.name, "insert foreign", as, insert(t.other)})
			}
		}
		if t.rows > 0 {
			cells = append(cells, cell{role, t.name, "give away", own, fmt.Sprintf("UPDATE %s SET %s = '%s'", name, t.column, other)})
		}
	}
	return cells
}

const (
	denied    = "42501" // by a grant or by row-level security
	duplicate = "23505" // past both
	refused   = "P0001" // the audit log, by its trigger
)

// right is what a cell may answer. The owner has every grant, so what stops it is the fence alone.
func (t fenced) right(c cell, own string) []string {
	all := []string{strconv.Itoa(t.rows)}
	switch {
	case c.try == "insert foreign" || c.try == "insert own" && c.as == "":
		return []string{denied}
	case c.try == "give away":
		return []string{denied, refused}
	case c.as == "":
		all = []string{"0"}
	case c.try == "insert own":
		all = []string{duplicate}
	case c.try != "select" && t.rows > 0 && strings.HasPrefix(t.name, "audit_logs"):
		all = append(all, refused)
	}
	if c.role != "mailsweep_owner" {
		all = append(all, denied)
	}
	return all
}

// newMatrix is two customers with a row in every table, also of a month whose partitions the scheduler made just now.
func newMatrix(t *testing.T) (y *yard, own, other string) {
	t.Helper()
	y = newYard(t)
	far := time.Date(2039, 11, 2, 0, 0, 0, 0, time.UTC)
	made, err := open(t, y.d, "mailsweep_scheduler").EnsurePartitions(t.Context(), far, 1)
	require.NoError(t, err)
	require.Equal(t, 5, made)
	a, b := y.place("same"), y.place("same")
	y.fill(a, far)
	y.fill(b, far)
	return y, a.customer.String(), b.customer.String()
}

// TEN-5, TEN-11: the two customers have the same Google account and the same keys.
func TestACustomerReachesItsOwnRowsOnly(t *testing.T) {
	t.Parallel()
	y, own, other := newMatrix(t)
	y.inDoubt(func(tx pgx.Tx) {
		tables, err := fencedTables(t.Context(), tx, own, other, "")
		require.NoError(t, err)
		filled := 0
		for _, table := range tables {
			if table.rows > 0 {
				filled++
			}
		}
		require.Equal(t, 33+10, filled, "33 tables, and of 5 the partitions of two months, have rows to tell apart")
		leaks, allowed, err := matrix(t.Context(), tx, own, other, "")
		require.NoError(t, err)
		require.Empty(t, leaks)
		require.Greater(t, allowed, 100, "the customer's own rows were reached")
	})
}

// TEN-14: what a backup restores is fenced as what it was taken of.
func TestARestoredBackupIsFencedAsWell(t *testing.T) {
	t.Parallel()
	y, own, other := newMatrix(t)
	d := testkit.Restore(t, testkit.Dump(t, y.d))
	require.NoError(t, store.Migrate(t.Context(), d.Bootstrap, nil), "rights on a database itself are not in its dump")
	conn, err := pgx.Connect(t.Context(), d.Bootstrap)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	back := &yard{t: t, d: d, conn: conn}
	back.inDoubt(func(tx pgx.Tx) {
		leaks, allowed, err := matrix(t.Context(), tx, own, other, "")
		require.NoError(t, err)
		require.Empty(t, leaks)
		require.Greater(t, allowed, 100, "the customer's own rows were reached")
	})
	back.inDoubt(func(tx pgx.Tx) {
		found, err := violations(t.Context(), tx)
		require.NoError(t, err)
		require.Empty(t, found)
	})
}

// TEN-8: without the fence the same tries get through.
func TestWithoutTheFenceTheMatrixLeaks(t *testing.T) {
	t.Parallel()
	y, own, other := newMatrix(t)
	for hole, table := range map[string]string{
		"ALTER TABLE jobs NO FORCE ROW LEVEL SECURITY":                                                                     "jobs",
		"ALTER TABLE keep_list DISABLE ROW LEVEL SECURITY":                                                                 "keep_list",
		"DROP POLICY fence ON outbox; CREATE POLICY wide ON outbox USING (true)":                                           "outbox",
		"ALTER TABLE batches_203911 NO FORCE ROW LEVEL SECURITY":                                                           "batches_203911",
		"CREATE OR REPLACE FUNCTION app_customer() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT '" + other + "'::uuid $$": "notices",
	} {
		y.inDoubt(func(tx pgx.Tx) {
			_, err := tx.Exec(t.Context(), hole)
			require.NoError(t, err, hole)
			leaks, _, err := matrix(t.Context(), tx, own, other, table)
			require.NoError(t, err, hole)
			require.NotEmpty(t, leaks, hole)
		})
	}
	y.inDoubt(func(tx pgx.Tx) {
		_, err := tx.Exec(t.Context(), "CREATE POLICY wide ON keep_list USING (true)")
		require.NoError(t, err)
		leaks, _, err := matrix(t.Context(), tx, own, other, "keep_list")
		require.NoError(t, err)
		require.Empty(t, leaks, "one policy too wide does not open the fence")
	})
}

// A person is seen by the customers that have them as a member.
func TestPeopleAreSeenByTheirCustomersOnly(t *testing.T) {
	t.Parallel()
	y, own, _ := newMatrix(t)
	count := func(db *store.DB, customer string) (n int) {
		id, err := sweep.ParseUUID(customer)
		require.NoError(t, err)
		require.NoError(t, db.Tenant(t.Context(), id, func(tx *store.Tx) error { return tx.Raw("SELECT count(*) FROM users").Scan(&n).Error }))
		return n
	}
	for _, role := range []string{"mailsweep_app", "mailsweep_worker"} {
		db := open(t, y.d, role)
		require.Equal(t, 1, count(db, own), role)
		require.Equal(t, 0, count(db, newID(t).String()), role)
	}
	id, err := sweep.ParseUUID(own)
	require.NoError(t, err)
	for role, columns := range map[string]string{"mailsweep_worker": "password", "mailsweep_scheduler": "email"} {
		err := open(t, y.d, role).Tenant(t.Context(), id, func(tx *store.Tx) error { return tx.Exec("SELECT " + columns + " FROM users").Error })
		require.ErrorContains(t, err, "permission denied", "%s has no use for it", role)
	}
}
