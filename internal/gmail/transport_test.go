package gmail

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	api "google.golang.org/api/gmail/v1"

	"mailsweep/internal/sweep"
)

func TestBodiesAttachmentsSendingAndDeletingNeverLeave(t *testing.T) {
	t.Parallel()
	f := newFake(t, answer{status: 200, body: `{}`})
	m := f.open(&openPacer{})
	u := m.service.Users
	ids := []string{"18c2f00000000001"}
	forbidden := map[string]func() error{
		"full body":      func() error { _, err := u.Messages.Get(me, ids[0]).Format("full").Do(); return err },
		"raw body":       func() error { _, err := u.Messages.Get(me, ids[0]).Format("raw").Do(); return err },
		"default format": func() error { _, err := u.Messages.Get(me, ids[0]).Do(); return err },
		"other header": func() error {
			_, err := u.Messages.Get(me, ids[0]).Format("metadata").MetadataHeaders("To").Do()
			return err
		},
		"attachment":         func() error { _, err := u.Messages.Attachments.Get(me, ids[0], "x").Do(); return err },
		"send":               func() error { _, err := u.Messages.Send(me, &api.Message{Raw: "eA"}).Do(); return err },
		"upload and send":    func() error { _, err := u.Messages.Send(me, nil).Media(strings.NewReader("x")).Do(); return err },
		"draft send":         func() error { _, err := u.Drafts.Send(me, &api.Draft{}).Do(); return err },
		"draft get":          func() error { _, err := u.Drafts.Get(me, "r1").Do(); return err },
		"import":             func() error { _, err := u.Messages.Import(me, &api.Message{}).Do(); return err },
		"insert":             func() error { _, err := u.Messages.Insert(me, &api.Message{}).Do(); return err },
		"delete":             func() error { return u.Messages.Delete(me, ids[0]).Do() },
		"batch delete":       func() error { return u.Messages.BatchDelete(me, &api.BatchDeleteMessagesRequest{Ids: ids}).Do() },
		"trash one":          func() error { _, err := u.Messages.Trash(me, ids[0]).Do(); return err },
		"modify one":         func() error { _, err := u.Messages.Modify(me, ids[0], &api.ModifyMessageRequest{}).Do(); return err },
		"thread":             func() error { _, err := u.Threads.Get(me, ids[0]).Format("metadata").Do(); return err },
		"thread delete":      func() error { return u.Threads.Delete(me, ids[0]).Do() },
		"delete inbox label": func() error { return u.Labels.Delete(me, "INBOX").Do() },
		"label with path":    func() error { return u.Labels.Delete(me, "Label_1/../../messages/18c2f00000000001").Do() },
		"rename label":       func() error { _, err := u.Labels.Patch(me, "Label_1", &api.Label{}).Do(); return err },
		"other user":         func() error { _, err := u.GetProfile("boss@example.org").Do(); return err },
		"spam and trash":     func() error { _, err := u.Messages.List(me).IncludeSpamTrash(true).Do(); return err },
		"watch":              func() error { _, err := u.Watch(me, &api.WatchRequest{}).Do(); return err },
		"forwarding":         func() error { _, err := u.Settings.ForwardingAddresses.List(me).Do(); return err },
		"filters":            func() error { _, err := u.Settings.Filters.List(me).Do(); return err },
		"method override": func() error {
			c := u.GetProfile(me)
			c.Header().Set("X-HTTP-Method-Override", "DELETE")
			_, err := c.Do()
			return err
		},
	}
	for name, do := range forbidden {
		if err := do(); !errors.Is(err, errNotAllowed) {
			t.Errorf("%s: %v, want a refusal before it leaves", name, err)
		}
	}
	if f.calls() != 0 || f.tokens != 0 || m.Units() != 0 {
		t.Errorf("%d calls and %d token calls left, %d units", f.calls(), f.tokens, m.Units())
	}
}

func mustURL(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestNoRequestGoesToAnotherHost(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(other.Close)
	f := newFake(t, answer{status: 302, header: map[string]string{"Location": other.URL + "/gmail/v1/users/me/profile"}})
	if _, err := f.open(&openPacer{}).Profile(t.Context()); err == nil {
		t.Error("a redirect was taken for an answer")
	}
	a := allowList{base: mustURL(t, "https://gmail.googleapis.com/"), rules: rules()}
	for _, address := range []string{
		"https://gmail.googleapis.com.example.org/gmail/v1/users/me/profile", "http://gmail.googleapis.com/gmail/v1/users/me/profile",
		"https://x@gmail.googleapis.com/gmail/v1/users/me/profile", "https://gmail.googleapis.com/gmail/v1/users/me/messages%2Fsend",
		"https://gmail.googleapis.com/batch/gmail/v1", "https://gmail.googleapis.com/gmail/v1/users/me/profile?key=1",
		"https://gmail.googleapis.com/gmail/v1/users/me/profile?alt=media", "https://gmail.googleapis.com/gmail/v1/users/me/messages/1?format=minimal&format=full",
		"https://gmail.googleapis.com/gmail/v1/users/me/messages/1?format=full%00minimal",
	} {
		r, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.find(r); err == nil {
			t.Errorf("%s would leave", address)
		}
	}
	if reached.Load() != 0 {
		t.Error("the other host was reached")
	}
}

func TestTheTariffsAreGoogles(t *testing.T) {
	t.Parallel()
	young, old := TariffNew(), TariffOld()
	if young.Units[MessagesGet] != 20 || old.Units[MessagesGet] != 5 || young.PerUserMinute != 6_000 || old.PerUserMinute != 15_000 ||
		young.Units[BatchModify] != 50 || young.Units[MessagesList] != 5 || young.Units[HistoryList] != 2 || len(young.Units) != len(rules()) {
		t.Errorf("%+v %+v", young, old)
	}
	for name, want := range map[string]string{"": young.Name, "total_query_cost": young.Name, "default": old.Name} {
		if got, err := TariffNamed(name); err != nil || got.Name != want {
			t.Errorf("%q: %s, %v", name, got.Name, err)
		}
	}
	if _, err := TariffNamed("other"); sweep.CodeOf(err) != sweep.Invalid {
		t.Error(err)
	}
}

func TestEachCallBooksAndCountsItsPrice(t *testing.T) {
	t.Parallel()
	prices := map[Method]int{}
	for _, tariff := range []Tariff{TariffNew(), TariffOld()} {
		f := newFake(t, answer{status: 200, body: `{"id":"1","threadId":"1","historyId":"1"}`})
		p := &openPacer{}
		m := f.open(p)
		m.client.Tariff = tariff
		m.client.Observe = func(_ context.Context, c Call) { prices[c.Method] = c.Units }
		callEverything(t, m)
		for method, units := range tariff.Units {
			if prices[method] != units || m.UnitsByMethod()[method] != int64(units) {
				t.Errorf("%s: %s cost %d, booked %d, want %d", tariff.Name, method, m.UnitsByMethod()[method], prices[method], units)
			}
		}
		if int64(p.booked["account"]) != m.Units() {
			t.Errorf("%s: booked %d, spent %d", tariff.Name, p.booked["account"], m.Units())
		}
	}
}

// callEverything makes each listed call once.
func callEverything(t *testing.T, m *Mailbox) {
	t.Helper()
	ctx := t.Context()
	_, e1 := m.Profile(ctx)
	_, e2 := m.Labels(ctx)
	_, e3 := m.LabelCounts(ctx, "INBOX")
	_, _, e4 := m.ListPage(ctx, Search{Q: `from:"a@b.example"`, LabelIDs: []string{"INBOX"}}, "123")
	_, e5 := m.Read(ctx, 1, true)
	e6 := m.Modify(ctx, []sweep.MessageID{1}, []string{"TRASH"}, []string{"INBOX"})
	_, e7 := m.History(ctx, 5, nil)
	_, e8 := m.CreateLabel(ctx, "Swept")
	e9 := m.DeleteLabel(ctx, "Label_1")
	if err := errors.Join(e1, e2, e3, e4, e5, e6, e7, e8, e9); err != nil {
		t.Error(err)
	}
}

func TestALongBucketWaitIsGivenToTheCaller(t *testing.T) {
	t.Parallel()
	f := newFake(t, profileAnswer)
	m := f.open(&openPacer{wait: time.Hour})
	_, err := m.Profile(t.Context())
	var wait *Wait
	if !errors.As(err, &wait) || time.Until(wait.Until) < 50*time.Minute || f.calls() != 0 || f.tokens != 0 {
		t.Errorf("%v, %d calls", err, f.calls())
	}
}

func TestEachCallGivesItsPlaceBackAndTellsThatItWentWell(t *testing.T) {
	t.Parallel()
	p := &openPacer{}
	callEverything(t, newFake(t, answer{status: 200, body: `{"id":"1","threadId":"1","historyId":"1"}`}).open(p))
	if p.flight != 0 || p.well != len(TariffNew().Units) {
		t.Errorf("%d places not given back, %d calls went well", p.flight, p.well)
	}
}

func TestAPacerThatFailsIsUnavailable(t *testing.T) {
	t.Parallel()
	f := newFake(t, profileAnswer)
	_, err := f.open(&openPacer{fail: errors.New("redis is away")}).Profile(t.Context())
	if sweep.CodeOf(err) != sweep.Unavailable || f.calls() != 0 {
		t.Errorf("%v, %d calls", err, f.calls())
	}
}

func TestPlacesInFlightAreGivenBack(t *testing.T) {
	t.Parallel()
	f := newFake(t, profileAnswer, refused(503, "backendError", "x"), answer{}, answer{status: 200, body: "{"}, profileAnswer)
	p := &openPacer{}
	m := f.open(p)
	for range 5 {
		if _, err := m.Profile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	if _, err := m.Profile(t.Context()); sweep.CodeOf(err) != sweep.Unavailable {
		t.Errorf("nobody there: %v", err)
	}
	if p.flight != 0 || p.most != 1 {
		t.Errorf("%d places still taken, %d at most", p.flight, p.most)
	}
}

func TestAHangingAnswerEndsByTheTimeout(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	f := newFake(t, profileAnswer)
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			f.ServeHTTP(w, r)
			return
		}
		<-hang
	})
	defer close(hang)
	m := f.open(&openPacer{})
	m.client.Timeout = 20 * time.Millisecond
	if _, err := m.Profile(t.Context()); sweep.CodeOf(err) != sweep.Unavailable {
		t.Errorf("%v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := m.Profile(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the caller's own end", err)
	}
}

func TestOpeningAMailboxCompilesNoRules(t *testing.T) {
	c := &Client{OAuth: &OAuth{}}
	if n := testing.AllocsPerRun(20, func() { c.Open("refresh", "account") }); n > 200 {
		t.Fatalf("%.0f allocations", n)
	}
}
