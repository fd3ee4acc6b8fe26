package google

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// consentPage is what the consent page shows.
type consentPage struct {
	Client    string
	Redirect  string
	Mailboxes []string
	Hint      string
	Scopes    []consentScope
	NoAccount bool
}

type consentScope struct{ Scope, Says string }

// scopeTexts say to a person what a scope allows.
var scopeTexts = map[string]string{
	"openid": "Know who you are at Google", "email": "See your e-mail address", "profile": "See your name",
	ScopeMail:     "Read, change and permanently delete all your mail",
	ScopeModify:   "Read your mail, change its labels and move it to Trash",
	ScopeReadonly: "Read your mail", ScopeMetadata: "See headers and labels of your mail", ScopeLabels: "Manage your labels",
}

// consent shows who asks for what, and lets a person choose the mailbox and the scopes.
func (s *Sim) consent(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if bad := s.badRequest(q); bad != "" {
		http.Error(w, "Error 400: "+bad, http.StatusBadRequest)
		return
	}
	page := consentPage{Client: q.Get("client_id"), Redirect: q.Get("redirect_uri"), Mailboxes: s.Mailboxes(), Hint: strings.ToLower(q.Get("login_hint"))}
	page.NoAccount = len(page.Mailboxes) == 0
	if !slices.Contains(page.Mailboxes, page.Hint) && !page.NoAccount {
		page.Hint = page.Mailboxes[0]
	}
	asked := strings.Fields(q.Get("scope"))
	if (s.cfg.AutoConsent || q.Get("auto") == "1") && !page.NoAccount {
		s.approve(w, r, page.Hint, asked)
		return
	}
	for _, scope := range asked {
		says := scopeTexts[scope]
		if says == "" {
			says = scope
		}
		page.Scopes = append(page.Scopes, consentScope{scope, says})
	}
	render(w, "consent", page)
}

// badRequest says what is wrong with a request for consent, before anything is shown.
func (s *Sim) badRequest(q url.Values) string {
	target, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case q.Get("client_id") == "" || s.cfg.ClientID != "" && q.Get("client_id") != s.cfg.ClientID && !slices.Contains(s.cfg.OtherClients, q.Get("client_id")):
		return "invalid_client"
	case err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "":
		return "redirect_uri_mismatch"
	case len(s.cfg.Redirects) > 0 && !slices.Contains(s.cfg.Redirects, q.Get("redirect_uri")):
		return "redirect_uri_mismatch"
	case q.Get("response_type") != "code":
		return "invalid_request: response_type must be code"
	case q.Get("scope") == "":
		return "invalid_request: missing scope"
	case q.Get("code_challenge") != "" && q.Get("code_challenge_method") != "S256":
		return "invalid_request: code_challenge_method must be S256"
	}
	return ""
}

// decide takes the consent page's form.
func (s *Sim) decide(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil || s.badRequest(r.URL.Query()) != "" {
		http.Error(w, "Error 400: invalid_request", http.StatusBadRequest)
		return
	}
	if r.PostForm.Get("answer") != "allow" {
		s.back(w, r, url.Values{"error": {"access_denied"}})
		return
	}
	asked := strings.Fields(r.URL.Query().Get("scope"))
	ticked := slices.DeleteFunc(r.PostForm["scope"], func(t string) bool { return !slices.Contains(asked, t) })
	s.approve(w, r, r.PostForm.Get("email"), ticked)
}

// approve makes a code for what was agreed to and sends the browser back. A refresh token comes only with the
// first consent, or with prompt=consent, and only for access_type=offline.
func (s *Sim) approve(w http.ResponseWriter, r *http.Request, email string, scopes []string) {
	q := r.URL.Query()
	m, err := s.Mailbox(email)
	if err != nil {
		http.Error(w, "Error 400: "+err.Error(), http.StatusBadRequest)
		return
	}
	g := grant{email: m.Email, client: q.Get("client_id"), scopes: scopes}
	all, first := s.auth.agree(g, q.Get("include_granted_scopes") == "true")
	g.scopes = all
	s.back(w, r, url.Values{"scope": {strings.Join(all, " ")}, "authuser": {"0"}, "code": {s.auth.offer(&code{
		grant: g, redirect: q.Get("redirect_uri"), challenge: q.Get("code_challenge"), nonce: q.Get("nonce"),
		offline: q.Get("access_type") == "offline" && (first || strings.Contains(q.Get("prompt"), "consent")),
		expires: s.cfg.Now().Add(codeLifetime),
	})}})
}

// back redirects to the client with its state.
func (s *Sim) back(w http.ResponseWriter, r *http.Request, values url.Values) {
	target, _ := url.Parse(r.URL.Query().Get("redirect_uri")) // badRequest has parsed it
	merged := target.Query()
	for k, v := range values {
		merged[k] = v
	}
	if state := r.URL.Query().Get("state"); state != "" {
		merged.Set("state", state)
	}
	target.RawQuery = merged.Encode()
	http.Redirect(w, r, target.String(), http.StatusFound)
}
