package google_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/googleapi"

	"mailsweep/internal/sim/google"
)

const rawMail = "From: Zoë <zoe@shop.example>\r\nTo: me@example.org\r\nSubject: Grüße\r\nDate: Mon, 06 Jan 2025 10:00:00 +0000\r\nList-Id: <l.shop.example>\r\n\r\nhello unusualword\r\n"

func TestMailCanBeInsertedAndImported(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{Now: func() time.Time { return at }}, 20)
	messages := r.svc.Users.Messages
	raw := base64.URLEncoding.EncodeToString([]byte(rawMail))
	dated := time.Date(2025, 1, 6, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		do     func() (*gmail.Message, error)
		labels []string
		date   time.Time
	}{
		"insert": {func() (*gmail.Message, error) {
			return messages.Insert("me", &gmail.Message{Raw: raw, LabelIds: []string{"STARRED"}}).Do()
		}, []string{"STARRED"}, at},
		"insert by its date": {func() (*gmail.Message, error) {
			return messages.Insert("me", &gmail.Message{Raw: raw}).InternalDateSource("dateHeader").Do()
		}, nil, dated},
		"upload": {func() (*gmail.Message, error) {
			return messages.Insert("me", &gmail.Message{LabelIds: []string{"INBOX"}}).Media(strings.NewReader(rawMail), googleapi.ContentType("message/rfc822")).Do()
		}, []string{"INBOX"}, at},
		"import": {func() (*gmail.Message, error) { return messages.Import("me", &gmail.Message{Raw: raw}).Do() }, []string{"CATEGORY_FORUMS", "INBOX", "UNREAD"}, dated},
	} {
		made, err := c.do()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := messages.Get("me", made.Id).Format("metadata").Do()
		if err != nil || !slices.Equal(got.LabelIds, c.labels) || got.InternalDate != c.date.UnixMilli() || got.SizeEstimate != int64(len(rawMail)) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	if got := r.all(t, "unusualword from:zoe subject:grüße", false); len(got) != 4 {
		t.Error("they are found by their words:", len(got))
	}
	_, err := messages.Insert("me", &gmail.Message{}).Do()
	wantError(t, err, 400, "invalidArgument")
	_, err = messages.Insert("me", &gmail.Message{Raw: raw, LabelIds: []string{"NOPE"}}).Do()
	wantError(t, err, 400, "invalidArgument")
}

func TestDraftsAttachmentsAndThreadsAreServed(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 3000, google.ScopeMail)
	users := r.svc.Users
	drafts, err := users.Drafts.List("me").Do()
	truth, _ := r.sim.Truth(me)
	if err != nil || len(drafts.Drafts) == 0 || len(drafts.Drafts) != truth.Labels["DRAFT"] {
		t.Fatal(drafts, err)
	}
	draft, err := users.Drafts.Get("me", drafts.Drafts[0].Id).Do()
	if err != nil || draft.Message.Id != drafts.Drafts[0].Message.Id {
		t.Error(draft, err)
	}
	id := r.all(t, "has:attachment", false)[0]
	m, err := users.Messages.Get("me", id).Do()
	if err != nil || len(m.Payload.Parts) != 1 || m.Payload.Parts[0].Filename == "" {
		t.Fatal(m, err)
	}
	body := m.Payload.Parts[0].Body
	file, err := users.Messages.Attachments.Get("me", id, body.AttachmentId).Do()
	if err != nil {
		t.Fatal(err)
	}
	if data, err := base64.URLEncoding.DecodeString(file.Data); err != nil || int64(len(data)) != body.Size || file.Size != body.Size {
		t.Error(len(data), body.Size, err)
	}
	_, err = users.Messages.Attachments.Get("me", id, "x").Do()
	wantError(t, err, 400, "invalidArgument")
	if err := users.Threads.Delete("me", m.ThreadId).Do(); err != nil {
		t.Fatal(err)
	}
	_, err = users.Messages.Get("me", id).Do()
	wantError(t, err, 404, "notFound")
}

func TestFiltersAndWatchAreKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{Now: func() time.Time { return at }}, 5, google.ScopeSettings, google.ScopeReadonly)
	filters := r.svc.Users.Settings.Filters
	made, err := filters.Create("me", &gmail.Filter{Criteria: &gmail.FilterCriteria{From: "a@b.example"}, Action: &gmail.FilterAction{RemoveLabelIds: []string{"INBOX"}}}).Do()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := filters.Get("me", made.Id).Do(); err != nil || got.Criteria.From != "a@b.example" {
		t.Error(got, err)
	}
	if all, err := filters.List("me").Do(); err != nil || len(all.Filter) != 1 || all.Filter[0].Action.RemoveLabelIds[0] != "INBOX" {
		t.Error(all, err)
	}
	if err := filters.Delete("me", made.Id).Do(); err != nil {
		t.Error(err)
	}
	_, err = filters.Get("me", made.Id).Do()
	wantError(t, err, 404, "notFound")
	watched, err := r.svc.Users.Watch("me", &gmail.WatchRequest{TopicName: "projects/p/topics/t"}).Do()
	if err != nil || watched.Expiration != at.Add(7*24*time.Hour).UnixMilli() || watched.HistoryId == 0 {
		t.Error(watched, err)
	}
	if err := r.svc.Users.Stop("me").Do(); err != nil {
		t.Error(err)
	}
}

// batch sends GETs in one batch and gives status and Content-ID of each part of the answer.
func (r *rig) batch(t *testing.T, paths ...string) (code int, parts []string) {
	t.Helper()
	res, err := r.sendBatch(paths...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	_, params, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	for in := multipart.NewReader(res.Body, params["boundary"]); res.StatusCode == http.StatusOK; {
		part, err := in.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(part), nil)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, fmt.Sprint(answer.StatusCode, " ", part.Header.Get("Content-ID")))
	}
	return res.StatusCode, parts
}

func (r *rig) sendBatch(paths ...string) (*http.Response, error) {
	var body bytes.Buffer
	out := multipart.NewWriter(&body)
	for i, p := range paths {
		to, _ := out.CreatePart(map[string][]string{"Content-Type": {"application/http"}, "Content-ID": {fmt.Sprintf("<item%d>", i)}})
		_, _ = fmt.Fprintf(to, "GET %s HTTP/1.1\r\n\r\n", p)
	}
	_ = out.Close()
	tokens, _ := r.sim.Grant(me)
	req, _ := http.NewRequestWithContext(r.ctx, http.MethodPost, r.url+"/batch/gmail/v1", &body)
	req.Header.Set("Authorization", "Bearer "+tokens.Access)
	req.Header.Set("Content-Type", "multipart/mixed; boundary="+out.Boundary())
	return http.DefaultClient.Do(req)
}

func TestABatchIsItsPartsSideBySide(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{Concurrency: 4}, 20)
	id := r.all(t, "", false)[0]
	get := "/gmail/v1/users/me/messages/" + id
	code, parts := r.batch(t, get, "/gmail/v1/users/me/messages/123")
	if code != 200 || !slices.Equal(parts, []string{"200 <response-item0>", "404 <response-item1>"}) {
		t.Error(code, parts)
	}
	r.sim.Mark("batch")
	r.sim.Inject(google.Fault{Method: "messages.get", Delay: 500 * time.Millisecond})
	r.sim.Inject(google.Fault{Method: "batch", Reorder: true})
	began := time.Now()
	_, parts = r.batch(t, get, get, get, get, get, get)
	refused := 0
	for _, p := range parts {
		if strings.HasPrefix(p, "429") {
			refused++
		}
	}
	if refused != 2 || time.Since(began) > 1900*time.Millisecond || !strings.HasSuffix(parts[0], "item5>") {
		t.Errorf("each part takes one of four places, side by side, told in another order: %v in %v", parts, time.Since(began))
	}
	if since, _, _ := r.sim.Since("batch", me); since.Units["messages.get"] != 80 || since.Refused != 2 {
		t.Errorf("each part has its price: %+v", since)
	}
	r.sim.Inject(google.Fault{Method: "messages.get", ResetBefore: true, Times: 1})
	if res, err := r.sendBatch(get, get); err == nil {
		t.Error("a connection that breaks under a part is the batch's:", res.Status)
	}
	r.sim.ClearFaults()
	if code, _ := r.batch(t, slices.Repeat([]string{get}, 101)...); code != 400 {
		t.Error("a hundred parts are the most:", code)
	}
}

// The Sim's methods are at Google's addresses and open to the scopes that Google's own description names.
func TestEndpointsAreThoseOfGooglesDescription(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 1)
	var doc struct {
		RootURL   string `json:"rootUrl"`
		Resources map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(r.page(t, "/$discovery/rest?version=v1")), &doc); err != nil || doc.RootURL != r.url+"/" {
		t.Fatal(doc.RootURL, err)
	}
	described := map[string]google.Described{}
	for _, raw := range doc.Resources {
		collect(t, raw, described)
	}
	for _, e := range google.Endpoints() {
		d, ok := described[e.Method]
		if !ok {
			t.Errorf("%s is not described", e.Method)
			continue
		}
		d.Scopes = slices.DeleteFunc(slices.Clone(d.Scopes), func(s string) bool { return strings.Contains(s, "addons") })
		slices.Sort(d.Scopes)
		slices.Sort(e.Scopes)
		if e.Verb != d.Verb || e.Path != d.Path && !strings.HasPrefix(e.Path, "upload/") || !slices.Equal(e.Scopes, d.Scopes) {
			t.Errorf("%+v is described as %+v", e, d)
		}
	}
	if len(described) != len(slices.Compact(slices.Sorted(slices.Values(google.Methods())))) {
		t.Errorf("%d methods are described", len(described))
	}
}

var braces = regexp.MustCompile(`\{\w+\}`)

func collect(t *testing.T, raw json.RawMessage, into map[string]google.Described) {
	var resource struct {
		Methods map[string]struct {
			ID, Path   string
			HTTPMethod string `json:"httpMethod"`
			Scopes     []string
		}
		Resources map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &resource); err != nil {
		t.Fatal(err)
	}
	for _, m := range resource.Methods {
		name := strings.TrimPrefix(m.ID, "gmail.users.")
		into[name] = google.Described{Method: name, Verb: m.HTTPMethod, Path: braces.ReplaceAllString(m.Path, "{}"), Scopes: m.Scopes}
	}
	for _, below := range resource.Resources {
		collect(t, below, into)
	}
}
