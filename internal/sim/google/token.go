package google

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// oauthError is the token endpoint's way to tell errors.
type oauthError struct {
	status      int
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

var (
	errRevoked = &oauthError{400, "invalid_grant", "Token has been expired or revoked."}
	errBadCode = &oauthError{400, "invalid_grant", "Malformed auth code."}
	errClient  = &oauthError{401, "invalid_client", "The OAuth client was not found."}
)

// tokenAnswer is what /token gives.
type tokenAnswer struct {
	Access    string `json:"access_token"`
	ExpiresIn int    `json:"expires_in"`
	Refresh   string `json:"refresh_token,omitempty"`
	Scope     string `json:"scope"`
	Type      string `json:"token_type"`
	IDToken   string `json:"id_token,omitempty"`
}

// token answers POST /token: authorization_code and refresh_token.
func (s *Sim) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		refuseOAuth(w, &oauthError{400, "invalid_request", "The form cannot be read."})
		return
	}
	user := s.tokenUser(r.PostForm)
	if !struck(s.spoil(target{method: "token", user: user, now: s.cfg.Now()})).pass(w, r, s) {
		return
	}
	s.delay(r.Context(), "token", user, 0)
	client, ok := s.client(r)
	if !ok {
		refuseOAuth(w, errClient)
		return
	}
	var out *tokenAnswer
	var refused *oauthError
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		out, refused = s.byCode(client, r.PostForm)
	case "refresh_token":
		out, refused = s.byRefresh(client, r.PostForm)
	default:
		refused = &oauthError{400, "unsupported_grant_type", "Invalid grant_type: " + r.PostForm.Get("grant_type")}
	}
	if refused != nil {
		refuseOAuth(w, refused)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, out)
}

func refuseOAuth(w http.ResponseWriter, e *oauthError) { writeJSON(w, e.status, e) }

// tokenUser is whose tokens a request is about, for fault rules.
func (s *Sim) tokenUser(form url.Values) string {
	g, _ := s.auth.refreshable(form.Get("refresh_token"))
	return g.email
}

// pass lets faults strike the token endpoint; it says whether the request goes on.
func (s struck) pass(w http.ResponseWriter, r *http.Request, sim *Sim) bool {
	err := s.answer(r.Context(), w, sim)
	if err == nil {
		return true
	}
	if err == errHTML {
		(&answer{w: w, r: r}).html()
		return false
	}
	e := refusalOf(err)
	refuseOAuth(w, &oauthError{e.code, e.reason, e.message})
	return false
}

// client checks id and secret, from the form or from basic authentication.
func (s *Sim) client(r *http.Request) (id string, ok bool) {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if u, p, basic := r.BasicAuth(); basic {
		id, _ = url.QueryUnescape(u)
		secret, _ = url.QueryUnescape(p)
	}
	same := subtle.ConstantTimeCompare([]byte(secret), []byte(s.cfg.ClientSecret)) == 1
	return id, id != "" && (s.cfg.ClientID == "" || id == s.cfg.ClientID) && (s.cfg.ClientSecret == "" || same)
}

func (s *Sim) byCode(client string, form url.Values) (*tokenAnswer, *oauthError) {
	c, ok := s.auth.redeem(form.Get("code"), s.cfg.Now())
	if !ok || c.client != client {
		return nil, errBadCode
	}
	if c.redirect != form.Get("redirect_uri") {
		return nil, &oauthError{400, "redirect_uri_mismatch", "Bad Request"}
	}
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	if c.challenge != "" && c.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return nil, &oauthError{400, "invalid_grant", "Invalid code verifier."}
	}
	out := &tokenAnswer{}
	if c.offline {
		c.refresh = s.auth.keep(c.grant)
		out.Refresh = c.refresh
	}
	return s.complete(out, c.grant, c.nonce)
}

func (s *Sim) byRefresh(client string, form url.Values) (*tokenAnswer, *oauthError) {
	g, ok := s.auth.refreshable(form.Get("refresh_token"))
	if !ok {
		return nil, errRevoked
	}
	if g.client != client && g.client != "" {
		return nil, &oauthError{401, "unauthorized_client", "Unauthorized"}
	}
	g.client = client
	return s.complete(&tokenAnswer{}, g, "")
}

func (s *Sim) complete(out *tokenAnswer, g grant, nonce string) (*tokenAnswer, *oauthError) {
	out.Access, out.ExpiresIn, out.Type = s.auth.issue(g, s.cfg.Now()), int(accessLifetime.Seconds()), "Bearer"
	out.Scope = strings.Join(g.scopes, " ")
	if !slices.Contains(g.scopes, "openid") {
		return out, nil
	}
	var err error
	if out.IDToken, err = s.idToken(g, out.Access, nonce); err != nil {
		return nil, &oauthError{500, "internal_failure", err.Error()}
	}
	return out, nil
}

// revoke answers POST /revoke for an access or a refresh token; the whole grant ends.
func (s *Sim) revoke(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	token := r.FormValue("token")
	g, ok := s.auth.refreshable(token)
	if !ok {
		g, ok = s.auth.access(token, s.cfg.Now())
	}
	if !ok {
		refuseOAuth(w, &oauthError{400, "invalid_token", "Token expired or revoked"})
		return
	}
	s.auth.forget(func(o *grant) bool { return o.email == g.email && o.client == g.client })
	writeJSON(w, http.StatusOK, struct{}{})
}

// userinfo answers /oauth2/v3/userinfo.
func (s *Sim) userinfo(w http.ResponseWriter, r *http.Request) {
	g, ok := s.auth.access(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), s.cfg.Now())
	if !ok {
		refuseOAuth(w, &oauthError{401, "invalid_request", "Invalid Credentials"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"sub": subject(g.email), "email": s.address(g.email), "email_verified": true})
}

// tokeninfo answers /tokeninfo?access_token=.
func (s *Sim) tokeninfo(w http.ResponseWriter, r *http.Request) {
	now := s.cfg.Now()
	g, ok := s.auth.access(r.FormValue("access_token"), now)
	if !ok {
		refuseOAuth(w, &oauthError{400, "invalid_token", "Invalid Value"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"azp": g.client, "aud": g.client, "sub": subject(g.email), "scope": strings.Join(g.scopes, " "),
		"expires_in": int(g.expires.Sub(now).Seconds()), "email": g.email, "email_verified": "true", "access_type": "offline"})
}
