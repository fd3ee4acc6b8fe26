package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/dev/stack"
	"mailsweep/internal/testkit"
)

// chain is the names of a span and of those above it, the lowest first.
func chain(all map[string]testkit.CollectedSpan, s testkit.CollectedSpan) (names []string) {
	for at, ok := s, true; ok; at, ok = all[at.Parent] {
		names = append(names, at.Process+": "+at.Name)
	}
	return names
}

func TestOneTraceLeadsFromTheRequestToTheGmailCall(t *testing.T) {
	t.Parallel()
	sink := testkit.NewCollector(t)
	o := speedy()
	o.Idle = true
	r := start(t, o, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": sink.URL, "OTEL_BSP_SCHEDULE_DELAY": "100"})
	google := r.overhear(t)
	for _, name := range stack.Programs() {
		require.NoError(t, r.Spawn(name))
	}
	require.NoError(t, r.Await(t.Context(), stack.Programs()...))
	u := r.join(t, "ada", 300)
	p := u.plan("trash", object{"all": []object{{"older_than_days": 30}, {"not": object{"from": "@secretive-sender.example"}}}})
	u.finish(u.execute(p))

	want := map[string]bool{"mailsweep-worker: gmail": false, "mailsweep-worker: sql": false, "mailsweep-api: sql": false}
	until(t, patience, "the whole trace", func() bool {
		all := map[string]testkit.CollectedSpan{}
		for _, s := range sink.Spans() {
			all[s.ID] = s
		}
		for _, s := range all {
			names := chain(all, s)
			if names[len(names)-1] != "mailsweep-api: POST /api/v1/gmail/cleanup/execute" {
				continue
			}
			for leaf := range want {
				// the dispatcher may be the API's or the scheduler's
				through := !strings.HasPrefix(leaf, "mailsweep-worker") || len(names) == 4 && names[1] == "mailsweep-worker: claim job:execute" && strings.HasSuffix(names[2], ": dispatch job:execute")
				want[leaf] = want[leaf] || strings.HasPrefix(names[0], leaf) && through
			}
		}
		return want["mailsweep-worker: gmail"] && want["mailsweep-worker: sql"] && want["mailsweep-api: sql"]
	})
	r.halt(t, stack.Programs()...) // what is left is sent

	u.tellsNothing(sink)
	for _, s := range sink.Spans() {
		require.Regexp(t, spanName, s.Name)
		for name, value := range s.Facts {
			require.Contains(t, facts, name, s.Name)
			require.Regexp(t, facts[name], value, "%s of %s", name, s.Name)
		}
	}
	for _, m := range r.Sink.Messages() {
		google.add(string(m.Raw))
	}
	google.knowsNothing(t, sink)
}

// spanName and facts are all that a span may say.
var (
	spanName = regexp.MustCompile(`^((GET|POST|PUT|DELETE) (/[a-z0-9/:_.-]+|unmatched)|sql [A-Z]+|gmail [A-Za-z.]+|(dispatch|claim) (job|mail|duty):[a-z_-]+)$`)
	facts    = map[string]*regexp.Regexp{
		"http.response.status_code": regexp.MustCompile(`^\d{1,3}$`),
		"gmail.units":               regexp.MustCompile(`^\d+$`),
		"gmail.waited_seconds":      regexp.MustCompile(`^[\d.e-]+$`),
		"db.system.name":            regexp.MustCompile(`^postgresql$`),
		"db.response.status_code":   regexp.MustCompile(`^([0-9A-Z]{5}|-)$`),
	}
	ourID = regexp.MustCompile(`(cus|usr|mbx|job|pln|run)_[0-9a-z]{8,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-`)
)

// tellsNothing says that no trace holds what is the user's, or a secret, or names any of our rows.
func (u *user) tellsNothing(sink *testkit.Collector) {
	u.t.Helper()
	heard := sink.Heard()
	require.Contains(u.t, heard, "gmail messages.batchModify", "the search below finds what is there")
	for what, looks := range telling {
		require.Empty(u.t, looks.FindString(heard), "%s in a trace", what)
	}
	require.Empty(u.t, ourID.FindString(heard), "an id in a trace")
	words := append(u.r.secrets(u.t), password, u.Token, u.Email, "secretive-sender")
	for message := range u.changes() {
		words = append(words, message)
	}
	for _, word := range words {
		require.False(u.t, strings.Contains(heard, word), "%s in a trace", word)
	}
}

// overheard is what the outside world was told, as it went over the wire.
type overheard struct {
	mu   sync.Mutex
	told []string
}

func (o *overheard) add(told string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, told)
}

// overhear stands between the programs that are yet to start and Google.
func (r *rig) overhear(t *testing.T) *overheard {
	t.Helper()
	o := &overheard{}
	to, err := url.Parse(r.Google)
	require.NoError(t, err)
	on := httputil.NewSingleHostReverseProxy(to)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		dump, err := httputil.DumpRequest(req, true)
		if err != nil {
			panic(http.ErrAbortHandler) // who asked has gone
		}
		o.add(string(dump))
		on.ServeHTTP(w, req)
	}))
	t.Cleanup(s.Close)
	for _, name := range []string{"GMAIL_BASE_URL", "GOOGLE_TOKEN_URL", "GOOGLE_CERTS_URL", "GOOGLE_REVOKE_URL"} {
		r.Env[name] = strings.Replace(r.Env[name], r.Google, s.URL, 1)
	}
	return o
}

var propagation = regexp.MustCompile(`(?im)^(traceparent|tracestate|baggage|b3|x-b3-[a-z]+|x-cloud-trace-context|uber-trace-id|x-request-id):`)

// knowsNothing says that no trace was named outside: in no header, and in no other place.
func (o *overheard) knowsNothing(t *testing.T, sink *testkit.Collector) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	all := strings.Join(o.told, "\n")
	for _, part := range []string{"/token", "/oauth2/v3/certs", "/messages/batchModify", "X-Mailsweep-Kind:"} {
		require.Contains(t, all, part, "it was overheard")
	}
	require.Empty(t, propagation.FindString(all), "a trace is handed to strangers")
	for _, s := range sink.Spans() {
		require.False(t, strings.Contains(all, s.Trace), "%s names its trace to strangers", s.Name)
	}
}
