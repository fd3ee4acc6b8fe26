package google_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/googleapi"

	"mailsweep/internal/sim/google"
)

func TestWhatIsSentIsKeptAndArrives(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 20)
	const you = "you@example.org"
	if _, err := r.sim.AddGenerated(you, google.Generate{Messages: 1, Seed: 2}); err != nil {
		t.Fatal(err)
	}
	raw := base64.URLEncoding.EncodeToString([]byte("From: me@example.org\r\nTo: You <you@example.org>, nobody@elsewhere.example\r\nSubject: oneword\r\n\r\nhello\r\n"))
	made, err := r.svc.Users.Messages.Send("me", &gmail.Message{Raw: raw}).Do()
	if err != nil || !slices.Equal(made.LabelIds, []string{"SENT"}) {
		t.Fatal(made, err)
	}
	if got := r.all(t, "in:sent subject:oneword", false); !slices.Equal(got, []string{made.Id}) {
		t.Error(got)
	}
	theirs, err := r.sim.Messages(you)
	if err != nil || len(theirs) != 2 || theirs[0].Subject != "oneword" || !slices.Contains(theirs[0].Labels, "INBOX") {
		t.Error(theirs, err)
	}
	_, err = r.svc.Users.Messages.Send("me", &gmail.Message{Raw: base64.URLEncoding.EncodeToString([]byte("Subject: to nobody\r\n\r\n"))}).Do()
	wantError(t, err, 400, "invalidArgument")
}

func TestASentDraftIsAMessageUnderAnotherID(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 6000)
	users := r.svc.Users
	profile, err := users.GetProfile("me").Do()
	if err != nil {
		t.Fatal(err)
	}
	drafts, err := users.Drafts.List("me").Do()
	if err != nil || len(drafts.Drafts) < 2 {
		t.Fatal(drafts, err)
	}
	raw := base64.URLEncoding.EncodeToString([]byte("To: you@example.org\r\nSubject: rewritten\r\n\r\nhello\r\n"))
	for i, in := range []*gmail.Draft{{Id: drafts.Drafts[0].Id}, {Id: drafts.Drafts[1].Id, Message: &gmail.Message{Raw: raw}}} {
		old := drafts.Drafts[i].Message.Id
		sent, err := users.Drafts.Send("me", in).Do()
		if err != nil || sent.Id == old || !slices.Equal(sent.LabelIds, []string{"SENT"}) {
			t.Fatal(sent, err)
		}
		_, err = users.Messages.Get("me", old).Do()
		wantError(t, err, 404, "notFound")
		_, err = users.Drafts.Send("me", in).Do()
		wantError(t, err, 404, "notFound")
	}
	told, err := users.History.List("me").StartHistoryId(profile.HistoryId).Do()
	if err != nil || len(told.History) != 4 {
		t.Error(told, err)
	}
}

func TestAMailMayComeInPieces(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 5)
	mail := "From: a@b.example\r\nSubject: pieces\r\n\r\n" + strings.Repeat("many words ", 80_000)
	r.sim.Mark("upload")
	made, err := r.svc.Users.Messages.Insert("me", &gmail.Message{LabelIds: []string{"INBOX"}}).Media(strings.NewReader(mail), googleapi.ContentType("message/rfc822"), googleapi.ChunkSize(256<<10)).Do()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.svc.Users.Messages.Get("me", made.Id).Format("metadata").Do(); err != nil || got.SizeEstimate != int64(len(mail)) || !slices.Equal(got.LabelIds, []string{"INBOX"}) {
		t.Error(got, err)
	}
	since, _, err := r.sim.Since("upload", me)
	if err != nil || since.Calls["messages.insert"] != 5 || since.Units["messages.insert"] != 25 {
		t.Errorf("one that says what comes, and four that bring it, are paid for once: %+v %v", since, err)
	}
	again, err := r.svc.Users.Messages.Insert("me", &gmail.Message{}).Media(strings.NewReader(mail), googleapi.ContentType("message/rfc822"), googleapi.ChunkSize(256<<10)).Do()
	if err != nil || again.Id == made.Id {
		t.Error(again, err)
	}
}
