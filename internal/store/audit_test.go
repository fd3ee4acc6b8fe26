package store_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
)

// tamper is a superuser at work on a customer's audit log of so many rows, who puts it back after each deed.
type tamper struct {
	*yard
	who place
	app *store.DB
}

func newTamper(t *testing.T, rows int) *tamper {
	t.Helper()
	y := newYard(t)
	x := &tamper{yard: y, who: y.place("a"), app: open(t, y.d, "mailsweep_app")}
	x.exec(`DO $$ BEGIN
		PERFORM set_config('app.customer_id', '` + x.who.customer.String() + `', true);
		PERFORM audit('` + x.who.customer.String() + `', uuid_floor(now() + n * interval '1 ms'), now(), 'user:usr_1', 'job.execute', 'job_' || n, 'req', '\x01', jsonb_build_object('n', n)) FROM generate_series(1, ` + fmt.Sprint(rows) + `) n;
	END $$`)
	x.exec("CREATE TABLE kept_logs AS SELECT * FROM audit_logs")
	x.exec("CREATE TABLE kept_heads AS SELECT * FROM audit_heads")
	x.exec("SET session_replication_role = replica") // no trigger hinders a superuser
	return x
}

func (x *tamper) proof() (p store.AuditProof) {
	x.t.Helper()
	require.NoError(x.t, x.app.Tenant(x.t.Context(), x.who.customer, func(tx *store.Tx) (err error) { p, err = tx.VerifyAudit(); return err }))
	return p
}

func (x *tamper) head() (h store.AuditHead) {
	x.t.Helper()
	require.NoError(x.t, x.app.Tenant(x.t.Context(), x.who.customer, func(tx *store.Tx) (err error) { h, err = tx.AuditHead(); return err }))
	return h
}

func (x *tamper) has(h store.AuditHead) (has bool) {
	x.t.Helper()
	require.NoError(x.t, x.app.Tenant(x.t.Context(), x.who.customer, func(tx *store.Tx) error {
		found, known, err := tx.HasAuditHead(h)
		require.True(x.t, known)
		has = found
		return err
	}))
	return has
}

func (x *tamper) restore() {
	x.t.Helper()
	x.exec("DELETE FROM audit_logs")
	x.exec("INSERT INTO audit_logs SELECT * FROM kept_logs")
	x.exec("UPDATE audit_heads h SET seq = k.seq, hash = k.hash FROM kept_heads k WHERE k.customer_id = h.customer_id")
}

// AUD-2
func TestWhatASuperuserDoesToTheAuditLogIsFoundAndLocated(t *testing.T) {
	t.Parallel()
	const rows = 10_000
	x := newTamper(t, rows)
	require.Equal(t, store.AuditProof{Rows: rows}, x.proof())
	outside := x.head()
	require.Equal(t, int64(rows), outside.Seq)
	const rewritten = `DO $$
		DECLARE r audit_logs; n bigint := 0; p bytea := ''; h bytea;
		BEGIN
		  FOR r IN SELECT * FROM audit_logs WHERE seq <> 4711 ORDER BY seq LOOP
		    n := n + 1;
		    h := sha256(p || audit_text(2, n, r.customer_id, r.id, r.at, r.actor, r.action, r.object, r.request_id, r.address_hash, r.data));
		    UPDATE audit_logs SET seq = n, prev_hash = p, hash = h WHERE customer_id = r.customer_id AND id = r.id;
		    p := h;
		  END LOOP;
		  UPDATE audit_heads SET seq = n, hash = h;
		END $$`
	for _, c := range []struct {
		what  string
		deeds []string
		want  store.AuditProof
	}{
		{"an edit", []string{"UPDATE audit_logs SET data = '{\"n\": 0}' WHERE seq = 4711"}, store.AuditProof{Rows: rows, Broken: 4711}},
		{"an edit with its hash", []string{`UPDATE audit_logs SET action = 'x', hash = sha256(prev_hash || audit_text(form, seq, customer_id, id, at, actor, 'x', object, request_id, address_hash, data))
			WHERE seq = 4711`}, store.AuditProof{Rows: rows, Broken: 4712}},
		{"a character that moves to the next field", []string{"UPDATE audit_logs SET actor = 'user:usr_1|job', action = 'execute' WHERE seq = 4711"}, store.AuditProof{Rows: rows, Broken: 4711}},
		{"a bar that moves", []string{"UPDATE audit_logs SET action = 'job.execute|job_' || 4711, object = '' WHERE seq = 4711"}, store.AuditProof{Rows: rows, Broken: 4711}},
		{"a deletion", []string{"DELETE FROM audit_logs WHERE seq = 4711"}, store.AuditProof{Rows: rows - 1, Broken: 4712}},
		{"an insertion", []string{`INSERT INTO audit_logs SELECT customer_id, uuid_floor(now() + interval '1 minute'), 4711, at, actor, 'lie', object, request_id, address_hash, data, prev_hash,
			hash, form FROM audit_logs WHERE seq = 4711`}, store.AuditProof{Rows: rows + 1, Broken: 4711}},
		{"a fork", []string{`INSERT INTO audit_logs SELECT customer_id, uuid_floor(now() + interval '1 minute'), seq, at, actor, 'lie', object, request_id, address_hash, data, prev_hash,
			hash, form FROM audit_logs WHERE seq = 4711`, `UPDATE audit_logs SET hash = sha256(prev_hash || audit_text(form, seq, customer_id, id, at, actor, action, object, request_id, address_hash, data)) WHERE action = 'lie'`},
			store.AuditProof{Rows: rows + 1, Broken: 4711}},
		{"an insertion at the end", []string{`INSERT INTO audit_logs SELECT customer_id, uuid_floor(now() + interval '1 minute'), seq + 1, at, actor, action, object, request_id, address_hash, data, hash, hash, form
			FROM audit_logs WHERE seq = 10000`, `UPDATE audit_logs SET hash = sha256(prev_hash || audit_text(form, seq, customer_id, id, at, actor, action, object, request_id, address_hash, data)) WHERE seq = 10001`},
			store.AuditProof{Rows: rows + 1, Broken: 10_001}},
		{"a tail cut off", []string{"DELETE FROM audit_logs WHERE seq > 9000"}, store.AuditProof{Rows: 9000, Cut: true}},
		{"a tail cut off and forgotten", []string{"DELETE FROM audit_logs WHERE seq > 9000", "UPDATE audit_heads h SET seq = 9000, hash = l.hash FROM audit_logs l WHERE l.seq = 9000"}, store.AuditProof{Rows: 9000}},
		{"a chain written anew", []string{"CREATE TABLE victim AS SELECT id FROM audit_logs WHERE seq = 4711", rewritten, "DELETE FROM audit_logs WHERE id IN (SELECT id FROM victim)", "DROP TABLE victim"},
			store.AuditProof{Rows: rows - 1}},
	} {
		for _, deed := range c.deeds {
			x.exec(deed)
		}
		require.Equal(t, c.want, x.proof(), c.what)
		require.Equal(t, c.want.Broken > 0, x.has(outside), "%s: a head that was kept outside tells it where the chain itself does not", c.what)
		x.restore()
	}
	require.Equal(t, store.AuditProof{Rows: rows}, x.proof())
}

// Rows from before the form changed stay what they were.
func TestRowsOfTheFirstFormAreVerifiedToo(t *testing.T) {
	t.Parallel()
	x := newTamper(t, 3)
	x.exec(`UPDATE audit_logs SET form = 1, hash = sha256(prev_hash || audit_text(1, seq, customer_id, id, at, actor, action, object, request_id, address_hash, data)) WHERE seq = 1`)
	x.exec("UPDATE audit_logs n SET prev_hash = p.hash FROM audit_logs p WHERE n.seq = 2 AND p.seq = 1")
	x.exec("UPDATE audit_logs SET hash = sha256(prev_hash || audit_text(2, seq, customer_id, id, at, actor, action, object, request_id, address_hash, data)) WHERE seq = 2")
	x.exec("UPDATE audit_logs n SET prev_hash = p.hash FROM audit_logs p WHERE n.seq = 3 AND p.seq = 2")
	x.exec("UPDATE audit_logs SET hash = sha256(prev_hash || audit_text(2, seq, customer_id, id, at, actor, action, object, request_id, address_hash, data)) WHERE seq = 3")
	x.exec("UPDATE audit_heads SET hash = l.hash FROM audit_logs l WHERE l.seq = 3")
	require.Equal(t, store.AuditProof{Rows: 3}, x.proof())
	x.exec("UPDATE audit_logs SET form = 1 WHERE seq = 2")
	require.Equal(t, store.AuditProof{Rows: 3, Broken: 2}, x.proof())
}

// AUD-1: edits, deletions and emptying are refused to every role, owner and superuser included; no process writes past the function.
func TestTheAuditLogIsOnlyWrittenAndRead(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	who := y.place("a")
	c := who.customer.String()
	write := "SELECT audit('" + c + "', uuid_floor(clock_timestamp()), now(), '', 'act', '', '', NULL, '{}')"
	deeds := []string{"UPDATE audit_logs SET action = 'x'", "DELETE FROM audit_logs", "TRUNCATE audit_logs",
		"INSERT INTO audit_logs (customer_id, id, seq, at, actor, action, prev_hash, hash) VALUES ('" + c + "', uuid_floor(clock_timestamp()), 2, now(), '', '', '', '')",
		"UPDATE audit_heads SET seq = 0", "INSERT INTO audit_anchors (customer_id, month, seq, hash) VALUES ('" + c + "', '2026-01-01', 9, '')"}
	for _, role := range []string{"mailsweep_app", "mailsweep_worker", "mailsweep_scheduler"} {
		y.as(role, c, func(try func(string) error) {
			require.NoError(t, try(write), role)
			for _, deed := range deeds {
				require.Error(t, try(deed), "%s: %s", role, deed)
			}
			require.NoError(t, try("SELECT FROM audit_logs"), role)
		})
	}
	for _, role := range []string{"mailsweep_owner", ""} {
		y.as(role, c, func(try func(string) error) {
			require.NoError(t, try(write))
			for _, deed := range append(deeds[:3], "TRUNCATE "+ask[string](y, "SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass")) {
				require.ErrorContains(t, try(deed), "append-only", "%s: %s", role, deed)
			}
		})
	}
}

// as runs statements as a role within a tenant, each undone if it fails; none stays.
func (y *yard) as(role, customer string, f func(try func(string) error)) {
	y.t.Helper()
	tx, err := y.conn.Begin(y.t.Context())
	require.NoError(y.t, err)
	_, err = tx.Exec(y.t.Context(), "SELECT set_config('app.customer_id', $1, true)", customer)
	require.NoError(y.t, err)
	if role != "" {
		_, err = tx.Exec(y.t.Context(), "SET LOCAL ROLE "+role)
		require.NoError(y.t, err)
	}
	f(func(query string) error {
		step, err := tx.Begin(y.t.Context())
		require.NoError(y.t, err)
		if _, err = step.Exec(y.t.Context(), query); err != nil {
			require.NoError(y.t, step.Rollback(y.t.Context()))
			return err
		}
		return step.Commit(y.t.Context())
	})
	require.NoError(y.t, tx.Rollback(y.t.Context()))
}
