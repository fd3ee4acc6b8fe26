package opsweb_test

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/ops"
	"mailsweep/internal/opsweb"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
	"mailsweep/migrations"
)

const password = "test-only"

// desk is an operator at the pages, on a real database.
type desk struct {
	*ops.Service
	t    *testing.T
	h    http.Handler
	root *pgxpool.Pool
	who  opsweb.Operator

	mu     sync.Mutex
	orders []sweep.ID
	undone []sweep.ID
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: func(ctx context.Context, url string) error {
		return store.Migrate(ctx, url, store.Passwords{"mailsweep_app": password, "mailsweep_worker": password, "mailsweep_scheduler": password, "mailsweep_ops": password})
	}})
	root, err := pgxpool.New(t.Context(), d.Bootstrap)
	require.NoError(t, err)
	t.Cleanup(root.Close)
	open := func(role string) *store.DB {
		db, err := store.Open(t.Context(), store.Options{URL: d.URL(role, password), Process: "test"})
		require.NoError(t, err)
		t.Cleanup(db.Close)
		return db
	}
	k := &desk{t: t, root: root, who: opsweb.Operator{Name: "ada", MayAct: true}}
	app := open("mailsweep_app")
	k.Service = &ops.Service{All: open("mailsweep_ops"), DB: app, Plans: sweep.DefaultPlans(), Hint: func() {},
		Order: func(job sweep.ID) { k.mu.Lock(); defer k.mu.Unlock(); k.orders = append(k.orders, job) },
		Undo: func(_ context.Context, _ sweep.Actor, run sweep.ID) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.undone = append(k.undone, run)
			return nil
		},
		Cancel: func(ctx context.Context, a sweep.Actor, job sweep.ID) error {
			return app.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
				if err := tx.RequestCancel(job); err != nil {
					return err
				}
				return tx.Audit(store.AuditEntry{Actor: a, Action: "job.cancel", Object: sweep.JobID.Show(job)})
			})
		},
		Tell: func(*store.Tx, sweep.MessageID) ([]sweep.Why, error) {
			return []sweep.Why{{Plan: "pln_1", Action: sweep.Trash, Chosen: true, Leaves: []sweep.WhyLeaf{{Under: "all", Leaf: `{"in":"inbox"}`, Holds: sweep.Yes}}}}, nil
		}}
	pages := (&opsweb.Pages{Ops: k.Service, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}).Handler()
	k.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages.ServeHTTP(w, r.WithContext(opsweb.WithOperator(r.Context(), k.who)))
	})
	return k
}

func newID(t *testing.T) sweep.ID {
	t.Helper()
	id, err := sweep.NewID(time.Now(), rand.Reader)
	require.NoError(t, err)
	return id
}

func (k *desk) exec(query string, args ...any) {
	k.t.Helper()
	_, err := k.root.Exec(k.t.Context(), query, args...)
	require.NoError(k.t, err)
}

func (k *desk) count(query string, args ...any) (n int) {
	k.t.Helper()
	require.NoError(k.t, k.root.QueryRow(k.t.Context(), query, args...).Scan(&n))
	return n
}

// place is a customer with a mailbox.
type place struct{ customer, mailbox sweep.ID }

func (k *desk) place() place {
	k.t.Helper()
	p := place{newID(k.t), newID(k.t)}
	k.exec("INSERT INTO customers (id, data_key, created_at) VALUES ($1, '', now())", p.customer.String())
	k.exec("INSERT INTO google_accounts (account, created_at) VALUES ('a', now()) ON CONFLICT DO NOTHING")
	k.exec("INSERT INTO mailboxes (customer_id, id, account, email, state, connected_at) VALUES ($1, $2, 'a', 'alice@example.com', 'active', now())", p.customer.String(), p.mailbox.String())
	return p
}

// job lays a job out in a state, whatever it would take to come there.
func (k *desk) job(p place, kind sweep.JobKind, state string) sweep.ID {
	k.t.Helper()
	id := newID(k.t)
	k.exec(`INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, run_at, created_at, phase, done, total) VALUES ($1, $2, $3, 'a', $4, $5, $6, 1, clock_timestamp(), now(), 'cleaning', 1000, 12000)`,
		p.customer.String(), id.String(), p.mailbox.String(), string(kind), state, kind.Rank())
	return id
}

// run is an execute that is over and changed something.
func (k *desk) run(p place, build string) sweep.ID {
	k.t.Helper()
	id, plan := k.job(p, sweep.Execute, "succeeded"), newID(k.t).String()
	k.exec("UPDATE jobs SET fence = 1, builds = ARRAY[$2] WHERE id = $1", id.String(), build)
	k.exec(`INSERT INTO cleanup_plans (customer_id, id, mailbox_id, account, generation, action, head, ids, messages, bytes, history_id, made_by, made_at, expires_at)
		VALUES ($1, $2, $3, 'a', 1, 'trash', '', '', 1, 1, 1, $2, now(), now())`, p.customer.String(), plan, p.mailbox.String())
	k.exec(`INSERT INTO cleanup_runs (customer_id, job_id, plan_id, mailbox_id, action, state, planned, cleaned, started_at, undo_until) VALUES ($1, $2, $3, $4, 'trash', 'succeeded', 7, 7, now(), now() + interval '1 day')`,
		p.customer.String(), id.String(), plan, p.mailbox.String())
	k.exec("INSERT INTO batches (customer_id, job_id, n, state, asked, created_at) VALUES ($1, $2, 0, 'done', 7, now())", p.customer.String(), id.String())
	return id
}

func (k *desk) send(r *http.Request) (*http.Response, string) {
	k.t.Helper()
	w := httptest.NewRecorder()
	k.h.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	require.NoError(k.t, err)
	return w.Result(), string(body)
}

func (k *desk) get(path string) string {
	k.t.Helper()
	res, body := k.send(httptest.NewRequest("GET", path, nil))
	require.Equal(k.t, http.StatusOK, res.StatusCode, "%s: %s", path, body)
	return body
}

func (k *desk) post(path string, form url.Values) (*http.Response, string) {
	k.t.Helper()
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "http://"+r.Host)
	return k.send(r)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// confirmed follows a link to its confirmation and sends that form, as a person does.
func (k *desk) confirmed(link string) (*http.Response, string) {
	k.t.Helper()
	form := url.Values{"reason": {"because"}}
	for _, field := range hidden.FindAllStringSubmatch(k.get(link), -1) {
		form.Set(field[1], field[2])
	}
	return k.post("/ops/act", form)
}
