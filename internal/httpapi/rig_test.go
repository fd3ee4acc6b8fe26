package httpapi_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/billing"
	"mailsweep/internal/cleanup"
	"mailsweep/internal/export"
	"mailsweep/internal/gmail"
	"mailsweep/internal/httpapi"
	"mailsweep/internal/mail"
	"mailsweep/internal/ratelimit"
	"mailsweep/internal/report"
	"mailsweep/internal/secret"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sim/smtp"
	"mailsweep/internal/sim/stripe"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
	"mailsweep/internal/testkit"
	"mailsweep/migrations"
)

const (
	rolePassword = "test-only"
	good         = "quilted otters at dawn"
	page         = "https://page.example"
	gmailAddress = "one@gmail.example"
)

func migrate(ctx context.Context, url string) error {
	return store.Migrate(ctx, url, store.Passwords{"mailsweep_owner": rolePassword, "mailsweep_app": rolePassword, "mailsweep_worker": rolePassword,
		"mailsweep_scheduler": rolePassword, "mailsweep_ops": rolePassword})
}

// rig is the API on real parts: database, Redis, mail relay and a simulated Google, served over HTTP.
type rig struct {
	httpapi.API
	url    string
	root   *pgx.Conn // sees every tenant
	login  string    // of root
	told   func(context.Context, store.Statement)
	mailer *account.Mailer
	sink   *smtp.Sink
	stripe *stripe.Sim
	log    *testkit.Log
	drain  func()

	hurried bool // the server's deadlines are shorter than a wait, which has to move them
}

// newRig builds it; each change edits the API before it is served.
func newRig(t *testing.T, change ...func(*rig)) *rig {
	t.Helper()
	d := testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: migrate})
	root, err := pgx.Connect(t.Context(), d.Bootstrap)
	require.NoError(t, err)
	t.Cleanup(func() { _ = root.Close(context.Background()) })
	keys, err := secret.GenerateKeysets()
	require.NoError(t, err)
	vault, err := secret.NewVault(keys.Index)
	require.NoError(t, err)
	sealer, err := secret.NewTokenSealer(keys.TokenPublic)
	require.NoError(t, err)
	r := &rig{root: root, login: d.Bootstrap, log: &testkit.Log{}}
	draining, drain := context.WithCancel(t.Context())
	r.drain = drain
	r.Log = telemetry.NewLogger(r.log, telemetry.Options{Process: "api", Format: "json", Level: slog.LevelDebug})
	db := openTelling(t, d, "mailsweep_app", func(ctx context.Context, s store.Statement) {
		if r.told != nil {
			r.told(ctx, s)
		}
	})
	r.startMail(t, open(t, d, "mailsweep_worker"), vault)
	r.Requests, r.Plans = requests(t), sweep.DefaultPlans()
	r.Account = &account.Service{
		DB: db, Vault: vault, Tokens: sealer, OAuth: startGoogle(t), Signer: signer(t), Plans: r.Plans, Requests: r.Requests, PublicURL: page, Log: r.Log,
		Passwords: &secret.Passwords{Peppers: map[string][]byte{"p1": []byte("a pepper for tests only, 32 byte")}, Current: "p1", Cost: 4, Patience: 20 * time.Second},
		Pseudonym: secret.Pseudonym{Key: []byte("a pseudonym key for tests only..")}, Limits: account.Limits{SignupsPerHourPerIP: 1000, LoginWait: 10 * time.Minute},
	}
	r.Cleanup = &cleanup.Service{DB: db, Vault: vault, Plans: r.Plans, Changes: startListener(t, d, r.Log), Hint: func() {}, Order: func(sweep.ID) {}, ExecutesPerDay: 100, OpenJobs: 20, Log: r.Log}
	r.Report = &report.Service{DB: db, Plans: r.Plans}
	r.startStripe(t, db)
	r.PublicURL, r.CORSOrigins, r.Draining, r.AnonymousPerMinute = "https://api.example", []string{page}, draining, 100_000
	for _, c := range change {
		c(r)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(r.log.With(`"level":"ERROR"`))
		}
	})
	r.serve(t)
	return r
}

// another is one more connection like root.
func (r *rig) another(t *testing.T) *pgx.Conn {
	conn, err := pgx.Connect(t.Context(), r.login)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (r *rig) serve(t *testing.T) {
	s := httptest.NewUnstartedServer(r.Handler())
	s.Config = httpapi.Server("", s.Config.Handler)
	if r.hurried {
		s.Config.ReadTimeout, s.Config.WriteTimeout = 500*time.Millisecond, time.Second
	}
	s.Start()
	t.Cleanup(s.Close)
	r.url = s.URL
}

func open(t *testing.T, d testkit.Database, role string) *store.DB {
	return openTelling(t, d, role, nil)
}

func openTelling(t *testing.T, d testkit.Database, role string, told func(context.Context, store.Statement)) *store.DB {
	db, err := store.Open(t.Context(), store.Options{URL: d.URL(role, rolePassword), Process: "test", Told: told})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func requests(t *testing.T) *ratelimit.Requests {
	options, err := redis.ParseURL(testkit.Redis(t))
	require.NoError(t, err)
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return &ratelimit.Requests{Redis: c, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func signer(t *testing.T) *account.Signer {
	s, err := account.NewSigner("https://issuer.example", "mailsweep", account.Key{ID: "k1", Seed: []byte("0123456789abcdefghijklmnopqrstuv")})
	require.NoError(t, err)
	return s
}

func startGoogle(t *testing.T) *gmail.OAuth {
	sim := google.New(google.Config{ClientID: "cid", ClientSecret: "cs"})
	_, err := sim.AddGenerated(gmailAddress, google.Generate{Messages: 5, Seed: 1})
	require.NoError(t, err)
	s := httptest.NewServer(sim)
	t.Cleanup(s.Close)
	return &gmail.OAuth{Config: gmail.Config{ClientID: "cid", ClientSecret: "cs", RedirectURL: "https://api.example/oauth/google/callback", SignInRedirectURL: "https://api.example/oauth/google/sign-in",
		AuthURL: s.URL + "/o/oauth2/v2/auth", TokenURL: s.URL + "/token", RevokeURL: s.URL + "/revoke", CertsURL: s.URL + "/oauth2/v3/certs"}}
}

// startStripe makes a shop at a simulated Stripe. Its webhooks are told by hears.
func (r *rig) startStripe(t *testing.T, db *store.DB) {
	r.stripe = stripe.New(stripe.Config{SecretKey: "sk_test_simulated"})
	s := httptest.NewServer(r.stripe)
	t.Cleanup(s.Close)
	r.Billing = &billing.Service{DB: db, Plans: r.Plans, Pages: page, Log: r.Log, Stripe: billing.Connect(billing.Options{Key: "sk_test_simulated", URL: s.URL})}
	made, err := billing.SetUp(t.Context(), r.Billing.Stripe, r.Plans, nil, "http://127.0.0.1:1/webhooks/stripe")
	require.NoError(t, err)
	r.Billing.Prices, r.Billing.Portal, r.Billing.Secrets = made.Prices, made.Portal, []string{made.Secret}
}

func startListener(t *testing.T, d testkit.Database, log *slog.Logger) *store.Listener {
	l := store.NewListener(d.URL("mailsweep_app", rolePassword), log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return l
}

func (r *rig) startMail(t *testing.T, worker *store.DB, vault *secret.Vault) {
	r.sink = smtp.New()
	listen, err := r.sink.Start("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.sink.Close() })
	r.mailer = &account.Mailer{DB: worker, Vault: vault, Sender: &mail.Sender{Addr: listen, TLS: "none", From: "Mailsweep <no-reply@mailsweep.example>", BaseURL: page}}
	maker := &export.Maker{DB: worker, Vault: vault, Told: cleanup.Told, Senders: cleanup.EachSender, Post: r.mailer.Post}
	r.mailer.Errands = map[mail.Kind]func(context.Context, sweep.ID, sweep.ID) error{account.MakeExport: maker.Make}
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body []byte
}

// into decodes the body.
func (a answer) into(t *testing.T, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(a.body, v), string(a.body))
}

// object is the body as a map.
func (a answer) object(t *testing.T) (m map[string]any) {
	t.Helper()
	a.into(t, &m)
	return m
}

var plain = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// call sends a request and holds the answer against the document; headers come in pairs.
func (r *rig) call(t *testing.T, method, path, token, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	a, err := read(req)
	require.NoError(t, err, method+" "+path)
	require.NoError(t, readContract(t).check(a), "%s %s: %d %s", method, path, a.StatusCode, a.body)
	return a
}

func read(req *http.Request) (answer, error) {
	res, err := plain.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res, body}, err
}

// problem checks that an answer is a whole problem and gives it.
func problem(t *testing.T, a answer, status int, code string) map[string]any {
	t.Helper()
	require.Equal(t, status, a.StatusCode, string(a.body))
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"), string(a.body))
	p := a.object(t)
	require.Equal(t, code, p["code"], string(a.body))
	require.EqualValues(t, status, p["status"])
	require.Equal(t, "https://api.example/problems/"+code, p["type"])
	require.NotEmpty(t, p["title"])
	require.NotEmpty(t, p["detail"])
	require.Equal(t, a.Header.Get("X-Request-ID"), p["request_id"])
	return p
}

var tokenInLink = regexp.MustCompile(`verify-email\?token=([A-Za-z0-9_-]{43})`)

// deliverAll sends what is posted, but to who has left meanwhile.
func (r *rig) deliverAll(t *testing.T) {
	t.Helper()
	due, err := r.Account.DB.OutboxDue(t.Context(), 1000)
	require.NoError(t, err)
	for _, p := range due {
		if err := r.mailer.Deliver(t.Context(), p.Customer, p.Post, p.Epoch); err == nil || !strings.Contains(err.Error(), "it has no reader") {
			require.NoError(t, err)
		}
	}
}

// mailedToken delivers what is posted and gives the newest verification token.
func (r *rig) mailedToken(t *testing.T, to string) string {
	t.Helper()
	r.deliverAll(t)
	m, err := r.sink.WaitFor(t.Context(), to, string(mail.VerifyEmail))
	require.NoError(t, err)
	found := tokenInLink.FindStringSubmatch(m.Text)
	require.NotNil(t, found, m.Text)
	return found[1]
}

// member signs somebody up over HTTP and gives the access token.
func (r *rig) member(t *testing.T, email string) (token string) {
	t.Helper()
	a := r.call(t, "POST", "/api/v1/auth/signup", "", `{"email":"`+email+`","password":"`+good+`"}`)
	require.Equal(t, 202, a.StatusCode, string(a.body))
	a = r.call(t, "POST", "/api/v1/auth/verify-email", "", `{"token":"`+r.mailedToken(t, email)+`","password":"`+good+`"}`)
	require.Equal(t, 200, a.StatusCode, string(a.body))
	var session account.Session
	a.into(t, &session)
	require.NotEmpty(t, session.AccessToken)
	return session.AccessToken
}

// connect walks the consent over HTTP and gives the mailbox.
func (r *rig) connect(t *testing.T, token string) account.MailboxView {
	t.Helper()
	var started account.Started
	r.call(t, "POST", "/api/v1/mailboxes/connect", token, "").into(t, &started)
	a := r.call(t, "POST", "/api/v1/mailboxes/connect/complete", token, `{"state":"`+r.consented(t, started)+`"}`)
	require.Equal(t, 200, a.StatusCode, string(a.body))
	var view account.MailboxView
	a.into(t, &view)
	return view
}

// consented goes through the consent and gives the code that the page at its end shows.
func (r *rig) consented(t *testing.T, started account.Started) string {
	t.Helper()
	a := r.call(t, "GET", "/oauth/google/callback?"+consent(t, started.AuthorizeURL).Encode(), "", "")
	require.Equal(t, 200, a.StatusCode, string(a.body))
	code := regexp.MustCompile(`<code>(.+)</code>`).FindSubmatch(a.body)
	require.Len(t, code, 2, string(a.body))
	return string(code[1])
}

// consent agrees on Google's page and gives the query of the way back.
func consent(t *testing.T, authorizeURL string) url.Values {
	t.Helper()
	res, err := plain.Get(authorizeURL + "&auto=1&login_hint=" + url.QueryEscape(gmailAddress))
	require.NoError(t, err)
	defer res.Body.Close()
	to, err := res.Location()
	require.NoError(t, err, res.Status)
	return to.Query()
}

// submit posts and gives the job of a 202.
func (r *rig) submit(t *testing.T, token, path, body string, headers ...string) sweep.JobView {
	t.Helper()
	a := r.call(t, "POST", path, token, body, headers...)
	require.Equal(t, 202, a.StatusCode, string(a.body))
	var job sweep.JobView
	a.into(t, &job)
	require.Equal(t, "/api/v1/jobs/"+job.ID, a.Header.Get("Location"))
	return job
}
