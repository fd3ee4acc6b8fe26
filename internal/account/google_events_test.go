package account_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/gmail"
	"mailsweep/internal/mail"
	"mailsweep/internal/sweep"
)

const riscEvents = "https://schemas.openid.net/secevent/"

// signing is a Google whose key the test has.
type signing struct {
	account.Consent
	key  *rsa.PrivateKey
	away error
}

func (s *signing) SigningKey(_ context.Context, kid string) (*rsa.PublicKey, error) {
	if s.away != nil {
		return nil, s.away
	}
	if kid != "k1" {
		return nil, gmail.ErrIdentity
	}
	return &s.key.PublicKey, nil
}

func segment(v any) string {
	b, _ := json.Marshal(v) // of maps and texts
	return base64.RawURLEncoding.EncodeToString(b)
}

func (s *signing) sign(t *testing.T, key *rsa.PrivateKey, header, claims map[string]any) string {
	t.Helper()
	body := segment(header) + "." + segment(claims)
	sum := sha256.Sum256([]byte(body))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	require.NoError(t, err)
	return body + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// signed512 is good but for the hash.
func (s *signing) signed512(t *testing.T, header, claims map[string]any) string {
	t.Helper()
	body := segment(header) + "." + segment(claims)
	sum := sha512.Sum512([]byte(body))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA512, sum[:])
	require.NoError(t, err)
	return body + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// event is a token as Google makes it, with changes.
func event(name, sub string, change map[string]any) map[string]any {
	family := map[bool]string{true: "oauth", false: "risc"}[strings.HasPrefix(name, "token")]
	claims := map[string]any{"iss": "https://accounts.google.com/", "aud": "cid", "iat": time.Now().Unix(), "jti": "jti-" + name + sub,
		"events": map[string]any{riscEvents + family + "/event-type/" + name: map[string]any{"subject": map[string]string{"subject_type": "iss-sub", "iss": "https://accounts.google.com/", "sub": sub}}}}
	maps.Copy(claims, change)
	return claims
}

func header(change map[string]any) map[string]any {
	h := map[string]any{"alg": "RS256", "kid": "k1", "typ": "secevent+jwt"}
	maps.Copy(h, change)
	return h
}

func (r *rig) trusting(t *testing.T) *signing {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	s := &signing{Consent: r.OAuth, key: key}
	r.Service.OAuth, r.Service.ClientID = s, "cid"
	return s
}

// OUT-4: what is forged, altered, old, or meant for somebody else is refused, and changes nothing.
func TestForgedSecurityEventsAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.trusting(t)
	_, a := r.member(t, ada)
	_, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	box, err := r.google.Mailbox("one@gmail.example")
	require.NoError(t, err)
	sub := box.Sub
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	good := s.sign(t, s.key, header(nil), event("tokens-revoked", sub, nil))
	parts := strings.Split(good, ".")
	public, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	require.NoError(t, err)
	hs := func(key []byte) string {
		body := segment(header(map[string]any{"alg": "HS256"})) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(body))
		return body + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	signed := func(h, c map[string]any) string { return s.sign(t, s.key, header(h), event("tokens-revoked", sub, c)) }
	for name, forged := range map[string]struct{ token, code string }{
		"empty":                   {"", "invalid_request"},
		"no token":                {"{}", "invalid_request"},
		"two parts":               {parts[0] + "." + parts[1], "invalid_request"},
		"huge":                    {good + strings.Repeat("A", 20_000), "invalid_request"},
		"not base64":              {parts[0] + ".!!!." + parts[2], "invalid_request"},
		"no signature":            {parts[0] + "." + parts[1] + ".", "invalid_key"},
		"of another token":        {parts[0] + "." + segment(event("tokens-revoked", sub+"1", nil)) + "." + parts[2], "invalid_key"},
		"another key":             {s.sign(t, other, header(nil), event("tokens-revoked", sub, nil)), "invalid_key"},
		"a key that is not there": {signed(map[string]any{"kid": "k2"}, nil), "invalid_key"},
		"no key named":            {signed(map[string]any{"kid": ""}, nil), "invalid_request"},
		"alg none":                {segment(header(map[string]any{"alg": "none"})) + "." + parts[1] + ".", "invalid_key"},
		"HMAC by the public key":  {hs(public), "invalid_key"},
		"RS512":                   {s.signed512(t, header(map[string]any{"alg": "RS512"}), event("tokens-revoked", sub, nil)), "invalid_key"},
		"a critical extension":    {signed(map[string]any{"crit": []string{"x"}}, nil), "invalid_request"},
		"an access token's type":  {signed(map[string]any{"typ": "at+jwt"}, nil), "invalid_request"},
		"an id token's issuer":    {signed(nil, map[string]any{"iss": "https://accounts.google.com"}), "invalid_issuer"},
		"no issuer":               {signed(nil, map[string]any{"iss": ""}), "invalid_request"},
		"another client":          {signed(nil, map[string]any{"aud": "other"}), "invalid_audience"},
		"no client":               {signed(nil, map[string]any{"aud": nil}), "invalid_request"},
		"from the future":         {signed(nil, map[string]any{"iat": time.Now().Add(time.Hour).Unix()}), "invalid_request"},
		"from long ago":           {signed(nil, map[string]any{"iat": time.Now().AddDate(0, -2, 0).Unix()}), "invalid_request"},
		"no time":                 {signed(nil, map[string]any{"iat": nil}), "invalid_request"},
		"no id":                   {signed(nil, map[string]any{"jti": ""}), "invalid_request"},
		"no event":                {signed(nil, map[string]any{"events": map[string]any{}}), "invalid_request"},
		"nobody's event":          {s.sign(t, s.key, header(nil), event("tokens-revoked", "", nil)), "invalid_request"},
	} {
		var refused *account.EventRefused
		require.ErrorAs(t, r.HearGoogle(t.Context(), forged.token, r.client), &refused, name)
		require.Equal(t, forged.code, refused.Code, name)
	}
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM mailboxes WHERE state = 'active'"))
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM security_events WHERE kind LIKE 'google.%'"))
	s.away = errors.New("the keys are away")
	require.ErrorIs(t, r.HearGoogle(t.Context(), good, r.client), s.away, "Google is to try again")
	s.away = nil
	require.NoError(t, r.HearGoogle(t.Context(), good, r.client), "and a good one is taken")
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM mailboxes WHERE state = 'active'"))
}

// Two customers have the account: both are told once, however often and at once Google says it.
func TestARevocationThatGoogleTellsOfStopsEveryCustomersMailbox(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.trusting(t)
	_, a := r.member(t, ada)
	_, b := r.member(t, "ben@example.com")
	for _, who := range []sweep.Actor{a, b} {
		_, err := r.connect(t, who, sweep.ID{}, "one@gmail.example")
		require.NoError(t, err)
	}
	_, c := r.member(t, "cid@example.com")
	_, err := r.connect(t, c, sweep.ID{}, "two@gmail.example")
	require.NoError(t, err)
	box, err := r.google.Mailbox("one@gmail.example")
	require.NoError(t, err)
	orders := 0
	var mu sync.Mutex
	r.Order = func(sweep.ID) { mu.Lock(); orders++; mu.Unlock() }
	later := map[string]any{"iat": time.Now().Add(5 * time.Second).Unix()}
	for _, name := range []string{"account-enabled", "sessions-revoked", "account-credential-change-required", "something-new"} {
		require.NoError(t, r.HearGoogle(t.Context(), s.sign(t, s.key, header(nil), event(name, box.Sub, later)), r.client), name)
	}
	require.NoError(t, r.HearGoogle(t.Context(), s.sign(t, s.key, header(nil), event("verification", "", map[string]any{"events": map[string]any{riscEvents + "risc/event-type/verification": map[string]string{"state": "x"}}})), r.client))
	require.Equal(t, 3, r.count(t, "SELECT count(*) FROM mailboxes WHERE state = 'active'"))
	require.Zero(t, orders)

	token := s.sign(t, s.key, header(map[string]any{"typ": nil}), event("account-disabled", box.Sub, later))
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if err := r.HearGoogle(context.Background(), token, r.client); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM mailboxes WHERE state = 'active'"))
	require.Equal(t, 2, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'google.account-disabled' AND data->>'stopped' = 'true'"))
	require.Equal(t, 6, r.count(t, "SELECT count(*) FROM audit_logs WHERE action LIKE 'google.%' AND data->>'stopped' = 'false'"))
	require.Len(t, r.deliver(t, mail.NeedsReconnect), 2)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM security_events WHERE kind = 'google.account-disabled'"))
	require.NotZero(t, orders)

	r.exec(t, "UPDATE mailboxes SET state = 'active'") // connected again
	require.NoError(t, r.HearGoogle(t.Context(), token, r.client))
	require.Equal(t, 3, r.count(t, "SELECT count(*) FROM mailboxes WHERE state = 'active'"), "told again, it is nothing new")
}

// What was revoked before the consent in force was given does not concern it.
func TestANewerConsentOutlivesAnOlderRevocation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.trusting(t)
	_, a := r.member(t, ada)
	_, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	box, err := r.google.Mailbox("one@gmail.example")
	require.NoError(t, err)
	hear := func(at time.Time) {
		require.NoError(t, r.HearGoogle(t.Context(), s.sign(t, s.key, header(nil), event("tokens-revoked", box.Sub, map[string]any{"iat": at.Unix(), "jti": at.String()})), r.client))
	}
	hear(time.Now().Add(-time.Minute))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM mailboxes WHERE state = 'active'"))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'google.tokens-revoked' AND data->>'stopped' = 'false'"))
	hear(time.Now().Add(5 * time.Second))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM mailboxes WHERE state = 'needs_reconnect'"))
}

// Whoever signs in with a Google account is signed out everywhere when Google ends its sessions, once for each time that Google says so; nobody else is.
func TestWhomGoogleSignsOutIsSignedOutHereToo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.trusting(t)
	box, err := r.google.Mailbox("one@gmail.example")
	require.NoError(t, err)
	_, bystander := r.member(t, ada)
	const version = "SELECT token_version FROM users WHERE id = $1"
	before := r.count(t, version, bystander.User.String())
	told := func(name, id string) string {
		return s.sign(t, s.key, header(nil), event(name, box.Sub, map[string]any{"jti": id}))
	}
	in := func(token string) bool {
		_, err := r.Authenticate(t.Context(), token, r.client)
		return err == nil
	}
	for _, name := range []string{"sessions-revoked", "tokens-revoked", "account-disabled", "account-purged"} {
		session, err := r.withGoogle(t, "one@gmail.example")
		require.NoError(t, err)
		other := r.process(t, session.AccessToken)
		require.NoError(t, r.HearGoogle(t.Context(), told("account-enabled", name), r.client))
		require.NoError(t, r.HearGoogle(t.Context(), told("account-credential-change-required", name), r.client))
		require.True(t, in(session.AccessToken), "that ends nothing")
		require.NoError(t, r.HearGoogle(t.Context(), told(name, "1"), r.client))
		require.False(t, in(session.AccessToken), name)
		r.outWithinASecond(t, other, session.AccessToken)
		again, err := r.withGoogle(t, "one@gmail.example")
		require.NoError(t, err)
		require.NoError(t, r.HearGoogle(t.Context(), told(name, "1"), r.client))
		require.True(t, in(again.AccessToken), "said again, it is nothing new")
		require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE data->>'signed_out' = 'true' AND action = $1", "google."+name))
	}
	require.Equal(t, before, r.count(t, version, bystander.User.String()))
}
