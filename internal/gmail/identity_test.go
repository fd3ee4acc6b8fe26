package gmail_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailsweep/internal/gmail"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

const signInAt = "https://mailsweep.example/oauth/google/sign-in"

// counted counts what is asked of the keys' address, and lets it fail.
type counted struct {
	asked, status atomic.Int64
	hangUp        func() // what happens when the keys are asked for; nil: nothing
	next          http.RoundTripper
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/certs") {
		c.asked.Add(1)
		if c.hangUp != nil {
			c.hangUp()
		}
		if status := c.status.Load(); status != 0 {
			return &http.Response{StatusCode: int(status), Body: http.NoBody, Request: r}, nil
		}
	}
	return c.next.RoundTrip(r)
}

// door is sign-in at a simulated Google, on a clock that the test moves.
type door struct {
	*gmail.OAuth
	sim  *google.Sim
	wire *counted
	late atomic.Int64 // how far the clock is ahead
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{wire: &counted{next: http.DefaultTransport}}
	now := func() time.Time { return time.Now().Add(time.Duration(d.late.Load())) }
	d.sim = google.New(google.Config{ClientID: "id", ClientSecret: "secret", Now: now, Redirects: []string{signInAt, "https://mailsweep.example/callback"}})
	if _, err := d.sim.AddGenerated(address, google.Generate{Messages: 1}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(d.sim)
	t.Cleanup(server.Close)
	d.OAuth = &gmail.OAuth{HTTP: d.wire, Now: now, Config: gmail.Config{ClientID: "id", ClientSecret: "secret", RedirectURL: "https://mailsweep.example/callback", SignInRedirectURL: signInAt,
		AuthURL: server.URL + "/o/oauth2/v2/auth", TokenURL: server.URL + "/token", RevokeURL: server.URL + "/revoke", CertsURL: server.URL + "/oauth2/v3/certs"}}
	return d
}

func (d *door) pass(t *testing.T, authorizeURL string) (code string) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(authorizeURL + "&auto=1")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	to, err := answer.Location()
	if err != nil {
		t.Fatal(answer.Status, err)
	}
	return to.Query().Get("code")
}

// signIn walks the whole way.
func (d *door) signIn(t *testing.T) (gmail.Identity, error) {
	t.Helper()
	verifier, nonce := gmail.NewVerifier(), "the nonce of "+t.Name()
	hash := sha256.Sum256([]byte(nonce))
	return d.SignIn(t.Context(), d.pass(t, d.SignInURL("s", verifier, nonce)), verifier, hash[:])
}

// connect walks the way of a mailbox.
func (d *door) connect(t *testing.T) (gmail.Grant, error) {
	t.Helper()
	verifier := gmail.NewVerifier()
	return d.Exchange(t.Context(), d.pass(t, d.AuthorizeURL("s", verifier, "")), verifier)
}

// OIDC-1
func TestSigningInAsksForNoMoreThanWhoItIs(t *testing.T) {
	t.Parallel()
	o := &gmail.OAuth{Config: gmail.Config{ClientID: "id", ClientSecret: "client-secret", SignInRedirectURL: signInAt}}
	u, err := url.Parse(o.SignInURL("the-state", gmail.NewVerifier(), "the-nonce"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	want := map[string]string{"client_id": "id", "redirect_uri": signInAt, "response_type": "code", "state": "the-state", "nonce": "the-nonce",
		"scope": "openid email profile", "code_challenge_method": "S256", "prompt": "select_account"}
	for name, value := range want {
		if q.Get(name) != value {
			t.Errorf("%s is %q, want %q", name, q.Get(name), value)
		}
	}
	if u.Host != "accounts.google.com" || len(q.Get("code_challenge")) != 43 || len(q) != len(want)+1 {
		t.Errorf("%s", u)
	}
}

// OIDC-1: on both ways to Google, one thing wrong at a time.
func TestAForgedIDTokenProvesNothing(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	who, err := d.signIn(t)
	if err != nil || who.Email != address || len(who.Sub) != 21 || who.Name == "" {
		t.Fatalf("%q %v", who.Email, err)
	}
	if _, err := d.connect(t); err != nil {
		t.Fatal(err)
	}
	names := google.Forgeries()
	if len(names) < 30 {
		t.Errorf("only %d forgeries", len(names))
	}
	for _, name := range names {
		if err := d.sim.ForgeIDTokens(name); err != nil {
			t.Fatal(err)
		}
		if who, err := d.signIn(t); !errors.Is(err, gmail.ErrIdentity) || who != (gmail.Identity{}) {
			t.Errorf("%s signs in: %v", name, err)
		}
		if g, err := d.connect(t); !errors.Is(err, gmail.ErrIdentity) || g.Sub != "" {
			t.Errorf("%s connects: %v", name, err)
		}
	}
	if err := d.sim.ForgeIDTokens(""); err != nil {
		t.Fatal(err)
	}
	if again, err := d.signIn(t); err != nil || again != who {
		t.Error(err)
	}
}

func TestGooglesIssuerHasTwoSpellings(t *testing.T) {
	t.Parallel()
	for issuer, good := range map[string]bool{"https://accounts.google.com": true, "accounts.google.com": true, "https://accounts.google.com/": false, "ACCOUNTS.GOOGLE.COM": false} {
		d := newDoor(t)
		d.sim = google.New(google.Config{ClientID: "id", ClientSecret: "secret", Issuer: issuer})
		if _, err := d.sim.AddGenerated(address, google.Generate{Messages: 1}); err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(d.sim)
		t.Cleanup(server.Close)
		d.Config.AuthURL, d.Config.TokenURL, d.Config.CertsURL = server.URL+"/o/oauth2/v2/auth", server.URL+"/token", server.URL+"/oauth2/v3/certs"
		if _, err := d.signIn(t); (err == nil) != good {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

// OIDC-1: the code, its verifier and the nonce belong to one attempt.
func TestACodeOfAnotherAttemptSignsNobodyIn(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	hash := sha256.Sum256([]byte("n"))
	verifier := gmail.NewVerifier()
	fresh := func() string { return d.pass(t, d.SignInURL("s", verifier, "n")) }
	try := func(code, verifier string, nonce []byte) error {
		_, err := d.SignIn(t.Context(), code, verifier, nonce)
		return err
	}
	if err := try(fresh(), gmail.NewVerifier(), hash[:]); sweep.CodeOf(err) != sweep.BadRequest {
		t.Error("another verifier:", err)
	}
	other := sha256.Sum256([]byte("other"))
	if err := try(fresh(), verifier, other[:]); !errors.Is(err, gmail.ErrIdentity) {
		t.Error("another nonce:", err)
	}
	if err := try(fresh(), verifier, nil); !errors.Is(err, gmail.ErrIdentity) {
		t.Error("no nonce:", err)
	}
	if err := try(d.pass(t, d.AuthorizeURL("s", verifier, "")), verifier, hash[:]); sweep.CodeOf(err) != sweep.BadRequest {
		t.Error("a code of the way to a mailbox signs in:", err)
	}
	if _, err := d.Exchange(t.Context(), fresh(), verifier); sweep.CodeOf(err) != sweep.BadRequest {
		t.Error("a code of a sign-in connects:", err)
	}
	code := fresh()
	if err := try(code, verifier, hash[:]); err != nil {
		t.Error(err)
	}
	if err := try(code, verifier, hash[:]); sweep.CodeOf(err) != sweep.BadRequest {
		t.Error("a second time:", err)
	}
}

// OIDC-1
func TestKeysAreKeptAndNewOnesFetched(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	try := func(what string, good bool, asked int64) {
		t.Helper()
		if _, err := d.signIn(t); (err == nil) != good {
			t.Errorf("%s: %v", what, err)
		}
		if n := d.wire.asked.Load(); n != asked {
			t.Errorf("%s: the keys were asked for %d times, want %d", what, n, asked)
		}
	}
	forge := func(name string) {
		if err := d.sim.ForgeIDTokens(name); err != nil {
			t.Fatal(err)
		}
	}
	rotate := func() {
		if err := d.sim.RotateKeys(); err != nil {
			t.Fatal(err)
		}
	}
	try("the first", true, 1)
	try("the second", true, 1)
	rotate()
	try("a new key within the minute", false, 1)
	d.late.Add(int64(2 * time.Minute))
	try("a new key after it", true, 2)
	forge("kid_unknown")
	for range 5 {
		try("an invented key within the minute", false, 2)
	}
	d.late.Add(int64(2 * time.Minute))
	for range 5 {
		try("an invented key after it", false, 3)
	}
	forge("")
	try("a known one meanwhile", true, 3)
	d.wire.status.Store(503)
	try("a known one while the keys are away", true, 3)
	d.late.Add(int64(24 * time.Hour)) // beyond what Google says they hold
	try("keys that are too old", false, 4)
	if _, err := d.signIn(t); sweep.CodeOf(err) != sweep.Unavailable {
		t.Error("keys that are away are not a forgery:", err)
	}
	d.wire.status.Store(0)
	try("when they are back", true, 6)
}

func TestWaitingForKeysEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	verifier, hash := gmail.NewVerifier(), sha256.Sum256([]byte("n"))
	code := d.pass(t, d.SignInURL("s", verifier, "n"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.SignIn(ctx, code, verifier, hash[:]); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A caller who hangs up while the keys are fetched leaves nothing behind for the next ones.
func TestACallerWhoHangsUpSpoilsTheKeysForNobody(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	verifier, hash := gmail.NewVerifier(), sha256.Sum256([]byte("n"))
	code := d.pass(t, d.SignInURL("s", verifier, "n"))
	ctx, cancel := context.WithCancel(t.Context())
	d.wire.hangUp = cancel
	if _, err := d.SignIn(ctx, code, verifier, hash[:]); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	d.wire.hangUp = nil
	if _, err := d.signIn(t); err != nil {
		t.Error(err)
	}
}

// OIDC-1: a verified address is the person's today only where Google keeps its mail.
func TestGoogleKeepsTheMailOfItsOwnAddressesAndOfWorkspaces(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for told, keeps := range map[string]bool{address: true, "ada@Gmail.com": true, "ada@elsewhere.example": false, "gmail.com@elsewhere.example": false, "ada@notgmail.com": false, "ada@gmail.com.example": false} {
		if err := d.sim.SayAddress(address, told); err != nil {
			t.Fatal(err)
		}
		if who, err := d.signIn(t); err != nil || who.Keeps != keeps {
			t.Errorf("%s: %v %v", told, who.Keeps, err)
		}
	}
}
