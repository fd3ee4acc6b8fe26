package google_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/option"

	"mailsweep/internal/sim/google"
)

func (r *rig) oauth() *oauth2.Config {
	return &oauth2.Config{ClientID: "cid", ClientSecret: "secret", RedirectURL: "http://127.0.0.1:1/callback",
		Scopes:   []string{"openid", "email", google.ScopeModify},
		Endpoint: oauth2.Endpoint{AuthURL: r.url + "/o/oauth2/v2/auth", TokenURL: r.url + "/token", AuthStyle: oauth2.AuthStyleInParams}}
}

var browser = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// agree opens the consent page with auto=1 and gives the callback's query.
func agree(t *testing.T, address string) url.Values {
	t.Helper()
	res, err := browser.Get(address + "&auto=1")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	to, err := res.Location()
	if err != nil {
		t.Fatal(res.Status, err)
	}
	return to.Query()
}

func newOAuthRig(t *testing.T) *rig {
	t.Helper()
	return newRig(t, google.Config{ClientID: "cid", ClientSecret: "secret"}, 10)
}

func TestWebFlowWithPKCEAndRefreshEndsWithRevocation(t *testing.T) {
	t.Parallel()
	r := newOAuthRig(t)
	conf, verifier := r.oauth(), oauth2.GenerateVerifier()
	query := agree(t, conf.AuthCodeURL("st", oauth2.AccessTypeOffline, oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("login_hint", me)))
	if query.Get("state") != "st" || query.Get("code") == "" {
		t.Fatal(query)
	}
	token, err := conf.Exchange(r.ctx, query.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil || token.RefreshToken == "" {
		t.Fatal(token, err)
	}
	claims := r.verify(t, token.Extra("id_token").(string))
	if claims["email"] != me || claims["aud"] != "cid" || claims["iss"] != "https://accounts.google.com" || len(claims["sub"].(string)) != 21 {
		t.Errorf("%v", claims)
	}
	if _, err := conf.Exchange(r.ctx, query.Get("code"), oauth2.VerifierOption(verifier)); !isInvalidGrant(err) {
		t.Error("a code is good once:", err)
	}
	r.sim.ExpireAccess(me)
	old := &oauth2.Token{RefreshToken: token.RefreshToken, Expiry: time.Now().Add(-time.Hour)}
	svc, err := gmail.NewService(r.ctx, option.WithHTTPClient(conf.Client(r.ctx, old)), option.WithEndpoint(r.url))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.Users.GetProfile("me").Do(); err != nil {
		t.Fatal("a refreshed token works:", err)
	}
	if res, err := http.PostForm(r.url+"/revoke", url.Values{"token": {token.RefreshToken}}); err != nil || res.StatusCode != 200 {
		t.Fatal(res, err)
	}
	if _, err := conf.TokenSource(r.ctx, old).Token(); !isInvalidGrant(err) {
		t.Error(err)
	}
}

func isInvalidGrant(err error) bool {
	var e *oauth2.RetrieveError
	return errors.As(err, &e) && e.ErrorCode == "invalid_grant"
}

// verify checks an id_token's signature with the published key.
func (r *rig) verify(t *testing.T, token string) map[string]any {
	t.Helper()
	var set struct{ Keys []struct{ N, E string } }
	r.getJSON(t, "/oauth2/v3/certs", &set)
	b64 := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	parts := strings.Split(token, ".")
	key := rsa.PublicKey{N: new(big.Int).SetBytes(b64(set.Keys[0].N)), E: int(new(big.Int).SetBytes(b64(set.Keys[0].E)).Int64())}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&key, crypto.SHA256, sum[:], b64(parts[2])); err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(b64(parts[1]), &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func (r *rig) getJSON(t *testing.T, path string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.page(t, path)), v); err != nil {
		t.Fatal(path, err)
	}
}

func (r *rig) page(t *testing.T, path string) string {
	t.Helper()
	res, err := http.Get(r.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatal(path, res.Status, err)
	}
	return string(b)
}

func TestCodeNeedsItsVerifierClientAndRedirect(t *testing.T) {
	t.Parallel()
	r := newOAuthRig(t)
	conf, verifier := r.oauth(), oauth2.GenerateVerifier()
	fresh := func() string {
		return agree(t, conf.AuthCodeURL("", oauth2.S256ChallengeOption(verifier))).Get("code")
	}
	if _, err := conf.Exchange(r.ctx, fresh(), oauth2.VerifierOption("wrong")); !isInvalidGrant(err) {
		t.Error(err)
	}
	moved, thief := *conf, *conf
	moved.RedirectURL = "http://127.0.0.1:1/other"
	thief.ClientSecret = "guess"
	for _, c := range []*oauth2.Config{&moved, &thief} {
		if _, err := c.Exchange(r.ctx, fresh(), oauth2.VerifierOption(verifier)); err == nil {
			t.Error("exchanged")
		}
	}
	token, err := conf.Exchange(r.ctx, fresh(), oauth2.VerifierOption(verifier))
	if err != nil || token.RefreshToken != "" {
		t.Error("without offline access there is no refresh token:", token, err)
	}
}

func TestPersonCanUntickScopesAndRefuse(t *testing.T) {
	t.Parallel()
	r := newOAuthRig(t)
	conf := r.oauth()
	address := conf.AuthCodeURL("s", oauth2.AccessTypeOffline)
	shown := r.page(t, strings.TrimPrefix(address, r.url))
	for _, want := range []string{"cid wants access", me, google.ScopeModify, "Allow", "move it to Trash"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the consent page lacks %q", want)
		}
	}
	post := func(form url.Values) url.Values {
		res, err := browser.PostForm(address, form)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		to, err := res.Location()
		if err != nil {
			t.Fatal(res.Status, err)
		}
		return to.Query()
	}
	if got := post(url.Values{"answer": {"deny"}}); got.Get("error") != "access_denied" || got.Get("state") != "s" {
		t.Error(got)
	}
	got := post(url.Values{"answer": {"allow"}, "email": {me}, "scope": {"openid", google.ScopeMail}})
	token, err := conf.Exchange(r.ctx, got.Get("code"))
	if err != nil || token.Extra("scope") != "openid" {
		t.Error("only what was asked for and ticked is granted:", got, token, err)
	}
}

func TestPagesAndAdminShowTheTruth(t *testing.T) {
	t.Parallel()
	r := newOAuthRig(t)
	truth, _ := r.sim.Truth(me)
	var told google.Truth
	r.getJSON(t, "/sim/truth?email="+me, &told)
	if told.Digest != truth.Digest || told.Messages != 10 {
		t.Error(told)
	}
	all, _ := r.sim.Messages(me)
	if home := r.page(t, "/"); !strings.Contains(home, me) {
		t.Error(home)
	}
	if page := r.page(t, "/sim/mailbox?email="+me); !strings.Contains(page, all[9].ID) {
		t.Error(page)
	}
	body := `{"ids":["` + all[0].ID + `"],"add":["TRASH","STARRED"],"remove":["INBOX"]}`
	if res, err := http.Post(r.url+"/sim/relabel?email="+me, "application/json", strings.NewReader(body)); err != nil || res.StatusCode != 200 {
		t.Fatal(res, err)
	}
	if now, _ := r.sim.Truth(me); now.Digest == truth.Digest {
		t.Error("a change of labels changes the digest")
	}
	for path, v := range map[string]any{"/sim/facts?email=": &google.Facts{}, "/sim/ledger?email=": &google.Ledger{}, "/sim/messages?email=": &[]google.Message{}} {
		r.getJSON(t, path+me, v)
	}
}

func TestUnknownRedirectsAndForgeriesAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{ClientID: "cid", ClientSecret: "secret", Redirects: []string{"http://127.0.0.1:1/callback"}}, 1)
	conf := r.oauth()
	if agree(t, conf.AuthCodeURL("s")).Get("code") == "" {
		t.Error("a known redirect is refused")
	}
	conf.RedirectURL += "/"
	res, err := browser.Get(conf.AuthCodeURL("s") + "&auto=1")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Error(res.Status)
	}
	if err := r.sim.ForgeIDTokens("nonsense"); err == nil {
		t.Error("an unknown forgery is taken")
	}
	if err := r.sim.SayAddress("nobody@example.org", me); err == nil {
		t.Error("an unknown account has an address")
	}
	res, err = http.Post(r.url+"/sim/forge", "application/json", strings.NewReader(`{"forgery":"wrong_key"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Error(res.Status)
	}
}
