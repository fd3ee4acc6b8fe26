package cleanup_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/gmail"
	"mailsweep/internal/mail"
	"mailsweep/internal/ratelimit"
	"mailsweep/internal/secret"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
	"mailsweep/migrations"
)

const (
	rolePassword = "test-only"
	scale        = 100 // how much faster than Gmail's world the client's pauses pass
)

func migrate(ctx context.Context, url string) error {
	return store.Migrate(ctx, url, store.Passwords{"mailsweep_owner": rolePassword, "mailsweep_app": rolePassword, "mailsweep_worker": rolePassword,
		"mailsweep_scheduler": rolePassword, "mailsweep_ops": rolePassword})
}

// rig is the service and its runner on real parts: database, Redis and a simulated Google whose quota is out of the way.
type rig struct {
	*cleanup.Service
	runner *cleanup.Runner
	worker *store.DB
	clerk  *store.DB     // the scheduler's login: hands jobs out
	root   *pgxpool.Pool // sees every tenant
	google *google.Sim
	wire   *wire
	sealer *secret.TokenSealer
	log    *testkit.Log
	logs   *slog.Logger
	posts  posts
	url    func(role string) string // a login to the test's database
}

// posts are the mails that were posted.
type posts struct {
	mu   sync.Mutex
	list []mail.Message
}

func (p *posts) count(kind mail.Kind) int {
	return len(p.of(kind))
}

// of are the mails of a kind, in their order.
func (p *posts) of(kind mail.Kind) (all []mail.Data) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.list {
		if m.Kind == kind {
			all = append(all, m.Data)
		}
	}
	return all
}

func newRig(t *testing.T, quirks ...google.Quirks) *rig {
	t.Helper()
	return newRigAt(t, func(c *google.Config) {
		for _, q := range quirks {
			c.Quirks = q
		}
	})
}

// newRigAt is a rig at a Google that is set up otherwise.
func newRigAt(t *testing.T, setUp func(*google.Config)) *rig {
	t.Helper()
	d := testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: migrate})
	r := &rig{log: &testkit.Log{}, url: func(role string) string { return d.URL(role, rolePassword) }}
	root, err := pgxpool.New(t.Context(), d.Bootstrap)
	require.NoError(t, err)
	r.root = root
	t.Cleanup(root.Close)
	keys, err := secret.GenerateKeysets()
	require.NoError(t, err)
	vault, err := secret.NewVault(keys.Index)
	require.NoError(t, err)
	opener, err := secret.NewTokenOpener(keys.TokenPrivate)
	require.NoError(t, err)
	r.sealer, err = secret.NewTokenSealer(keys.TokenPublic)
	require.NoError(t, err)
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.worker = open(t, r.url("mailsweep_worker"), 0)
	r.clerk = open(t, r.url("mailsweep_scheduler"), 0)
	r.logs = log
	r.Service = r.service(open(t, r.url("mailsweep_app"), 0), vault)
	r.runner = &cleanup.Runner{DB: r.worker, Vault: vault, Opener: opener, Gmail: r.startGoogle(t, log, setUp), Plans: r.Plans, Worker: store.Worker{Name: "test", Build: "test build"}, Hint: func() {},
		Post: r.post, Log: log}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	return r
}

func (r *rig) service(db *store.DB, vault *secret.Vault) *cleanup.Service {
	return &cleanup.Service{DB: db, Vault: vault, Plans: sweep.DefaultPlans(), Hint: func() {}, Order: func(sweep.ID) {},
		UpgradeURL: "https://page.example/plans", ExecutesPerDay: 100, OpenJobs: 20, Log: r.logs}
}

func open(t *testing.T, url string, offset time.Duration) *store.DB {
	db, err := store.Open(t.Context(), store.Options{URL: url, Process: "test", ClockOffset: offset, MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func (r *rig) post(_ *store.Tx, kind mail.Kind, _ sweep.ID, data mail.Data) error {
	r.posts.mu.Lock()
	defer r.posts.mu.Unlock()
	r.posts.list = append(r.posts.list, mail.Message{Kind: kind, Data: data})
	return nil
}

func (r *rig) startGoogle(t *testing.T, log *slog.Logger, setUp func(*google.Config)) *gmail.Client {
	tariff := google.TariffNew()
	tariff.PerUserMinute, tariff.PerProjectMinute = 1e9, 1e9
	config := google.Config{ClientID: "cid", ClientSecret: "cs", TimeScale: scale, Tariff: tariff, Concurrency: 100}
	setUp(&config)
	r.google = google.New(config)
	s := httptest.NewServer(r.google)
	t.Cleanup(s.Close)
	options, err := redis.ParseURL(testkit.Redis(t))
	require.NoError(t, err)
	options.ContextTimeoutEnabled = true
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	r.wire = &wire{next: gmail.NewTransport(s.URL)}
	fast := ratelimit.Rate{Refill: 1e7, Capacity: 1e7}
	return &gmail.Client{OAuth: &gmail.OAuth{Config: gmail.Config{ClientID: "cid", ClientSecret: "cs", TokenURL: s.URL + "/token"}}, BaseURL: s.URL,
		Tariff: gmail.TariffNew(), TimeScale: scale, Transport: r.wire, Pacer: &ratelimit.Governor{Redis: c, Account: fast, Project: fast, Log: log}}
}

// customer is a tenant with one connected mailbox.
type customer struct {
	*rig
	sweep.Actor
	mailbox sweep.ID
	email   string
}

// customer makes a tenant on the pro plan and connects a mailbox of the simulated Google, which it makes if there is none.
func (r *rig) customer(t *testing.T, email string, g google.Generate) *customer {
	t.Helper()
	if _, err := r.google.Mailbox(email); err != nil {
		_, err := r.google.AddGenerated(email, g)
		require.NoError(t, err)
	}
	c := &customer{rig: r, email: email, Actor: sweep.Actor{Kind: sweep.ByToken, Customer: newID(t), User: newID(t), Role: sweep.Owner, RequestID: "req-1"}}
	box, err := r.google.Mailbox(email)
	require.NoError(t, err)
	account := secret.Pseudonym{Key: []byte("a pseudonym key for tests only..")}.Of("google", box.Sub)
	key, err := r.Vault.NewDataKey(c.Customer.String())
	require.NoError(t, err)
	err = r.DB.Tenant(t.Context(), c.Customer, func(tx *store.Tx) error {
		if err := tx.InsertCustomer("Test", key, tx.Now.Add(-time.Hour)); err != nil {
			return err
		}
		if _, err := tx.KnowAccount(account, false); err != nil {
			return err
		}
		c.mailbox = tx.NewID()
		return tx.InsertMailbox(store.Mailbox{ID: c.mailbox, Account: account, Email: email, Scopes: []string{gmail.ScopeModify}})
	})
	require.NoError(t, err)
	r.exec(t, "UPDATE customers SET plan = 'pro' WHERE id = $1", c.Customer.String())
	c.consent(t, account)
	return c
}

// consent gives the mailbox a new refresh token and makes it active.
func (c *customer) consent(t *testing.T, account []byte) {
	t.Helper()
	granted, err := c.google.Grant(c.email, google.ScopeModify)
	require.NoError(t, err)
	err = c.DB.Tenant(t.Context(), c.Customer, func(tx *store.Tx) error {
		sealed, err := c.sealer.Seal([]byte(granted.Refresh), cleanup.TokenPlace(c.Customer, account))
		if err != nil {
			return err
		}
		if err := tx.ReconnectMailbox(c.mailbox, c.email, []string{gmail.ScopeModify}); err != nil {
			return err
		}
		return tx.InsertToken(c.mailbox, sealed)
	})
	require.NoError(t, err)
}

// plan puts the customer on a tier.
func (c *customer) onPlan(t *testing.T, tier sweep.Tier) {
	t.Helper()
	c.exec(t, "UPDATE customers SET plan = $2, plan_version = plan_version + 1 WHERE id = $1", c.Customer.String(), string(tier))
}

func newID(t *testing.T) sweep.ID {
	id, err := sweep.NewID(time.Now(), rand.Reader)
	require.NoError(t, err)
	return id
}

func (r *rig) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	_, err := r.root.Exec(context.Background(), query, args...)
	require.NoError(t, err)
}

func (r *rig) count(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, r.root.QueryRow(context.Background(), query, args...).Scan(&n))
	return n
}

// take hands out what is due and gives the tasks.
func (r *rig) take(t *testing.T) []store.Dispatched {
	t.Helper()
	var tasks []store.Dispatched
	for _, writes := range []bool{true, false} {
		jobs, err := r.clerk.Dispatch(context.Background(), store.Line{Writes: writes, Window: 100, Each: 100})
		require.NoError(t, err)
		tasks = append(tasks, jobs...)
	}
	return tasks
}

// run works a task.
func (r *rig) run(t *testing.T, d store.Dispatched) {
	t.Helper()
	require.NoError(t, r.runner.Run(context.Background(), d.Customer, d.Job, d.Epoch))
}

// finished works whatever is due until the job is over.
func (c *customer) finished(t *testing.T, v sweep.JobView) sweep.JobView {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		for _, d := range c.take(t) {
			c.run(t, d)
		}
		v = c.job(t, v.ID)
		if v.State.Done() {
			return v
		}
		require.True(t, time.Now().Before(deadline), "the job does not end: %s %s", v.State, v.Phase)
		pause(t)
	}
}

// pause is one look's distance while a job waits for its time.
func pause(t *testing.T) {
	tick := time.NewTimer(10 * time.Millisecond)
	defer tick.Stop()
	select {
	case <-tick.C:
	case <-t.Context().Done():
	}
}

func (c *customer) job(t *testing.T, id string) sweep.JobView {
	t.Helper()
	v, _, err := c.Job(context.Background(), c.Customer, jobID(t, id))
	require.NoError(t, err)
	return v
}

func jobID(t *testing.T, shown string) sweep.ID {
	t.Helper()
	id, err := sweep.JobID.Parse(shown)
	require.NoError(t, err)
	return id
}

func planID(t *testing.T, shown string) sweep.ID {
	t.Helper()
	id, err := sweep.PlanID.Parse(shown)
	require.NoError(t, err)
	return id
}

// succeeded is finished for a job that has to succeed; its result goes into v.
func (c *customer) succeeded(t *testing.T, job sweep.JobView, v any) {
	t.Helper()
	job = c.finished(t, job)
	require.Equal(t, sweep.Succeeded, job.State, "%+v", job.Error)
	require.NoError(t, json.Unmarshal(job.Result, v))
}
