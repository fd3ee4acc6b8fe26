package export_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/export"
	"mailsweep/internal/mail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
	"mailsweep/migrations"
)

const rolePassword = "test-only"

func migrate(ctx context.Context, url string) error {
	return store.Migrate(ctx, url, store.Passwords{"mailsweep_owner": rolePassword, "mailsweep_app": rolePassword, "mailsweep_worker": rolePassword, "mailsweep_scheduler": rolePassword, "mailsweep_ops": rolePassword})
}

// rig is a maker as the worker's role, beside a login that sees everything.
type rig struct {
	*export.Maker
	root     *pgx.Conn
	app      *store.DB
	posts    []mail.Data
	database testkit.Database
}

func newRig(t *testing.T) *rig {
	t.Helper()
	keys, err := secret.GenerateKeysets()
	require.NoError(t, err)
	vault, err := secret.NewVault(keys.Index)
	require.NoError(t, err)
	return rigOn(t, testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: migrate}), vault)
}

// rigOn is a rig on a database that has the schema already.
func rigOn(t *testing.T, d testkit.Database, vault *secret.Vault) *rig {
	t.Helper()
	root, err := pgx.Connect(t.Context(), d.Bootstrap)
	require.NoError(t, err)
	t.Cleanup(func() { _ = root.Close(context.Background()) })
	open := func(role string) *store.DB {
		db, err := store.Open(t.Context(), store.Options{URL: d.URL(role, rolePassword), Process: "test"})
		require.NoError(t, err)
		t.Cleanup(db.Close)
		return db
	}
	r := &rig{database: d, root: root, app: open("mailsweep_app")}
	r.Maker = &export.Maker{DB: open("mailsweep_worker"), Vault: vault, Told: cleanup.Told, Senders: cleanup.EachSender, Post: func(_ *store.Tx, kind mail.Kind, _ sweep.ID, data mail.Data) error {
		if kind == mail.ExportReady {
			r.posts = append(r.posts, data)
		}
		return nil
	}}
	return r
}

func (r *rig) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	_, err := r.root.Exec(t.Context(), query, args...)
	require.NoError(t, err)
}

func (r *rig) count(t *testing.T, from string) (n int) {
	t.Helper()
	require.NoError(t, r.root.QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&n))
	return n
}

func newID(t *testing.T) sweep.ID {
	t.Helper()
	id, err := sweep.NewID(time.Now(), rand.Reader)
	require.NoError(t, err)
	return id
}

// person is a customer with one person and one mailbox.
type person struct{ customer, user, mailbox, job, plan sweep.ID }

// add makes a customer. Everything of theirs that is a text bears word; everything of bytes begins with leak.
func (r *rig) add(t *testing.T, word string) (p person) {
	t.Helper()
	p = person{newID(t), newID(t), newID(t), newID(t), newID(t)}
	key, err := r.Vault.NewDataKey(p.customer.String())
	require.NoError(t, err)
	r.exec(t, "INSERT INTO customers (id, name, data_key, stripe_customer_id, ip_allowlist, created_at) VALUES ($1, $2, $3, $2, $2, now())", p.customer.String(), word, key)
	r.exec(t, "INSERT INTO users (id, email, name, password, google_subject, created_at) VALUES ($1, $2, $3, $4, $5, now())", p.user.String(), word+"@example.com", word, "pass-"+word, []byte("leak-"+word))
	return p
}

var firstWord = regexp.MustCompile(`'[a-z_]+'`)

// fill gives a customer a row in every table of customers that there is, but for the audit log, which writes itself.
func (r *rig) fill(t *testing.T, p person, word string) {
	t.Helper()
	rows, err := r.root.Query(t.Context(), `SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'customer_id' WHERE c.relkind IN ('r','p') AND NOT c.relispartition
		AND c.relnamespace = 'public'::regnamespace AND c.relname NOT IN ('audit_logs', 'audit_heads') ORDER BY 1`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(tables), 25)
	r.exec(t, "SET session_replication_role = replica")
	r.exec(t, "INSERT INTO google_accounts (account, created_at) VALUES (convert_to('leak-' || $1, 'UTF8'), now()) ON CONFLICT DO NOTHING", word)
	for _, table := range tables {
		r.lay(t, p, table, word)
	}
	r.exec(t, "SET session_replication_role = origin")
	r.exec(t, "SELECT audit($1::uuid, $2, now(), $3, $3, $3, $3, $4, jsonb_build_object('word', $3::text)) WHERE set_config('app.customer_id', $1::text, true) IS NOT NULL", p.customer.String(), newID(t).String(), word, []byte("address"))
}

// lay gives a customer a row of a table with something in every column.
func (r *rig) lay(t *testing.T, p person, table, word string) {
	t.Helper()
	rows, err := r.root.Query(t.Context(), `SELECT a.attname, format_type(a.atttypid, NULL), coalesce((SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
		WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum] AND pg_get_constraintdef(k.oid) LIKE '%ARRAY[%' LIMIT 1), '')
		FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped`, table)
	require.NoError(t, err)
	type column struct{ Name, Kind, Check string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	require.NoError(t, err)
	var names, values []string
	quoted := func(s any) string { return fmt.Sprintf("'%v'", s) }
	for _, c := range columns {
		value := map[string]string{"uuid": quoted(newID(t)), "text": quoted(word), "bytea": "convert_to('leak-" + word + "' || random(), 'UTF8')", "jsonb": `'{"why":1}'`, "text[]": "ARRAY['" + word + "']",
			"timestamp with time zone": "now()", "date": "now()::date", "boolean": "false", "double precision": "1.5"}[c.Kind]
		switch {
		case c.Name == "customer_id":
			value = quoted(p.customer)
		case c.Name == "user_id" || c.Name == "invited_by":
			value = quoted(p.user)
		case c.Name == "mailbox_id" || table == "mailboxes" && c.Name == "id":
			value = quoted(p.mailbox)
		case c.Name == "job_id" || table == "jobs" && c.Name == "id":
			value = quoted(p.job)
		case c.Name == "plan_id" || table == "cleanup_plans" && c.Name == "id":
			value = quoted(p.plan)
		case slices.Contains([]string{"jobs.params", "jobs.result", "mailboxes.analysis", "cleanup_plans.head", "cleanup_plans.ids", "cleanup_plans.kept", "batches.ids"}, table+"."+c.Name):
			value = "''"
		case table == "plan_history" && c.Name == "n":
			value = "-1" // beside the one that its customer made
		case table == "mailboxes" && c.Name == "account":
			value = "convert_to('leak-" + word + "', 'UTF8')" // as in google_accounts
		case table == "audit_anchors" && c.Name == "hash":
			value = "'hash'"
		case c.Check != "" && c.Kind == "text[]":
			value = "ARRAY[" + firstWord.FindString(c.Check) + "]"
		case c.Check != "":
			value = firstWord.FindString(c.Check)
		case value == "":
			value = "1"
		}
		names, values = append(names, `"`+c.Name+`"`), append(values, value)
	}
	r.exec(t, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, strings.Join(names, ", "), strings.Join(values, ", ")))
	if table == "mailbox_indexes" { // what nobody can open is no index
		r.exec(t, "DELETE FROM mailbox_indexes WHERE customer_id = $1", p.customer.String())
	}
}

// index gives the customer's mailbox an index of no sender.
func (r *rig) index(t *testing.T, p person) {
	t.Helper()
	b := mailindex.NewBuilder([]time.Time{time.Unix(0, 0), time.Now()})
	for s, err := range b.Finish(time.Now(), 1).Encode() {
		require.NoError(t, err)
		sealed, err := r.box(t, p).Seal(s.Data, "mailboxes|"+p.mailbox.String()+"|index|"+s.Name)
		require.NoError(t, err)
		r.exec(t, "INSERT INTO mailbox_indexes (customer_id, mailbox_id, segment, version, sealed, as_of) VALUES ($1, $2, $3, 1, $4, now())", p.customer.String(), p.mailbox.String(), s.Name, sealed)
	}
}

// seal is what cleanup writes into a row.
func (r *rig) seal(t *testing.T, p person, v any, place string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	require.NoError(t, err)
	require.NoError(t, json.NewEncoder(w).Encode(v))
	require.NoError(t, w.Close())
	sealed, err := r.box(t, p).Seal(b.Bytes(), place)
	require.NoError(t, err)
	return sealed
}

func (r *rig) box(t *testing.T, p person) *secret.Box {
	t.Helper()
	var key []byte
	require.NoError(t, r.root.QueryRow(t.Context(), "SELECT data_key FROM customers WHERE id = $1", p.customer.String()).Scan(&key))
	box, err := r.Vault.Box(key, p.customer.String())
	require.NoError(t, err)
	return box
}

// ask notes an export that is to be made.
func (r *rig) ask(t *testing.T, p person) sweep.ID {
	t.Helper()
	id := newID(t)
	require.NoError(t, r.app.Tenant(t.Context(), p.customer, func(tx *store.Tx) error { return tx.InsertExport(id, p.user) }))
	return id
}

// fetch gives the file as the API hands it out.
func (r *rig) fetch(t *testing.T, p person, id sweep.ID) []byte {
	t.Helper()
	var file []byte
	err := r.app.Tenant(t.Context(), p.customer, func(tx *store.Tx) error {
		e, err := tx.Export(id)
		for n := 0; err == nil && int64(len(file)) < e.Bytes; n++ {
			var piece []byte
			piece, err = tx.ExportPart(r.box(t, p), id, n)
			file = append(file, piece...)
		}
		return err
	})
	require.NoError(t, err)
	return file
}

// made makes an export and gives its files by name.
func (r *rig) made(t *testing.T, p person) map[string]string {
	t.Helper()
	id := r.ask(t, p)
	require.NoError(t, r.Make(t.Context(), p.customer, id))
	return unzip(t, r.fetch(t, p, id))
}

func unzip(t *testing.T, file []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	files := map[string]string{}
	for _, f := range z.File {
		from, err := f.Open()
		require.NoError(t, err)
		text, err := io.ReadAll(from)
		require.NoError(t, err)
		files[f.Name] = string(text)
	}
	return files
}

// rowsOf reads a file of JSON.
func rowsOf(t *testing.T, text string) (rows []map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &rows), "%.200s", text)
	return rows
}
