package gmail

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

func TestOnlyTheFirstOfAHeaderCounts(t *testing.T) {
	t.Parallel()
	f := newFake(t, answer{status: 200, body: `{"id":"18c2f00000000001","threadId":"18c2f00000000000","labelIds":["INBOX"],"sizeEstimate":900,"internalDate":"1700000000123",
		"payload":{"headers":[{"name":"from","value":"First <a@example.org>"},{"name":"From","value":"b@example.org"},{"name":"SUBJECT","value":"=?utf-8?q?Gr=C3=BC=C3=9Fe?="},
		{"name":"List-Id","value":"<l.example.org>"},{"name":"List-Unsubscribe","value":"<https://example.org/u>"},{"name":"List-Unsubscribe-Post","value":"List-Unsubscribe=One-Click"}]}}`})
	m, err := f.open(&openPacer{}).Read(t.Context(), 0x18c2f00000000001, true)
	if err != nil || m.From != "First <a@example.org>" || m.Subject != "Grüße" || m.ListID != "<l.example.org>" || m.ListUnsubscribe != "<https://example.org/u>" ||
		m.ListUnsubscribePost != "List-Unsubscribe=One-Click" || m.Size != 900 || !m.Date.Equal(time.UnixMilli(1_700_000_000_123)) || m.Thread != 0x18c2f00000000000 {
		t.Errorf("%+v, %v", m, err)
	}
	q := f.seen[0].URL.Query()
	if agent := f.seen[0].UserAgent(); !strings.Contains(agent, "(gzip)") || f.seen[0].Header.Get("Accept-Encoding") != "gzip" || q.Get("format") != "metadata" || q.Get("fields") == "" {
		t.Errorf("asked as %s with %v", agent, q)
	}
}

func TestAMessageThatIsTooYoungIsAskedForTwice(t *testing.T) {
	t.Parallel()
	gone := refused(404, "notFound", "Requested entity was not found.")
	young := sweep.MessageID(uint64(time.Now().UnixMilli()) << 20)
	f := newFake(t, gone, answer{status: 200, body: `{"id":"1","labelIds":["INBOX"]}`})
	if labels, err := f.open(&openPacer{}).Labelled(t.Context(), young); err != nil || len(labels) != 1 || f.calls() != 2 {
		t.Errorf("young: %v, %v, %d calls", labels, err, f.calls())
	}
	f = newFake(t, gone)
	if _, err := f.open(&openPacer{}).Labelled(t.Context(), 1<<40); !errors.Is(err, ErrGone) || f.calls() != 1 {
		t.Errorf("old: %v, %d calls", err, f.calls())
	}
}

func TestTooLargeAModifyMakesNoCall(t *testing.T) {
	t.Parallel()
	f := newFake(t, answer{status: 204})
	m := f.open(&openPacer{})
	if err := m.Modify(t.Context(), make([]sweep.MessageID, 1_001), []string{"TRASH"}, nil); err == nil {
		t.Error("1,001 ids were accepted")
	}
	if err := m.Modify(t.Context(), make([]sweep.MessageID, 1), make([]string, 101), nil); err == nil {
		t.Error("101 labels were accepted")
	}
	if err := errors.Join(m.Modify(t.Context(), nil, []string{"TRASH"}, nil), m.Modify(t.Context(), make([]sweep.MessageID, 1), nil, nil)); err != nil || f.calls() != 0 {
		t.Errorf("%v, %d calls", err, f.calls())
	}
	if err := m.Modify(t.Context(), []sweep.MessageID{0x18c2f00000000001, 2}, []string{"TRASH"}, []string{"INBOX"}); err != nil ||
		strings.TrimSpace(f.bodies[0]) != `{"addLabelIds":["TRASH"],"ids":["18c2f00000000001","2"],"removeLabelIds":["INBOX"]}` {
		t.Errorf("%v, sent %s", err, f.bodies)
	}
}

func TestAPageTokenThatRepeatsEndsTheListing(t *testing.T) {
	t.Parallel()
	f := newFake(t, answer{status: 200, body: `{"messages":[{"id":"1","threadId":"1"}],"nextPageToken":"7","historyId":"9"}`})
	m := f.open(&openPacer{})
	if err := m.ListAll(t.Context(), Search{}, func([]mailindex.Ref) error { return nil }); err == nil || f.calls() != 2 {
		t.Errorf("%v after %d calls", err, f.calls())
	}
	if _, err := m.History(t.Context(), 1, func([]mailindex.Change) error { return nil }); err == nil {
		t.Error("history went on")
	}
	stop := errors.New("enough")
	if err := m.ListAll(t.Context(), Search{}, func([]mailindex.Ref) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	if _, err := m.History(t.Context(), 0, nil); err == nil {
		t.Error("history without a start")
	}
}

func TestALabelNameOfGmailsOwnIsAConflict(t *testing.T) {
	t.Parallel()
	taken := refused(409, "aborted", "Label name exists or conflicts")
	labels := answer{status: 200, body: `{"labels":[{"id":"INBOX","name":"INBOX","type":"system"},{"id":"Label_3","name":"swept","type":"user"}]}`}
	if _, err := newFake(t, taken, labels).open(&openPacer{}).CreateLabel(t.Context(), "Inbox"); sweep.CodeOf(err) != sweep.Conflict {
		t.Errorf("%v", err)
	}
	if l, err := newFake(t, taken, labels).open(&openPacer{}).CreateLabel(t.Context(), "Swept"); err != nil || l.ID != "Label_3" {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestAFreshAccessTokenIsNotDroppedForAnOldOne(t *testing.T) {
	t.Parallel()
	k := &tokens{current: &oauth2.Token{AccessToken: "a2"}}
	if k.drop("a1"); k.current == nil {
		t.Error("the fresh token was dropped")
	}
	if k.drop("a2"); k.current != nil {
		t.Error("the refused token was kept")
	}
}
