package gmail

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// openPacer lets every call through at once and remembers what it was asked.
type openPacer struct {
	mu      sync.Mutex
	booked  map[string]int
	closed  time.Time
	project time.Time // until when all accounts are closed
	wait    time.Duration
	takes   time.Duration // of a call's patience, each time
	slowed  int
	crowded int
	flight  int
	most    int
	well    int // calls that went well
	fail    error
	placed  func() // once a place is given
}

func (p *openPacer) Enter(ctx context.Context, account string, units int, maxWait time.Duration) (func(bool), time.Duration, error) {
	if p.takes > maxWait {
		return nil, p.takes - maxWait, nil
	}
	if err := sleep(ctx, p.takes); err != nil {
		return nil, 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil || p.wait > maxWait {
		return nil, p.wait, p.fail
	}
	if p.booked == nil {
		p.booked = map[string]int{}
	}
	p.booked[account] += units
	p.flight++
	p.most = max(p.most, p.flight)
	if p.placed != nil {
		p.placed()
	}
	return func(well bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.flight--
		if well {
			p.well++
		}
	}, 0, nil
}

func (p *openPacer) CloseUntil(_ context.Context, _ string, until time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = until
	return p.fail
}

func (p *openPacer) CloseProject(_ context.Context, until time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.project = until
	return p.fail
}

func (p *openPacer) Slow(context.Context, string, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slowed++
}

func (p *openPacer) Crowded(context.Context, string, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.crowded++
}

// answer is one canned reply. A status of 0 cuts the connection, one below 0 sends no HTTP.
type answer struct {
	status int
	body   string
	header map[string]string
}

// fake answers Gmail calls from a list, the last one for ever, and hands out access tokens a1, a2, …
type fake struct {
	*httptest.Server
	mu      sync.Mutex
	answers []answer
	token   answer // status 0: a good one
	seen    []*http.Request
	bodies  []string
	tokens  int
}

func newFake(t *testing.T, answers ...answer) *fake {
	t.Helper()
	f := &fake{answers: answers}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.URL.Path == "/token" {
		f.tokens++
		reply := f.token
		if reply.status == 0 {
			reply = answer{status: 200, body: fmt.Sprintf(`{"access_token":"a%d","expires_in":3599,"token_type":"Bearer"}`, f.tokens)}
		}
		f.send(w, reply)
		return
	}
	f.seen, f.bodies = append(f.seen, r), append(f.bodies, string(body))
	reply := f.answers[0]
	if len(f.answers) > 1 {
		f.answers = f.answers[1:]
	}
	f.send(w, reply)
}

func (f *fake) send(w http.ResponseWriter, a answer) {
	if a.status < 0 {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(conn, a.body)
			_ = conn.Close()
		}
		return
	}
	if a.status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func (f *fake) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

// secretRefresh must show up in no error.
const secretRefresh = "1//refresh-secret"

// open connects a Mailbox to the fake: 1,000 times faster pauses, so that patience is 30 ms.
func (f *fake) open(p Pacer) *Mailbox {
	c := &Client{
		OAuth:   &OAuth{Config: Config{ClientID: "id", ClientSecret: "client-secret", TokenURL: f.URL + "/token"}},
		BaseURL: f.URL, Tariff: TariffNew(), Pacer: p, TimeScale: 1_000, Timeout: 5 * time.Second,
	}
	return c.Open(secretRefresh, "account")
}

// refused builds an error body as Google's.
func refused(status int, reason, message string) answer {
	body, _ := json.Marshal(map[string]any{"error": map[string]any{
		"code": status, "message": message,
		"errors": []map[string]any{{"message": message, "domain": "global", "reason": reason}},
	}})
	return answer{status: status, body: string(body)}
}

var profileAnswer = answer{status: 200, body: `{"emailAddress":"a@example.org","messagesTotal":3,"threadsTotal":2,"historyId":"77"}`}
