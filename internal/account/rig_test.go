package account_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/gmail"
	"mailsweep/internal/mail"
	"mailsweep/internal/ratelimit"
	"mailsweep/internal/secret"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sim/smtp"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
	"mailsweep/migrations"
)

const (
	rolePassword = "test-only"
	good         = "quilted otters at dawn"
	ada          = "ada@example.com"
	public       = "https://app.example"
)

func migrate(ctx context.Context, url string) error {
	return store.Migrate(ctx, url, store.Passwords{"mailsweep_owner": rolePassword, "mailsweep_app": rolePassword, "mailsweep_worker": rolePassword,
		"mailsweep_scheduler": rolePassword, "mailsweep_ops": rolePassword})
}

// rig is the service on real parts: database, Redis, mail relay and a simulated Google.
type rig struct {
	*account.Service
	mailer   *account.Mailer
	root     *pgx.Conn // sees every tenant
	worker   *store.DB
	sink     *smtp.Sink
	google   *google.Sim
	opener   *secret.TokenOpener
	client   account.Client
	database testkit.Database
	redis    string
}

var testKey = account.Key{ID: "k1", Seed: []byte("0123456789abcdefghijklmnopqrstuv")}

func newRig(t *testing.T) *rig {
	t.Helper()
	d := testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: migrate})
	r := &rig{database: d, redis: testkit.Redis(t), client: account.Client{IP: netip.MustParseAddr("203.0.113.7"), RequestID: "req-1"}}
	root, err := pgx.Connect(t.Context(), d.Bootstrap)
	require.NoError(t, err)
	r.root = root
	t.Cleanup(func() { _ = root.Close(context.Background()) })
	keys, err := secret.GenerateKeysets()
	require.NoError(t, err)
	vault, err := secret.NewVault(keys.Index)
	require.NoError(t, err)
	r.opener, err = secret.NewTokenOpener(keys.TokenPrivate)
	require.NoError(t, err)
	sealer, err := secret.NewTokenSealer(keys.TokenPublic)
	require.NoError(t, err)
	r.worker = r.open(t, "mailsweep_worker", 0)
	r.startMail(t, vault)
	r.Service = &account.Service{
		DB: r.open(t, "mailsweep_app", 0), Vault: vault, Tokens: sealer, OAuth: r.startGoogle(t), Signer: signer(t, testKey), Plans: sweep.DefaultPlans(),
		Passwords: &secret.Passwords{Peppers: map[string][]byte{"p1": []byte("a pepper for tests only, 32 byte")}, Current: "p1", Cost: 4, Patience: 20 * time.Second},
		Pseudonym: secret.Pseudonym{Key: []byte("a pseudonym key for tests only..")},
		Requests:  r.requests(t), PublicURL: public, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Limits: account.Limits{SignupsPerHourPerIP: 1000, LoginWait: 10 * time.Minute},
	}
	return r
}

func (r *rig) requests(t *testing.T) *ratelimit.Requests {
	options, err := redis.ParseURL(r.redis)
	require.NoError(t, err)
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return &ratelimit.Requests{Redis: c, Prefix: "test"}
}

func (r *rig) open(t *testing.T, role string, offset time.Duration) *store.DB {
	db, err := store.Open(t.Context(), store.Options{URL: r.database.URL(role, rolePassword), Process: "test", ClockOffset: offset})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func (r *rig) startMail(t *testing.T, vault *secret.Vault) {
	r.sink = smtp.New()
	listen, err := r.sink.Start("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.sink.Close() })
	r.mailer = &account.Mailer{DB: r.worker, Vault: vault, Sender: &mail.Sender{Addr: listen, TLS: "none", From: "Mailsweep <no-reply@mailsweep.example>", BaseURL: public}}
}

func (r *rig) startGoogle(t *testing.T) *gmail.OAuth {
	r.google = google.New(google.Config{ClientID: "cid", ClientSecret: "cs", OtherClients: []string{"other"}, Redirects: []string{public + "/oauth/google/callback", public + "/oauth/google/sign-in"}})
	for _, email := range []string{"one@gmail.example", "two@gmail.example"} {
		_, err := r.google.AddGenerated(email, google.Generate{Messages: 5, Seed: 1})
		require.NoError(t, err)
	}
	server := httptest.NewServer(r.google)
	t.Cleanup(server.Close)
	return &gmail.OAuth{Config: gmail.Config{ClientID: "cid", ClientSecret: "cs", RedirectURL: public + "/oauth/google/callback", SignInRedirectURL: public + "/oauth/google/sign-in",
		AuthURL: server.URL + "/o/oauth2/v2/auth", TokenURL: server.URL + "/token", RevokeURL: server.URL + "/revoke", CertsURL: server.URL + "/oauth2/v3/certs"}}
}

func signer(t *testing.T, keys ...account.Key) *account.Signer {
	s, err := account.NewSigner("https://issuer.example", "mailsweep", keys...)
	require.NoError(t, err)
	return s
}

// count runs a query over all tenants.
func (r *rig) count(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, r.root.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}

// text runs a query over all tenants that gives one text.
func (r *rig) text(t *testing.T, query string) (text string) {
	t.Helper()
	require.NoError(t, r.root.QueryRow(t.Context(), query).Scan(&text))
	return text
}

func (r *rig) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	_, err := r.root.Exec(t.Context(), query, args...)
	require.NoError(t, err)
}

// deliver sends what is posted and gives every mail that ever arrived of a kind.
func (r *rig) deliver(t *testing.T, kind mail.Kind) (sent []smtp.Message) {
	t.Helper()
	due, err := r.DB.OutboxDue(t.Context(), 1000)
	require.NoError(t, err)
	for _, p := range due {
		require.NoError(t, r.mailer.Deliver(t.Context(), p.Customer, p.Post, p.Epoch))
	}
	for _, m := range r.sink.Messages() {
		if m.Kind == string(kind) {
			sent = append(sent, m)
		}
	}
	return sent
}

// afterAMinute forgets what was counted, as time does.
func (r *rig) afterAMinute(t *testing.T) {
	t.Helper()
	require.NoError(t, r.Requests.Redis.FlushDB(t.Context()).Err())
}

var tokenInLink = regexp.MustCompile(`verify-email\?token=([A-Za-z0-9_-]{43})`)

func (r *rig) tokens(t *testing.T) (tokens []string) {
	t.Helper()
	for _, m := range r.deliver(t, mail.VerifyEmail) {
		found := tokenInLink.FindStringSubmatch(m.Text)
		require.NotNil(t, found, m.Text)
		tokens = append(tokens, found[1])
	}
	return tokens
}

// member signs a new person up and in.
func (r *rig) member(t *testing.T, email string) (account.Session, sweep.Actor) {
	t.Helper()
	require.NoError(t, r.SignUp(t.Context(), email, good, "Ada", r.client))
	tokens := r.tokens(t)
	session, err := r.VerifyEmail(t.Context(), tokens[len(tokens)-1], good, r.client)
	require.NoError(t, err)
	a, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.NoError(t, err)
	return session, a
}

var browser = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// consent agrees on Google's page as an account and gives the query of the way back.
func (r *rig) consent(t *testing.T, authorizeURL, email string) url.Values {
	t.Helper()
	page, err := url.Parse(authorizeURL)
	require.NoError(t, err)
	query := page.Query()
	query.Set("auto", "1")
	query.Set("login_hint", email)
	page.RawQuery = query.Encode()
	answer, err := browser.Get(page.String())
	require.NoError(t, err)
	defer answer.Body.Close()
	to, err := answer.Location()
	require.NoError(t, err, answer.Status)
	return to.Query()
}

// connect walks the whole way with one of Google's accounts.
func (r *rig) connect(t *testing.T, a sweep.Actor, mailbox sweep.ID, email string) (account.MailboxView, error) {
	t.Helper()
	return r.CompleteConnect(t.Context(), a, r.park(t, a, mailbox, email))
}

// park goes as far as the callback, and gives what completes the connection.
func (r *rig) park(t *testing.T, a sweep.Actor, mailbox sweep.ID, email string) (consent string) {
	t.Helper()
	started, err := r.StartConnect(t.Context(), a, mailbox)
	require.NoError(t, err)
	back := r.consent(t, started.AuthorizeURL, email)
	to, err := r.Callback(t.Context(), back.Get("state"), back.Get("code"), "")
	require.NoError(t, err)
	return told(t, to)
}

// told is what a browser learns that is sent on after a consent.
func told(t *testing.T, to string) (consent string) {
	t.Helper()
	consent, ok := strings.CutPrefix(to, public+"/mailboxes?connect=")
	require.True(t, ok, to)
	return consent
}

func code(err error) sweep.Code { return sweep.CodeOf(err) }

func numbered(i int) string { return fmt.Sprintf("person%d@example.com", i) }
