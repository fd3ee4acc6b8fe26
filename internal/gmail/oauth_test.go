package gmail

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"mailsweep/internal/sweep"
)

// theVerifier is of the attempt that id_tokens are for.
const theVerifier = "the-verifier"

// issuer stands in for Google's OAuth addresses.
type issuer struct {
	*httptest.Server
	key    *rsa.PrivateKey
	token  map[string]any // the token endpoint's answer
	status int
	form   url.Values
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, status: 200}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	i.token = map[string]any{
		"access_token": "at", "refresh_token": secretRefresh, "token_type": "Bearer", "expires_in": 3599,
		"scope": "openid https://www.googleapis.com/auth/userinfo.email " + ScopeModify, "id_token": i.sign(key, "RS256", i.claims()),
	}
	return i
}

func (i *issuer) claims() map[string]any {
	return map[string]any{"iss": i.URL, "aud": "id", "sub": "1234", "email": "a@example.org", "email_verified": true,
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "nonce": nonceOf(theVerifier)}
}

func (i *issuer) sign(key *rsa.PrivateKey, alg string, claims map[string]any) string {
	part := func(v any) string {
		raw, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	text := part(map[string]string{"alg": alg, "typ": "JWT", "kid": "k1"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	signature, _ := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/token", "/revoke":
		i.form = r.PostForm
		w.WriteHeader(i.status)
		_ = json.NewEncoder(w).Encode(i.token)
	case "/certs":
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{"kid": "k1", "kty": "RSA", "alg": "RS256", "use": "sig",
			"n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(i.key.E)).Bytes())}}})
	}
}

func (i *issuer) oauth() *OAuth {
	return &OAuth{Config: Config{ClientID: "id", ClientSecret: "client-secret", RedirectURL: "https://mailsweep.example/callback",
		TokenURL: i.URL + "/token", RevokeURL: i.URL + "/revoke", CertsURL: i.URL + "/certs", Issuer: i.URL}}
}

func TestConsentAsksForModifyWithPKCE(t *testing.T) {
	t.Parallel()
	o := &OAuth{Config: Config{ClientID: "id", ClientSecret: "client-secret", RedirectURL: "https://mailsweep.example/callback"}}
	u := mustURL(t, o.AuthorizeURL("the-state", NewVerifier(), "a@example.org"))
	q := u.Query()
	want := map[string]string{"client_id": "id", "redirect_uri": "https://mailsweep.example/callback", "response_type": "code", "state": "the-state",
		"scope": "openid email " + ScopeModify, "code_challenge_method": "S256", "access_type": "offline", "prompt": "consent", "login_hint": "a@example.org"}
	for name, value := range want {
		if q.Get(name) != value {
			t.Errorf("%s is %q, want %q", name, q.Get(name), value)
		}
	}
	if u.Host != "accounts.google.com" || u.Path != "/o/oauth2/v2/auth" || len(q.Get("code_challenge")) != 43 || len(q.Get("nonce")) != 43 || len(q) != len(want)+2 {
		t.Errorf("%s", u)
	}
	if shown := fmt.Sprintf("%v %+v %#v", o.Config, o.Config, o.Config); strings.Contains(shown, "client-secret") {
		t.Error("the configuration prints its secret")
	}
}

func TestExchangeGivesTheVerifiedAccount(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	g, err := i.oauth().Exchange(t.Context(), "the-code", theVerifier)
	if err != nil || g.Sub != "1234" || g.Email != "a@example.org" || g.RefreshToken != secretRefresh || len(g.Scopes) != 3 {
		t.Errorf("%+v, %v", g, err)
	}
	if i.form.Get("code") != "the-code" || i.form.Get("code_verifier") != theVerifier || i.form.Get("client_secret") != "client-secret" {
		t.Errorf("sent %v", i.form)
	}
}

func TestConsentWithoutTheRightOverMailIsForbidden(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.token["scope"] = "openid https://www.googleapis.com/auth/userinfo.email"
	_, err := i.oauth().Exchange(t.Context(), "c", theVerifier)
	var e *sweep.Error
	if !errors.As(err, &e) || e.Code != sweep.Forbidden || e.Data["detail"] != "scope_missing" {
		t.Errorf("%v", err)
	}
	i = newIssuer(t)
	delete(i.token, "refresh_token")
	if _, err := i.oauth().Exchange(t.Context(), "c", theVerifier); sweep.CodeOf(err) != sweep.Forbidden {
		t.Errorf("%v", err)
	}
}

func TestExchangeTellsAVoidCodeFromAnAilingGoogle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		word   string
		code   sweep.Code
	}{
		"void code": {400, "invalid_grant", sweep.BadRequest}, "our mistake": {401, "invalid_client", sweep.Unavailable},
		"administrator": {400, "admin_policy_enforced", sweep.Forbidden}, "down": {503, "", sweep.Unavailable},
	} {
		i := newIssuer(t)
		i.status, i.token = c.status, map[string]any{"error": c.word, "error_description": secretRefresh}
		_, err := i.oauth().Exchange(t.Context(), "the-code", "v")
		if sweep.CodeOf(err) != c.code || strings.Contains(err.Error(), secretRefresh) || strings.Contains(err.Error(), "the-code") {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	i := newIssuer(t)
	i.Close()
	if _, err := i.oauth().Exchange(t.Context(), "c", theVerifier); sweep.CodeOf(err) != sweep.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestRevokingTwiceIsDone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		word   string
		code   sweep.Code
	}{
		"done": {200, "", ""}, "void already": {400, "invalid_token", ""}, "other 400": {400, "invalid_request", sweep.Unavailable}, "down": {503, "", sweep.Unavailable},
	} {
		i := newIssuer(t)
		i.status, i.token = c.status, map[string]any{"error": c.word}
		err := i.oauth().Revoke(t.Context(), secretRefresh)
		if sweep.CodeOf(err) != c.code || i.form.Get("token") != secretRefresh {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
	}
}
