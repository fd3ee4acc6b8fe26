package google_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/api/gmail/v1"

	"mailsweep/internal/sim/google"
)

func (r *rig) trash(ids ...string) error {
	return r.svc.Users.Messages.BatchModify("me", &gmail.BatchModifyMessagesRequest{Ids: ids, AddLabelIds: []string{"TRASH"}, RemoveLabelIds: []string{"INBOX"}}).Do()
}

// trashed are those of the messages that are in the trash.
func (r *rig) trashed(t *testing.T, ids []string) (n int) {
	t.Helper()
	all, err := r.sim.Messages(me)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if slices.Contains(ids, m.ID) && slices.Contains(m.Labels, "TRASH") {
			n++
		}
	}
	return n
}

func TestFaultsMatchByTimeQueryPageTokenAndAge(t *testing.T) {
	t.Parallel()
	c := &clock{now: at}
	r := newRig(t, google.Config{Now: c.Now, TimeScale: 10}, 60)
	list := func(q, page string) error {
		_, err := r.svc.Users.Messages.List("me").Q(q).PageToken(page).MaxResults(10).Do()
		return err
	}
	first, err := r.svc.Users.Messages.List("me").MaxResults(10).Do()
	if err != nil {
		t.Fatal(err)
	}
	id := r.sim.Inject(google.Fault{Query: "FROM:shop", Status: 500})
	if id == 0 || list("is:unread", "") != nil || list("is:unread from:shop", "") == nil {
		t.Error("struck by its query")
	}
	r.sim.ClearFaults()
	r.sim.Inject(google.Fault{Paged: true, Status: 400, Message: "Invalid pageToken"})
	if list("", "") != nil || list("", first.NextPageToken) == nil {
		t.Error("struck with a page token only")
	}
	r.sim.ClearFaults()
	r.sim.Inject(google.Fault{After: 20 * time.Second, For: 10 * time.Second, Status: 503})
	for _, want := range []bool{true, false, true} {
		if (list("", "") == nil) != want {
			t.Error("struck in its window, in Gmail's time", c.Now().Sub(at))
		}
		c.Add(2100*time.Millisecond - c.Now().Sub(at)%1000)
	}
	r.sim.ClearFaults()
	r.sim.Inject(google.Fault{Method: "messages.get", Younger: 50 * time.Second, Status: 404})
	ids, err := r.sim.Deliver(me, google.Incoming{From: "a@b.example"})
	if err != nil {
		t.Fatal(err)
	}
	get := func() error { _, err := r.svc.Users.Messages.Get("me", ids[0]).Do(); return err }
	wantError(t, get(), 404, "notFound")
	if c.Add(5 * time.Second); get() != nil {
		t.Error("an id of five seconds is found")
	}
	if _, err := r.svc.Users.Messages.Get("me", first.Messages[0].Id).Do(); err != nil {
		t.Error(err)
	}
}

func TestOneAccessTokenOfAMailboxCanBeRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 5)
	second := r.client(t)
	r.sim.Inject(google.Fault{Token: 2, Status: 401})
	if _, err := r.svc.Users.GetProfile("me").Do(); err != nil {
		t.Error(err)
	}
	_, err := second.Users.GetProfile("me").Do()
	wantError(t, err, 401, "authError")
	if _, err := r.client(t).Users.GetProfile("me").Do(); err != nil {
		t.Error(err)
	}
}

func TestFaultsChangeTheMailboxUnderACall(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 100)
	ids := r.all(t, "in:inbox", false)
	profile, err := r.svc.Users.GetProfile("me").Do()
	if err != nil {
		t.Fatal(err)
	}
	r.sim.Inject(google.Fault{Method: "messages.batchModify", Vanish: 2, Times: 1})
	if err := r.trash(ids[:5]...); err != nil || r.trashed(t, ids) != 3 {
		t.Error("two of five have vanished: ", err, r.trashed(t, ids))
	}
	before := len(r.all(t, "in:inbox", false))
	r.sim.Inject(google.Fault{Method: "messages.list", Arrive: 3, Times: 1})
	if got := len(r.all(t, "in:inbox", false)); got != before+3 {
		t.Errorf("three mails arrive: %d, %d", before, got)
	}
	r.sim.Inject(google.Fault{Method: "messages.batchModify", DeleteLabel: "receipts", Times: 1})
	err = r.svc.Users.Messages.BatchModify("me", &gmail.BatchModifyMessagesRequest{Ids: ids[5:6], AddLabelIds: []string{"Label_1"}}).Do()
	wantError(t, err, 400, "invalidArgument")
	r.sim.Inject(google.Fault{Method: "history.list", ExpireHistory: true, Times: 1})
	_, err = r.svc.Users.History.List("me").StartHistoryId(profile.HistoryId).Do()
	wantError(t, err, 404, "notFound")
	r.sim.Inject(google.Fault{Method: "messages.batchModify", DropScope: google.ScopeModify, Times: 1})
	wantError(t, r.trash(ids[6]), 403, "insufficientPermissions")
	_, err = r.svc.Users.Messages.List("me").Do()
	wantError(t, err, 403, "insufficientPermissions")
}

func TestABatchMayStopInItsMiddle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault google.Fault
		quirk bool
		done  int
	}{{google.Fault{Partial: 3}, false, 3}, {google.Fault{Status: 503}, false, 0}, {google.Fault{Status: 503}, true, 5}, {google.Fault{Status: 429}, true, 0}} {
		r := newRig(t, google.Config{Quirks: google.Quirks{PartialModify: c.quirk}}, 60)
		ids := r.all(t, "in:inbox", false)[:10]
		c.fault.Method, c.fault.Times = "messages.batchModify", 1
		r.sim.Inject(c.fault)
		if err := r.trash(ids...); err == nil || r.trashed(t, ids) != c.done {
			t.Errorf("%+v: %d done, %v", c, r.trashed(t, ids), err)
		}
		if err := r.trash(ids...); err != nil || r.trashed(t, ids) != 10 {
			t.Error("a second try does the rest: ", err)
		}
	}
}

func TestPagesMayRepeatAndTheIndexMayLag(t *testing.T) {
	t.Parallel()
	c := &clock{now: at}
	r := newRig(t, google.Config{Now: c.Now, TimeScale: 10}, 100)
	first, err := r.svc.Users.Messages.List("me").MaxResults(20).Do()
	if err != nil {
		t.Fatal(err)
	}
	r.sim.Inject(google.Fault{Method: "messages.list", Repeat: 4, Times: 1})
	second, err := r.svc.Users.Messages.List("me").MaxResults(20).PageToken(first.NextPageToken).Do()
	if err != nil || second.Messages[0].Id != first.Messages[16].Id || second.Messages[4].Id == first.Messages[19].Id {
		t.Error("the second page begins with the last four of the first", err)
	}
	r.sim.Inject(google.Fault{Method: "messages.list", StaleIndex: time.Minute, Times: 1})
	ids := r.all(t, "in:inbox", false)
	if err := r.trash(ids[:3]...); err != nil {
		t.Fatal(err)
	}
	if _, err := r.sim.Deliver(me, google.Incoming{From: "a@b.example"}); err != nil {
		t.Fatal(err)
	}
	if got := r.all(t, "in:inbox", false); !slices.Equal(got, ids) {
		t.Errorf("a lagging index shows the old inbox: %d of %d", len(got), len(ids))
	}
	if m, err := r.svc.Users.Messages.Get("me", ids[0]).Do(); err != nil || !slices.Contains(m.LabelIds, "TRASH") {
		t.Error("the message itself is up to date", err)
	}
	c.Add(6 * time.Second)
	if got := r.all(t, "in:inbox", false); len(got) != len(ids)-2 {
		t.Errorf("after a minute of Gmail's the index is up to date: %d of %d", len(got), len(ids))
	}
}

func TestAnswersMayComeSlowlyOddlyOrReset(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 30)
	ask := func(f google.Fault) (*http.Response, []byte, error) {
		r.sim.ClearFaults()
		r.sim.Inject(f)
		tokens, _ := r.sim.Grant(me)
		ctx, stop := context.WithTimeout(r.ctx, 10*time.Second)
		defer stop()
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/gmail/v1/users/me/labels", strings.NewReader(`{"name":"x"}`))
		req.Header.Set("Authorization", "Bearer "+tokens.Access)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, nil, err
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		return res, body, err
	}
	began := time.Now()
	_, body, err := ask(google.Fault{SlowBody: 500})
	if took := time.Since(began); err != nil || took < time.Duration(len(body)-50)*time.Second/500 {
		t.Errorf("%d bytes at 500 a second took %v: %v", len(body), took, err)
	}
	res, _, err := ask(google.Fault{ContentType: "text/plain"})
	if err != nil || res.Header.Get("Content-Type") != "text/plain" {
		t.Error(res, err)
	}
	if _, _, err = ask(google.Fault{ResetBefore: true, TCPReset: true}); !errors.Is(err, syscall.ECONNRESET) {
		t.Error("reset, not closed:", err)
	}
	if _, _, err = ask(google.Fault{ResetBefore: true}); err == nil || errors.Is(err, syscall.ECONNRESET) {
		t.Error("closed, not reset:", err)
	}
}

func TestSeveralFaultsSpoilACallUpToTheOneThatAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 5)
	for _, f := range []google.Fault{{ContentType: "text/odd"}, {Arrive: 1}, {Status: 500, Times: 1}, {Arrive: 1}} {
		r.sim.Inject(f)
	}
	_, err := r.svc.Users.Messages.List("me").Do()
	if e := wantError(t, err, 500, "backendError"); e.Header.Get("Content-Type") != "text/odd" {
		t.Error(e.Header)
	}
	if truth, _ := r.sim.Truth(me); truth.Messages != 6 {
		t.Error("a rule behind the one that answers is not asked:", truth.Messages)
	}
	if _, err := r.svc.Users.Messages.List("me").Do(); err != nil {
		t.Error(err)
	}
	if truth, _ := r.sim.Truth(me); truth.Messages != 8 {
		t.Error(truth.Messages)
	}
}

func TestAnotherClientTakesPlacesAndUnits(t *testing.T) {
	t.Parallel()
	c := &clock{now: at}
	tariff := google.TariffNew()
	tariff.PerUserMinute = 600
	r := newRig(t, google.Config{Now: c.Now, TimeScale: 10, Tariff: tariff, Concurrency: 3}, 5)
	if err := r.sim.SetOther(me, google.OtherClient{Slots: 3}); err != nil {
		t.Fatal(err)
	}
	_, err := r.svc.Users.GetProfile("me").Do()
	wantError(t, err, 429, "rateLimitExceeded")
	if err := r.sim.SetOther(me, google.OtherClient{Slots: 2, UnitsPerSecond: 9}); err != nil {
		t.Fatal(err)
	}
	answered := 0
	for i := range 240 { // four minutes of Gmail's
		c.Add(100 * time.Millisecond)
		if _, err := r.svc.Users.Messages.List("me").Do(); err == nil && i >= 120 {
			answered++
		}
	}
	if answered < 20 || answered > 28 {
		t.Errorf("%d calls of 5 units in two minutes that leave 60 units each", answered)
	}
}
