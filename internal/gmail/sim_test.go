package gmail_test

import (
	"context"
	"errors"
	"fmt"
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

func (*free) Reserve(context.Context, string, int, time.Duration) (time.Duration, bool, error) {
	return 0, true, nil
}

func (p *free) CloseUntil(context.Context, string, time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed++
	return nil
}

func (*free) Acquire(context.Context, string, int) (func(), error) { return func() {}, nil }

const address = "someone@example.org"

// world is a simulated Google with one mailbox, whose clock runs 60 times faster.
type world struct {
	sim    *google.Sim
	url    string
	client *gmail.Client
	open   *gmail.Mailbox
}

func newWorld(t *testing.T, messages int) *world {
	t.Helper()
	sim := google.New(google.Config{Seed: 7, TimeScale: 60, ClientID: "id", ClientSecret: "secret"})
	if _, err := sim.AddGenerated(address, google.Generate{Messages: messages}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	w := &world{sim: sim, url: server.URL}
	w.client = &gmail.Client{
		OAuth: &gmail.OAuth{Config: gmail.Config{ClientID: "id", ClientSecret: "secret", RedirectURL: "http://127.0.0.1:1/callback",
			AuthURL: server.URL + "/o/oauth2/v2/auth", TokenURL: server.URL + "/token", RevokeURL: server.URL + "/revoke", CertsURL: server.URL + "/oauth2/v3/certs"}},
		BaseURL: server.URL, Tariff: gmail.TariffNew(), Pacer: &free{}, TimeScale: 60, Timeout: 10 * time.Second,
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

// middle is a message that fits, with about as many older as newer ones.
func middle(t *testing.T, all map[sweep.MessageID]google.Message, fits func(google.Message) bool) google.Message {
	t.Helper()
	ids := slices.Sorted(maps.Keys(all))
	for _, id := range ids[len(ids)/2:] {
		if fits(all[id]) {
			return all[id]
		}
	}
	t.Fatal("no message fits")
	return google.Message{}
}

func TestEachLeafFindsWhatItMeans(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1_200)
	all := w.messages(t)
	pick := middle(t, all, func(m google.Message) bool { return strings.Count(m.Subject, " ") > 1 && m.From != "" })
	cut, size := pick.Date.Truncate(time.Second), int64(pick.Size)
	domain := pick.From[strings.LastIndexByte(pick.From, '@')+1:]
	for _, c := range []struct {
		leaf sweep.Criteria
		want func(google.Message) bool
		more bool // may find more than it means
	}{
		{sweep.Criteria{Op: sweep.ByCategory, Text: "promotions"}, func(m google.Message) bool { return has(m, "CATEGORY_PROMOTIONS") }, false},
		{sweep.Criteria{Op: sweep.ByFrom, Text: pick.From}, func(m google.Message) bool { return m.From == pick.From }, true},
		{sweep.Criteria{Op: sweep.ByFrom, Text: "@" + domain}, func(m google.Message) bool { return strings.HasSuffix(m.From, "@"+domain) }, true},
		{sweep.Criteria{Op: sweep.BySubject, Text: pick.Subject}, func(m google.Message) bool { return m.Subject == pick.Subject }, true},
		{sweep.Criteria{Op: sweep.ByUnread, Flag: true}, func(m google.Message) bool { return has(m, "UNREAD") }, false},
		{sweep.Criteria{Op: sweep.ByUnread}, func(m google.Message) bool { return !has(m, "UNREAD") }, false},
		{sweep.Criteria{Op: sweep.HasAttachment, Flag: true}, func(m google.Message) bool { return m.Attachment }, false},
		{sweep.Criteria{Op: sweep.HasAttachment}, func(m google.Message) bool { return !m.Attachment }, false},
		{sweep.Criteria{Op: sweep.In, Text: "inbox"}, func(m google.Message) bool { return has(m, "INBOX") }, false},
		{sweep.Criteria{Op: sweep.In, Text: "archive"}, func(m google.Message) bool { return !has(m, "INBOX") && !has(m, "SENT") && !has(m, "DRAFT") }, false},
		{sweep.Criteria{Op: sweep.In, Text: "anywhere"}, func(google.Message) bool { return true }, false},
		{sweep.Criteria{Op: sweep.LargerThan, Number: size - 2}, func(m google.Message) bool { return int64(m.Size) > size-1 }, true},
		{sweep.Criteria{Op: sweep.SmallerThan, Number: size + 2}, func(m google.Message) bool { return int64(m.Size) < size+1 }, true},
		{sweep.Criteria{Op: sweep.After, Time: cut}, func(m google.Message) bool { return m.Date.After(cut) }, true},
		{sweep.Criteria{Op: sweep.Before, Time: cut.Add(time.Second)}, func(m google.Message) bool { return m.Date.Before(cut) }, true},
		{sweep.Criteria{Op: sweep.ByQuery, Text: "is:unread OR has:attachment"}, func(m google.Message) bool { return has(m, "UNREAD") || m.Attachment }, false},
	} {
		s, ok := gmail.SearchOf(c.leaf)
		if !ok {
			t.Errorf("%v cannot be asked", c.leaf)
			continue
		}
		found, want := w.list(t, s), 0
		for id, m := range all {
			if !c.want(m) {
				if found[id] && !c.more {
					t.Errorf("%+v found %s, which it does not mean", s, m.ID)
				}
				continue
			}
			want++
			if !found[id] {
				t.Errorf("%+v missed %s (%d bytes, %v)", s, m.ID, m.Size, m.Date)
			}
		}
		if want == 0 || len(found) < want {
			t.Errorf("%+v found %d of %d", s, len(found), want)
		}
	}
	if got := len(w.list(t, gmail.During(time.Time{}, cut))) + len(w.list(t, gmail.During(cut, time.Time{}))); got < len(all) || got > len(all)+10 {
		t.Errorf("two neighbouring ranges hold %d of %d", got, len(all))
	}
}

func TestBoundsNeverFindMoreThanTheyMean(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 600)
	all := w.messages(t)
	pick := middle(t, all, func(google.Message) bool { return true })
	for _, d := range []int64{-1, 0, 1} {
		at, size := pick.Date.Truncate(time.Second).Add(time.Duration(d)*time.Second), int64(pick.Size)+d
		for _, c := range []struct {
			leaf sweep.Criteria
			want func(google.Message) bool
		}{
			{sweep.Criteria{Op: sweep.LargerThan, Number: size}, func(m google.Message) bool { return int64(m.Size) > size }},
			{sweep.Criteria{Op: sweep.SmallerThan, Number: size}, func(m google.Message) bool { return int64(m.Size) < size }},
			{sweep.Criteria{Op: sweep.After, Time: at}, func(m google.Message) bool { return !m.Date.Before(at) }},
			{sweep.Criteria{Op: sweep.Before, Time: at}, func(m google.Message) bool { return m.Date.Before(at) }},
		} {
			s, _ := gmail.SearchOf(c.leaf)
			found := w.list(t, s)
			for id := range found {
				if !c.want(all[id]) {
					t.Fatalf("%+v found %d bytes, %v", s, all[id].Size, all[id].Date)
				}
			}
			if len(found) == 0 {
				t.Errorf("%+v found none of 600", s)
			}
		}
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

func TestHistoryTellsWhatModifyDid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1_300)
	ctx := t.Context()
	label, err := w.open.CreateLabel(ctx, "Swept")
	if err != nil || label.System {
		t.Fatalf("%+v, %v", label, err)
	}
	if again, err := w.open.CreateLabel(ctx, "Swept"); err != nil || again != label {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	p, err := w.open.Profile(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ids := slices.Sorted(maps.Keys(w.messages(t)))[:1_100]
	if err := w.open.Modify(ctx, ids, []string{label.ID}, nil); err == nil {
		t.Error("1,100 ids went out in one call")
	}
	for some := range slices.Chunk(ids, 1_000) {
		for range 2 { // a repeated call changes nothing more
			if err := w.open.Modify(ctx, some, []string{label.ID}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	told, pages := map[sweep.MessageID]int{}, 0
	end, err := w.open.History(ctx, p.HistoryID, func(changes []mailindex.Change) error {
		pages++
		for _, c := range changes {
			told[c.ID]++
			if c.Kind != mailindex.Labelled || !slices.Equal(c.Added, []string{label.ID}) || c.Thread == 0 || !slices.Contains(c.Labels, label.ID) {
				t.Errorf("%+v", c)
			}
		}
		return nil
	})
	if err != nil || end <= p.HistoryID || pages < 3 || len(told) != len(ids) {
		t.Errorf("%d messages on %d pages, end %d after %d, %v", len(told), pages, end, p.HistoryID, err)
	}
	if found := w.list(t, gmail.Search{LabelIDs: []string{label.ID}}); len(found) != len(ids) {
		t.Errorf("%d carry the label", len(found))
	}
	checkOtherChanges(t, w, end, ids[:2])
	for range 2 {
		if err := w.open.DeleteLabel(ctx, label.ID); err != nil {
			t.Error(err)
		}
	}
	if err := w.open.Modify(ctx, ids[5:6], []string{label.ID}, nil); !errors.Is(err, gmail.ErrLabelGone) {
		t.Errorf("a label that is gone: %v", err)
	}
	if err := w.sim.ExpireHistory(address); err != nil {
		t.Fatal(err)
	}
	if _, err := w.open.History(ctx, p.HistoryID, func([]mailindex.Change) error { return nil }); !errors.Is(err, gmail.ErrHistoryGone) {
		t.Errorf("an old start: %v", err)
	}
}

// checkOtherChanges lets somebody else change the mailbox.
func checkOtherChanges(t *testing.T, w *world, start uint64, ids []sweep.MessageID) {
	t.Helper()
	arrived, err := w.sim.Deliver(address, google.Incoming{From: "new@example.org", Subject: "new", Labels: []string{"INBOX", "UNREAD"}})
	e1 := errors.Join(w.sim.Relabel(address, []string{ids[0].String()}, []string{"STARRED"}, nil), w.sim.Relabel(address, []string{ids[0].String()}, nil, []string{"STARRED"}))
	e2 := w.sim.Delete(address, []string{ids[1].String()})
	if err := errors.Join(err, e1, e2); err != nil {
		t.Fatal(err)
	}
	kinds := map[mailindex.ChangeKind][]string{}
	if _, err := w.open.History(t.Context(), start, func(changes []mailindex.Change) error {
		for _, c := range changes {
			kinds[c.Kind] = append(kinds[c.Kind], c.ID.String())
			if slices.Contains(c.Added, "STARRED") {
				kinds["starred"] = append(kinds["starred"], c.ID.String())
			}
			if slices.Contains(c.Removed, "STARRED") {
				kinds["starred"] = append(kinds["starred"], "no more")
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(kinds[mailindex.Added], kinds[mailindex.Deleted], kinds["starred"]); got !=
		fmt.Sprint([]string{parse(t, arrived[0]).String()}, []string{ids[1].String()}, []string{ids[0].String(), "no more"}) {
		t.Errorf("told %v", kinds)
	}
}

func TestCallsSurviveGooglesFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]google.Fault{
		"503": {Status: 503, Times: 2}, "HTML 503": {HTML503: true, Times: 2}, "500": {Status: 500, Times: 2}, "token refused": {Status: 401, Times: 1},
		"429, told near": {Status: 429, TextRetryAfter: 5 * time.Second, Times: 1}, "reset before": {ResetBefore: true, Times: 2},
		"reset after": {ResetAfterEffect: true, Times: 2}, "truncated": {TruncateJSON: true, Times: 2}, "token endpoint": {Method: "token", Status: 503, Times: 2},
	} {
		w := newWorld(t, 1_100)
		w.sim.Inject(fault)
		if all, want := w.list(t, gmail.Search{}), w.messages(t); len(all) != len(want) {
			t.Errorf("%s: %d listed of %d", name, len(all), len(want))
		}
		w.sim.ClearFaults()
		w.sim.Inject(fault)
		ids := slices.Sorted(maps.Keys(w.messages(t)))[:100]
		if err := w.open.Modify(t.Context(), ids, []string{"STARRED"}, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if found := w.list(t, gmail.Search{LabelIDs: []string{"STARRED"}}); len(found) < 100 {
			t.Errorf("%s: %d starred", name, len(found))
		}
	}
}

func TestGooglesLongPausesAndRefusalsReachTheCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20)
	w.sim.Inject(google.Fault{Status: 429, TextRetryAfter: 15 * time.Minute, Times: 1})
	_, err := w.open.Profile(t.Context())
	var wait *gmail.Wait
	if !errors.As(err, &wait) || time.Until(wait.Until) < 10*time.Second {
		t.Errorf("a told time of 15 minutes (15 s here): %v", err)
	}
	if err := w.sim.Revoke(address); err != nil {
		t.Fatal(err)
	}
	if _, err := w.open.Profile(t.Context()); sweep.CodeOf(err) != sweep.MailboxNeedsReconnect {
		t.Errorf("consent withdrawn: %v", err)
	}
	tokens, err := w.sim.Grant(address, "openid", "email", "https://www.googleapis.com/auth/gmail.readonly")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Open(tokens.Refresh, "x").Modify(t.Context(), []sweep.MessageID{1}, []string{"STARRED"}, nil); sweep.CodeOf(err) != sweep.MailboxNeedsReconnect {
		t.Errorf("too small a consent: %v", err)
	}
}

func TestTheRealQuotaIsOutlastedWithoutAPacer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 400)
	ids := slices.Sorted(maps.Keys(w.messages(t)))
	var done sync.WaitGroup
	failed := make(chan error, 4)
	for part := range slices.Chunk(ids, (len(ids)+3)/4) {
		done.Go(func() {
			for _, id := range part { // 400 reads of 20 units: more than the 6,000 of a minute
				if _, err := w.open.Read(t.Context(), id, false); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	done.Wait()
	close(failed)
	for err := range failed {
		var wait *gmail.Wait
		if !errors.As(err, &wait) {
			t.Error(err)
		}
	}
	if w.client.Pacer.(*free).closed == 0 {
		t.Error("Google refused nothing: the quota was not reached")
	}
}
