package gmail_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// free is a pacer without limits; closed counts how often Gmail made us close the bucket.
type free struct {
	mu     sync.Mutex
	closed int
}

func (*free) Enter(context.Context, string, int, time.Duration) (func(bool), time.Duration, error) {
	return func(bool) {}, 0, nil
}

func (p *free) CloseUntil(context.Context, string, time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed++
	return nil
}

func (*free) CloseProject(context.Context, time.Time) error { return nil }
func (*free) Slow(context.Context, string, time.Time)       {}
func (*free) Crowded(context.Context, string, time.Time)    {}

const address = "someone@example.org"

// world is a simulated Google with one mailbox, whose clock runs 60 times faster.
type world struct {
	sim    *google.Sim
	url    string
	client *gmail.Client
	wire   *listings
	open   *gmail.Mailbox
}

func newWorld(t *testing.T, messages int) *world {
	t.Helper()
	return newWorldOf(t, google.Generate{Messages: messages}, google.Config{Seed: 7, TimeScale: 60, ClientID: "id", ClientSecret: "secret"})
}

func newWorldOf(t *testing.T, mailbox google.Generate, config google.Config) *world {
	t.Helper()
	sim := google.New(config)
	if _, err := sim.AddGenerated(address, mailbox); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	w := &world{sim: sim, url: server.URL, wire: &listings{next: gmail.NewTransport(server.URL)}}
	w.client = &gmail.Client{
		OAuth: &gmail.OAuth{Config: gmail.Config{ClientID: "id", ClientSecret: "secret", RedirectURL: "http://127.0.0.1:1/callback",
			AuthURL: server.URL + "/o/oauth2/v2/auth", TokenURL: server.URL + "/token", RevokeURL: server.URL + "/revoke", CertsURL: server.URL + "/oauth2/v3/certs"}},
		BaseURL: server.URL, Tariff: gmail.TariffNew(), Pacer: &free{}, TimeScale: 60, Timeout: 10 * time.Second, Transport: w.wire,
	}
	tokens, err := sim.Grant(address)
	if err != nil {
		t.Fatal(err)
	}
	w.open = w.client.Open(tokens.Refresh, "account")
	return w
}

// messages are the sim's own, by id, without spam and trash.
func (w *world) messages(t *testing.T) map[sweep.MessageID]google.Message {
	t.Helper()
	list, err := w.sim.Messages(address)
	if err != nil {
		t.Fatal(err)
	}
	found := map[sweep.MessageID]google.Message{}
	for _, m := range list {
		if !has(m, "SPAM") && !has(m, "TRASH") {
			found[parse(t, m.ID)] = m
		}
	}
	return found
}

func has(m google.Message, label string) bool { return slices.Contains(m.Labels, label) }

func parse(t *testing.T, id string) sweep.MessageID {
	t.Helper()
	parsed, err := sweep.ParseMessageID(id)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// list gives the ids that a search finds.
func (w *world) list(t *testing.T, s gmail.Search) map[sweep.MessageID]bool {
	t.Helper()
	found := map[sweep.MessageID]bool{}
	if err := w.open.ListAll(t.Context(), s, func(refs []mailindex.Ref) error {
		for _, r := range refs {
			found[r.ID] = true
		}
		return nil
	}); err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
	return found
}

func TestTheConsentFlowOpensTheMailbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 50)
	consent := func(scopeless bool) (gmail.Grant, error) {
		verifier := gmail.NewVerifier()
		at := w.client.OAuth.AuthorizeURL("the-state", verifier, address) + "&auto=1"
		if scopeless {
			at = strings.Replace(at, url.QueryEscape(" "+gmail.ScopeModify), "", 1)
		}
		browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		answer, err := browser.Get(at)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		back, err := answer.Location()
		if err != nil || back.Query().Get("state") != "the-state" {
			t.Fatalf("%d, back at %v, %v", answer.StatusCode, back, err)
		}
		if _, err := w.client.OAuth.Exchange(t.Context(), back.Query().Get("code")+"x", verifier); sweep.CodeOf(err) != sweep.BadRequest {
			t.Errorf("a wrong code: %v", err)
		}
		return w.client.OAuth.Exchange(t.Context(), back.Query().Get("code"), verifier)
	}
	if _, err := consent(true); sweep.CodeOf(err) != sweep.Forbidden {
		t.Errorf("without the right over mail: %v", err)
	}
	g, err := consent(false)
	if err != nil {
		t.Fatal(err)
	}
	m, err := w.sim.Mailbox(address)
	if err != nil || g.Sub != m.Sub || g.Email != address || !slices.Contains(g.Scopes, gmail.ScopeModify) {
		t.Errorf("%s %s %v, %v", g.Sub, g.Email, g.Scopes, err)
	}
	open := w.client.Open(g.RefreshToken, "account")
	if p, err := open.Profile(t.Context()); err != nil || p.Email != address {
		t.Errorf("%+v, %v", p, err)
	}
	for range 2 {
		if err := w.client.OAuth.Revoke(t.Context(), g.RefreshToken); err != nil {
			t.Error(err)
		}
	}
	for range 2 { // the access token, then the refresh token
		if _, err := open.Profile(t.Context()); sweep.CodeOf(err) != sweep.MailboxNeedsReconnect {
			t.Errorf("after the revocation: %v", err)
		}
	}
}

func TestCountsAndListsAreTheMailboxsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1_700)
	ctx := t.Context()
	truth, err := w.sim.Truth(address)
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.open.Profile(ctx)
	if err != nil || p.Messages != truth.Messages || p.Threads != truth.Threads || p.HistoryID == 0 {
		t.Errorf("%+v, %v; truth %d messages, %d threads", p, err, truth.Messages, truth.Threads)
	}
	labels, err := w.open.Labels(ctx)
	if err != nil || !slices.Contains(labels, gmail.Label{ID: "INBOX", Name: "INBOX", System: true}) {
		t.Errorf("%v, %v", labels, err)
	}
	for _, l := range labels {
		c, err := w.open.LabelCounts(ctx, l.ID)
		if err != nil || c.Messages != truth.Labels[l.ID] || c.Unread > c.Messages || c.Threads > c.Messages {
			t.Errorf("%s: %+v, %v; truth %d", l.ID, c, err, truth.Labels[l.ID])
		}
	}
	if _, err := w.open.LabelCounts(ctx, "Label_none"); !errors.Is(err, gmail.ErrLabelGone) {
		t.Errorf("no such label: %v", err)
	}
	if all, want := w.list(t, gmail.Search{}), w.messages(t); len(all) != len(want) {
		t.Errorf("%d listed, %d there", len(all), len(want))
	}
	refs, next, err := w.open.ListPage(ctx, gmail.Search{}, "")
	if err != nil || len(refs) != 500 || next == "" {
		t.Errorf("%d on the first page, next %q, %v", len(refs), next, err)
	}
	ledger, err := w.sim.Ledger(address)
	if err != nil {
		t.Fatal(err)
	}
	spent := map[string]int{}
	for method, units := range w.open.UnitsByMethod() {
		spent[string(method)] = int(units)
	}
	if !maps.Equal(spent, ledger.Units) {
		t.Errorf("we count %v, Google %v", spent, ledger.Units)
	}
}

func TestHeadersAreReadAndBodiesAreNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60)
	for id, want := range w.messages(t) {
		got, err := w.open.Read(t.Context(), id, true)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got.Labels)
		if got.ID != id || got.Size != int64(want.Size) || !got.Date.Equal(want.Date) || got.Subject != want.Subject ||
			!slices.Equal(got.Labels, want.Labels) || !strings.Contains(strings.ToLower(got.From), want.From) {
			t.Errorf("%+v, want %+v", got, want)
		}
		if bare, err := w.open.Read(t.Context(), id, false); err != nil || bare.Subject != "" {
			t.Errorf("a subject that nobody asked for: %+v, %v", bare, err)
		}
		labels, err := w.open.Labelled(t.Context(), id)
		slices.Sort(labels)
		if err != nil || !slices.Equal(labels, want.Labels) {
			t.Errorf("%v, %v, want %v", labels, err, want.Labels)
		}
	}
	if _, err := w.open.Read(t.Context(), 1, false); !errors.Is(err, gmail.ErrGone) {
		t.Errorf("no such message: %v", err)
	}
	if _, err := w.open.Labelled(t.Context(), 1); !errors.Is(err, gmail.ErrGone) {
		t.Errorf("no such message: %v", err)
	}
}
