package queue

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"
)

// MonitorPath is where the queue page expects to be mounted.
const MonitorPath = "/ops/queues"

const maxPageSize = 100

// MonitorHandler is asynqmon, read-only, made fit to be shown: it calls no third party, can be framed by nobody, lists at most 100
// tasks a page, and shows of a task its type and ids only. It knows no users: mount it behind something that does.
type MonitorHandler struct{ inner *asynqmon.HTTPHandler }

// Monitor gives the queue page. It uses c as long as it is served, and leaves the closing to its owner.
func Monitor(c redis.UniversalClient) *MonitorHandler {
	return &MonitorHandler{inner: asynqmon.New(asynqmon.Options{
		RootPath: MonitorPath, RedisConnOpt: shared{c}, ReadOnly: true,
		PayloadFormatter: asynqmon.PayloadFormatterFunc(showPayload),
		ResultFormatter:  asynqmon.ResultFormatterFunc(func(string, []byte) string { return "" }),
	})}
}

func (m *MonitorHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the queue page is read-only", http.StatusMethodNotAllowed)
		return
	}
	inner := r.Clone(r.Context())
	inner.Method = http.MethodGet
	inner.URL.RawQuery = capPage(r)
	kept := &kept{header: http.Header{}, status: http.StatusOK}
	m.inner.ServeHTTP(kept, inner)
	m.answer(w, strings.TrimPrefix(path.Clean(r.URL.Path), MonitorPath), kept)
}

func (m *MonitorHandler) answer(w http.ResponseWriter, sub string, k *kept) {
	body, kind, cache, script := k.body.Bytes(), k.header.Get("Content-Type"), "no-store", ""
	switch {
	case strings.HasSuffix(sub, ".map"):
		body, kind, k.status = []byte("not found"), "text/plain; charset=utf-8", http.StatusNotFound
	case strings.HasPrefix(sub, "/api/"):
		body, k.status = scrub(sub, body, k.status)
		kind = "application/json"
	case bytes.HasPrefix(body, []byte("<!doctype html>")):
		body, script = ownOnly(body)
		kind = "text/html; charset=utf-8"
	case strings.HasSuffix(sub, ".svg"):
		kind, cache = "image/svg+xml", "private, max-age=3600"
	case strings.HasSuffix(sub, ".json"):
		kind = "application/manifest+json"
	default:
		cache = "private, max-age=3600"
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", cache)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'"+script+"; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "+
		"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	w.WriteHeader(k.status)
	_, _ = w.Write(body) // nobody is left to hear of a broken connection
}

// capPage bounds how much one request may ask of Redis.
func capPage(r *http.Request) string {
	q := r.URL.Query()
	if n, err := strconv.Atoi(q.Get("size")); q.Has("size") && (err != nil || n < 1 || n > maxPageSize) {
		q.Set("size", strconv.Itoa(maxPageSize))
	}
	if n, err := strconv.Atoi(q.Get("page")); q.Has("page") && (err != nil || n < 1 || n > 1_000_000) {
		q.Set("page", "1")
	}
	return q.Encode()
}

// showPayload shows a task's own id and nothing that is not one.
func showPayload(typ string, body []byte) string {
	var p payload
	if json.Unmarshal(body, &p) != nil {
		return typ
	}
	for _, id := range []string{p.Job, p.Post} {
		if uuid.MatchString(id) {
			return typ + " " + id + " epoch " + strconv.Itoa(p.Epoch)
		}
	}
	return typ
}

var (
	uuid     = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	aCode    = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)
	strayCSS = regexp.MustCompile(`<link[^>]*href="https?://[^>]*>`)
	inline   = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
)

// ownOnly takes what would be fetched from elsewhere out of the page, and gives the hashes under which its own scripts may run.
func ownOnly(page []byte) (own []byte, hashes string) {
	own = strayCSS.ReplaceAll(page, nil)
	for _, script := range inline.FindAllSubmatch(own, -1) {
		sum := sha256.Sum256(script[1])
		hashes += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return own, hashes
}

// kept is an answer that is looked through before it leaves.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *kept) Header() http.Header         { return k.header }
func (k *kept) WriteHeader(status int)      { k.status = status }
func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }
