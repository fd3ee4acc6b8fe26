package emulate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"mailsweep/internal/dev/stack"
	"mailsweep/internal/sim/google"
)

// proxy stands before the emulator and mends what keeps any client of Google's from working with it: see the report of differences.
type proxy struct {
	theirs *url.URL
	signer google.Signer
	back   *httputil.ReverseProxy

	url string // of the proxy
}

func newProxy(theirs string) (*proxy, error) {
	base, err := url.Parse(theirs)
	if err != nil {
		return nil, fmt.Errorf("read the emulator's address: %w", err)
	}
	p := &proxy{theirs: base}
	p.back = &httputil.ReverseProxy{Rewrite: p.request, ModifyResponse: p.response}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /gmail/v1/users/me/profile", p.profile)
	mux.HandleFunc("GET /o/oauth2/v2/auth", p.consent)
	mux.HandleFunc("GET /oauth2/v3/certs", p.signer.Certs)
	mux.Handle("/", p.back)
	p.url, err = stack.Serve(mux)
	return p, err
}

// The emulator's history ids have 21 digits, milliseconds and a random rest; Google's are 64 bits. The mapping keeps their order.
const (
	since    = 1_600_000_000_000 // ms: long before any of them
	restBase = 100_000_000
)

var longID = regexp.MustCompile(`"(historyId|id)":"(\d{13})(\d{8})"`)

func short(ms, rest string) string {
	m, err := strconv.ParseUint(ms, 10, 64)
	r, err2 := strconv.ParseUint(rest, 10, 64)
	if err != nil || err2 != nil || m < since {
		return ms + rest
	}
	return strconv.FormatUint((m-since)*restBase+r, 10)
}

func long(id string) string {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil || n < restBase {
		return id
	}
	return fmt.Sprintf("%d%08d", n/restBase+since, n%restBase)
}

func (p *proxy) request(r *httputil.ProxyRequest) {
	r.SetURL(p.theirs)
	r.Out.Header.Del("Accept-Encoding")
	switch r.Out.URL.Path {
	case "/token", "/revoke":
		r.Out.URL.Path = "/oauth2" + r.Out.URL.Path
	}
	if q := r.Out.URL.Query(); q.Has("startHistoryId") {
		q.Set("startHistoryId", long(q.Get("startHistoryId")))
		r.Out.URL.RawQuery = q.Encode()
	}
}

func (p *proxy) response(r *http.Response) error {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return nil
	}
	raw, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return fmt.Errorf("read the emulator's answer: %w", err)
	}
	raw = longID.ReplaceAllFunc(raw, func(b []byte) []byte {
		part := longID.FindSubmatch(b)
		return fmt.Appendf(nil, `"%s":"%s"`, part[1], short(string(part[2]), string(part[3])))
	})
	if r.Request.URL.Path == "/oauth2/token" {
		if raw, err = p.resign(raw); err != nil {
			return err
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	r.Header.Set("Content-Length", strconv.Itoa(len(raw)))
	return nil
}

// profile answers users.getProfile, which the emulator does not have, from what it has.
func (p *proxy) profile(w http.ResponseWriter, r *http.Request) {
	var list struct{ ResultSizeEstimate int }
	var watch struct{ HistoryID string }
	err := p.ask(r, http.MethodGet, "/gmail/v1/users/me/messages?maxResults=1&includeSpamTrash=true", "", &list)
	if err == nil {
		err = p.ask(r, http.MethodPost, "/gmail/v1/users/me/watch", `{"topicName":"projects/p/topics/t"}`, &watch)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	if len(watch.HistoryID) == 21 {
		watch.HistoryID = short(watch.HistoryID[:13], watch.HistoryID[13:])
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"emailAddress": address, "messagesTotal": list.ResultSizeEstimate, "threadsTotal": list.ResultSizeEstimate, "historyId": watch.HistoryID}) //nolint:errcheck // the reader has gone
}

func (p *proxy) ask(r *http.Request, method, path, body string, out any) error {
	req, err := http.NewRequestWithContext(r.Context(), method, p.theirs.String()+path, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask the emulator: %w", err)
	}
	req.Header.Set("Authorization", r.Header.Get("Authorization"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the emulator: %w", err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("read the emulator's answer: %w", err)
	}
	return nil
}

// consent chooses the emulator's user: its page is for a person's click.
func (p *proxy) consent(w http.ResponseWriter, r *http.Request) {
	form := r.URL.Query()
	form.Set("email", address)
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).PostForm(p.theirs.String()+"/o/oauth2/v2/auth/callback", form)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	resp.Body.Close()
	http.Redirect(w, r, resp.Header.Get("Location"), http.StatusFound)
}

// resign signs the id_token as Google does: the emulator signs with a shared secret and publishes no key.
func (p *proxy) resign(raw []byte) ([]byte, error) {
	var answer map[string]any
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("read the token: %w", err)
	}
	token, _ := answer["id_token"].(string)
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return raw, nil
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, fmt.Errorf("read the id_token: %w", err)
	}
	var claims map[string]any
	if err := json.Unmarshal(body, &claims); err != nil {
		return nil, fmt.Errorf("read the id_token: %w", err)
	}
	claims["iss"] = "https://accounts.google.com"
	if answer["id_token"], err = p.signer.Sign(claims); err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}
