package google_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"mailsweep/internal/sim/google"
)

const me = "me@example.org"

var at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// rig is a Sim on a server with the official client signed in.
type rig struct {
	sim *google.Sim
	url string
	svc *gmail.Service
	ctx context.Context
}

func newRig(t testing.TB, c google.Config, messages int, scopes ...string) *rig {
	t.Helper()
	if c.Tariff.Units == nil {
		c.Tariff = google.TariffNew()
		c.Tariff.PerUserMinute = 1 << 30
		c.Tariff.PerProjectMinute = 1 << 30
	}
	sim := google.New(c)
	if _, err := sim.AddGenerated(me, google.Generate{Messages: messages, Now: at}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	r := &rig{sim: sim, url: server.URL, ctx: t.Context()}
	r.svc = r.client(t, scopes...)
	return r
}

func (r *rig) client(t testing.TB, scopes ...string) *gmail.Service {
	t.Helper()
	tokens, err := r.sim.Grant(me, scopes...)
	if err != nil {
		t.Fatal(err)
	}
	hc := oauth2.NewClient(r.ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: tokens.Access}))
	svc, err := gmail.NewService(r.ctx, option.WithHTTPClient(hc), option.WithEndpoint(r.url))
	if err != nil {
		t.Fatal(err)
	}
	svc.UserAgent = "test (gzip)"
	return svc
}

// all lists the ids of a search, page by page.
func (r *rig) all(t testing.TB, q string, spamTrash bool) []string {
	t.Helper()
	var ids []string
	call := r.svc.Users.Messages.List("me").Q(q).MaxResults(500).IncludeSpamTrash(spamTrash)
	if err := call.Pages(r.ctx, func(p *gmail.ListMessagesResponse) error {
		for _, m := range p.Messages {
			ids = append(ids, m.Id)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

func wantError(t *testing.T, err error, code int, reason string) *googleapi.Error {
	t.Helper()
	var e *googleapi.Error
	if !errors.As(err, &e) || e.Code != code || reason != "" && (len(e.Errors) == 0 || e.Errors[0].Reason != reason) {
		t.Fatalf("got %v, want %d %s", err, code, reason)
	}
	return e
}

func TestOfficialClientSeesTheWholeMailbox(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 1200)
	truth, err := r.sim.Truth(me)
	if err != nil {
		t.Fatal(err)
	}
	profile, err := r.svc.Users.GetProfile("me").Do()
	if err != nil || profile.MessagesTotal != 1200 || profile.ThreadsTotal != int64(truth.Threads) || profile.HistoryId == 0 {
		t.Fatalf("%+v %v", profile, err)
	}
	ids := r.all(t, "", true)
	if len(ids) != 1200 || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 1200 {
		t.Fatalf("%d ids listed", len(ids))
	}
	labels, err := r.svc.Users.Labels.List(me).Do()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range labels.Labels {
		got, err := r.svc.Users.Labels.Get("me", l.Id).Do()
		if err != nil || got.MessagesTotal != int64(truth.Labels[l.Id]) {
			t.Errorf("%s: %+v %v, want %d", l.Id, got, err, truth.Labels[l.Id])
		}
	}
	messages, _ := r.sim.Messages(me)
	for i, want := range messages[:20] {
		if ids[i] != want.ID {
			t.Fatal("not newest first")
		}
		got, err := r.svc.Users.Messages.Get("me", want.ID).Format("metadata").MetadataHeaders("From", "subject").Do()
		if err != nil || got.InternalDate != want.Date.UnixMilli() || got.SizeEstimate != int64(want.Size) || got.ThreadId != want.Thread ||
			!slices.Equal(got.LabelIds, want.Labels) || len(got.Payload.Headers) > 2 {
			t.Fatalf("%+v %v, want %+v", got, err, want)
		}
	}
}

func TestFieldMaskReducesAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 50)
	page, err := r.svc.Users.Messages.List("me").Fields("messages/id,nextPageToken").MaxResults(10).Do()
	if err != nil || len(page.Messages) != 10 || page.Messages[0].ThreadId != "" || page.NextPageToken == "" || page.ResultSizeEstimate != 0 {
		t.Fatalf("%+v %v", page, err)
	}
	m, err := r.svc.Users.Messages.Get("me", page.Messages[0].Id).Fields("id,payload(headers(name),mimeType)").Do()
	if err != nil || m.Payload.Headers[0].Name == "" || m.Payload.Headers[0].Value != "" || m.SizeEstimate != 0 {
		t.Fatalf("%+v %v", m, err)
	}
	for _, bad := range []googleapi.Field{"nothing", "messages/nothing", "messages(id", "messages)", ","} {
		_, err = r.svc.Users.Messages.List("me").Fields(bad).Do()
		wantError(t, err, 400, "invalidParameter")
	}
	empty, err := r.svc.Users.Messages.List("me").Q("from:nobody-at-all").Do()
	if err != nil || empty.Messages != nil || empty.ResultSizeEstimate != 0 {
		t.Fatalf("%+v %v", empty, err)
	}
}

func TestErrorsAreThoseOfGmail(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 50)
	users := r.svc.Users
	_, err := users.Messages.List("other@example.org").Do()
	wantError(t, err, 403, "forbidden")
	_, err = users.Messages.Get("me", "123").Do()
	wantError(t, err, 404, "notFound")
	_, err = users.Messages.List("me").PageToken("12").Do()
	wantError(t, err, 400, "invalidArgument")
	page, err := users.Messages.List("me").MaxResults(5).Do()
	if err != nil {
		t.Fatal(err)
	}
	_, err = users.Messages.List("me").Q("is:unread").PageToken(page.NextPageToken).Do()
	wantError(t, err, 400, "invalidArgument")
	_, err = users.Messages.List("me").LabelIds("NOPE").Do()
	wantError(t, err, 400, "invalidArgument")
	_, err = users.History.List("me").StartHistoryId(3).Do()
	wantError(t, err, 404, "notFound")
	err = users.Messages.BatchDelete("me", &gmail.BatchDeleteMessagesRequest{Ids: []string{"1"}}).Do()
	wantError(t, err, 403, "insufficientPermissions")
	many := make([]string, 1001)
	err = users.Messages.BatchModify("me", &gmail.BatchModifyMessagesRequest{Ids: many, AddLabelIds: []string{"TRASH"}}).Do()
	if e := wantError(t, err, 400, "invalidArgument"); e.Message != "Number of ids cannot exceed 1000" {
		t.Error(e.Message)
	}
	for _, label := range []string{"Label_99", "SENT"} {
		err = users.Messages.BatchModify("me", &gmail.BatchModifyMessagesRequest{Ids: []string{"1"}, AddLabelIds: []string{label}}).Do()
		if e := wantError(t, err, 400, "invalidArgument"); e.Message != "Invalid label: "+label {
			t.Error(e.Message)
		}
	}
	if err := users.Messages.BatchModify("me", &gmail.BatchModifyMessagesRequest{Ids: []string{"1"}, AddLabelIds: []string{"TRASH"}}).Do(); err != nil {
		t.Error("unknown ids are ignored:", err)
	}
	_, err = users.Labels.Create("me", &gmail.Label{Name: "receipts"}).Do()
	wantError(t, err, 409, "")
	if err := r.sim.Revoke(me); err != nil {
		t.Fatal(err)
	}
	_, err = users.GetProfile("me").Do()
	wantError(t, err, 401, "authError")
}

func TestScopesAreEnforced(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 20, google.ScopeReadonly)
	err := r.svc.Users.Messages.BatchModify("me", &gmail.BatchModifyMessagesRequest{Ids: []string{"1"}, AddLabelIds: []string{"TRASH"}}).Do()
	wantError(t, err, 403, "insufficientPermissions")
	metadata := r.client(t, google.ScopeMetadata)
	_, err = metadata.Users.Messages.List("me").Q("from:a").Do()
	wantError(t, err, 403, "forbidden")
	if _, err := metadata.Users.Messages.List("me").Do(); err != nil {
		t.Error(err)
	}
	ids := r.all(t, "", false)
	if err := r.client(t, google.ScopeMail).Users.Messages.BatchDelete("me", &gmail.BatchDeleteMessagesRequest{Ids: ids[:5]}).Do(); err != nil {
		t.Error(err)
	}
	if truth, _ := r.sim.Truth(me); truth.Messages != 15 {
		t.Error("five are deleted for good:", truth.Messages)
	}
}

func TestLabelsAndThreadsCanBeChanged(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 300)
	users := r.svc.Users
	l, err := users.Labels.Create("me", &gmail.Label{Name: "Swept"}).Do()
	if err != nil || l.Type != "user" {
		t.Fatal(l, err)
	}
	if l, err = users.Labels.Patch("me", l.Id, &gmail.Label{Name: "Swept/2"}).Do(); err != nil || l.Name != "Swept/2" {
		t.Fatal(l, err)
	}
	threads, err := users.Threads.List("me").MaxResults(500).IncludeSpamTrash(true).Do()
	truth, _ := r.sim.Truth(me)
	if err != nil || len(threads.Threads) != truth.Threads {
		t.Fatal(len(threads.Threads), truth.Threads, err)
	}
	for _, ref := range threads.Threads {
		if _, err := users.Threads.Modify("me", ref.Id, &gmail.ModifyThreadRequest{AddLabelIds: []string{l.Id}}).Do(); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.all(t, "label:swept-2", true); len(got) != 300 {
		t.Error(len(got))
	}
	one, err := users.Threads.Get("me", threads.Threads[0].Id).Format("minimal").Do()
	if err != nil || len(one.Messages) == 0 || !slices.Contains(one.Messages[0].LabelIds, l.Id) {
		t.Fatal(one, err)
	}
	if _, err := users.Messages.Trash("me", one.Messages[0].Id).Do(); err != nil {
		t.Fatal(err)
	}
	if m, err := users.Messages.Untrash("me", one.Messages[0].Id).Do(); err != nil || slices.Contains(m.LabelIds, "TRASH") || slices.Contains(m.LabelIds, "INBOX") {
		t.Fatal(m, err)
	}
	if err := users.Labels.Delete("me", l.Id).Do(); err != nil {
		t.Fatal(err)
	}
	if truth, _ := r.sim.Truth(me); truth.Labels[l.Id] != 0 {
		t.Error("a deleted label leaves its messages")
	}
	ledger, _ := r.sim.Ledger(me)
	if ledger.Units["threads.modify"] != 10*len(threads.Threads) || ledger.Changes[one.Messages[0].Id] != 3 {
		t.Errorf("%+v", ledger)
	}
}
