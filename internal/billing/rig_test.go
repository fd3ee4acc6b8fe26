package billing_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/billing"
	"mailsweep/internal/sim/stripe"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
	"mailsweep/migrations"
)

const (
	rolePassword = "test-only"
	stripeKey    = "sk_test_simulated"

	// unhurried is how long a try and a caller wait in tests of what is right: a busy machine is no Stripe that is away. What is about time sets its own.
	unhurried = 10 * time.Minute
)

func migrate(ctx context.Context, url string) error {
	return store.Migrate(ctx, url, store.Passwords{"mailsweep_owner": rolePassword, "mailsweep_app": rolePassword, "mailsweep_worker": rolePassword,
		"mailsweep_scheduler": rolePassword, "mailsweep_ops": rolePassword})
}

// rig is the service on a real database, at a simulated Stripe over HTTP, whose webhooks reach it over HTTP.
type rig struct {
	*billing.Service
	due      *billing.Service // the scheduler's
	sim      *stripe.Sim
	at       string // the simulated Stripe's address
	root     *pgx.Conn
	database testkit.Database
	log      *testkit.Log

	mu     sync.Mutex
	counts map[string]int
	heard  []heard // what the webhook got, when it is kept
	deaf   bool    // webhooks are kept and not answered to
}

// heard is one webhook.
type heard struct {
	body      []byte
	signature string
}

func newRig(t *testing.T, config ...stripe.Config) *rig {
	t.Helper()
	r := &rig{database: testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: migrate}), counts: map[string]int{}, log: &testkit.Log{}}
	root, err := pgx.Connect(t.Context(), r.database.Bootstrap)
	require.NoError(t, err)
	t.Cleanup(func() { _ = root.Close(context.Background()) })
	r.root = root
	r.sim = stripe.New(append(config, stripe.Config{SecretKey: stripeKey})[0])
	at := httptest.NewServer(r.sim)
	t.Cleanup(at.Close)
	r.at = at.URL
	r.Service = r.service(t, "mailsweep_app")
	r.due = r.service(t, "mailsweep_scheduler")
	ear := httptest.NewServer(http.HandlerFunc(r.listen))
	t.Cleanup(ear.Close)
	made, err := billing.SetUp(t.Context(), r.Stripe, r.Plans, nil, ear.URL)
	require.NoError(t, err)
	for _, s := range []*billing.Service{r.Service, r.due} {
		s.Prices, s.Portal, s.Secrets = made.Prices, made.Portal, []string{made.Secret}
	}
	ctx, stop := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() { r.sim.Deliver(ctx) })
	t.Cleanup(func() { stop(); sending.Wait() })
	return r
}

func (r *rig) service(t *testing.T, role string) *billing.Service {
	return &billing.Service{DB: r.open(t, role, 0), Stripe: billing.Connect(billing.Options{Key: stripeKey, URL: r.at, Timeout: unhurried}), Plans: sweep.DefaultPlans(),
		Pages: "https://app.example", Patience: unhurried, Now: r.sim.Now, Log: slog.New(slog.NewTextHandler(r.log, nil)),
		Watch: billing.Watch{Event: func(kind, outcome string) { r.count(kind + " " + outcome) }, Alarm: func(reason string) { r.count("alarm " + reason) }, Drift: func() { r.count("drift") }}}
}

func (r *rig) open(t *testing.T, role string, offset time.Duration) *store.DB {
	db, err := store.Open(t.Context(), store.Options{URL: r.database.URL(role, rolePassword), Process: "test", ClockOffset: offset})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func (r *rig) count(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what]++
}

func (r *rig) counted(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[what]
}

// listen is the webhook's endpoint.
func (r *rig) listen(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	signature := req.Header.Get("Stripe-Signature")
	r.mu.Lock()
	r.heard = append(r.heard, heard{bytes.Clone(body), signature})
	deaf := r.deaf
	r.mu.Unlock()
	if deaf {
		return
	}
	err := r.Hear(req.Context(), body, signature)
	r.count("heard")
	if err != nil {
		w.WriteHeader(map[sweep.Code]int{sweep.BadRequest: 400}[sweep.CodeOf(err)] + map[bool]int{true: 500}[sweep.CodeOf(err) != sweep.BadRequest])
	}
}

// customer makes one with an owner.
func (r *rig) customer(t *testing.T) sweep.Actor {
	t.Helper()
	id, user := newID(t), newID(t)
	r.exec(t, "INSERT INTO customers (id, data_key, created_at) VALUES ($1, '', now())", id.String())
	r.exec(t, "INSERT INTO users (id, email, password, verified_at, created_at) VALUES ($1::uuid, $1::text || '@example.com', '', now(), now())", user.String())
	r.exec(t, "INSERT INTO members (customer_id, user_id, role, created_at) VALUES ($1, $2, 'owner', now())", id.String(), user.String())
	return sweep.Actor{Kind: sweep.ByToken, Customer: id, User: user, Role: sweep.Owner, RequestID: "req"}
}

func newID(t *testing.T) sweep.ID {
	id, err := sweep.NewID(time.Now(), rand.Reader)
	require.NoError(t, err)
	return id
}

func (r *rig) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	_, err := r.root.Exec(t.Context(), query, args...)
	require.NoError(t, err)
}

// value runs a query over all tenants that gives one value.
func value[T any](t *testing.T, r *rig, query string, args ...any) (v T) {
	t.Helper()
	require.NoError(t, r.root.QueryRow(t.Context(), query, args...).Scan(&v))
	return v
}

// bought is a customer with a subscription, paid with a card, of which Stripe's events were dealt with.
func (r *rig) bought(t *testing.T, tier sweep.Tier, every sweep.Every, card string) sweep.Actor {
	t.Helper()
	a := r.customer(t)
	r.buy(t, a, tier, every, card)
	return a
}

func (r *rig) buy(t *testing.T, a sweep.Actor, tier sweep.Tier, every sweep.Every, card string) {
	t.Helper()
	page, err := r.Checkout(t.Context(), a, tier, every)
	require.NoError(t, err)
	require.Equal(t, "checkout", page.Kind)
	_, err = r.sim.Pay(session(page), card)
	require.NoError(t, err)
	r.settle(t, a, func(s sweep.Subscription) bool { return s.Tier == tier })
}

// session is the id of a checkout, from its page.
func session(p billing.Page) string { return p.URL[strings.LastIndex(p.URL, "/")+1:] }

// settle deals with events until what is bought is as wanted.
func (r *rig) settle(t *testing.T, a sweep.Actor, want func(sweep.Subscription) bool) {
	t.Helper()
	testkit.Eventually(t, 2*time.Minute, func() bool {
		_, err := r.Deal(t.Context())
		require.NoError(t, err)
		return want(r.has(t, a))
	}, "what is bought is as wanted")
}

// quiet deals with events until each has been dealt with.
func (r *rig) quiet(t *testing.T, events int) {
	t.Helper()
	testkit.Eventually(t, 2*time.Minute, func() bool {
		_, err := r.Deal(t.Context())
		require.NoError(t, err)
		return value[int](t, r, "SELECT count(*) FROM stripe_events WHERE state <> 'waiting'") >= events
	}, "every event is dealt with")
}

// has is what the customer has bought, in short.
func (r *rig) has(t *testing.T, a sweep.Actor) sweep.Subscription { return r.loaded(t, a).Subscription }

func (r *rig) loaded(t *testing.T, a sweep.Actor) (c store.Customer) {
	t.Helper()
	require.NoError(t, r.DB.Tenant(t.Context(), a.Customer, func(tx *store.Tx) (err error) {
		c, err = tx.LoadCustomer()
		return err
	}))
	return c
}

func (r *rig) state(t *testing.T, a sweep.Actor) billing.View {
	t.Helper()
	v, err := r.State(t.Context(), a.Customer)
	require.NoError(t, err)
	return v
}

func code(err error) sweep.Code { return sweep.CodeOf(err) }
