package google

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"mailsweep/internal/sim/google/box"
)

// prune is the slow way to apply a mask, to compare with.
func (m mask) prune(v any) any {
	if len(m) == 0 {
		return v
	}
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = m.prune(v[i])
		}
	case map[string]any:
		for k := range v {
			below, ok := m.in(k)
			if !ok {
				delete(v, k)
				continue
			}
			v[k] = below.prune(v[k])
		}
	}
	return v
}

func (id hexID) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", uint64(id)), nil }

func TestMaskedAnswersAreThoseOfTheSlowWay(t *testing.T) {
	t.Parallel()
	total := 7
	answers := []any{
		messageList{Messages: []listedMessage{{ID: 0x19ab, ThreadID: 1}, {ID: 1 << 63, ThreadID: 0x10}}, NextPageToken: "12"}, messageList{},
		&message{ID: "1", LabelIDs: []string{"INBOX", "Größe <&> \"x\"\n"}, Snippet: "a&amp;b", Payload: &part{PartID: new(string), Headers: []header{{"From", "Zoë \\ <z@x>"}}}},
		shownHistory{HistoryID: "9", History: []historyRecord{showRecordForTest()}},
		label{ID: "Label_1", Name: "a/b", MessagesTotal: &total, ThreadsTotal: new(int)}, labelList{},
	}
	for _, v := range answers {
		for _, fields := range []string{"", "*", "messages(id,threadId),nextPageToken", "messages/id", "messages/threadId,resultSizeEstimate", "messages/labelIds", "id,payload/headers", "payload(headers(name),partId),labelIds",
			"history(labelsAdded(message(id,threadId,labelIds),labelIds)),historyId,nextPageToken", "id,messagesTotal,threadsTotal,name", "*/id"} {
			m, err := readMask(fields, reflect.TypeOf(v))
			if err != nil {
				continue
			}
			var tree any
			if err := json.Unmarshal(marshal(v), &tree); err != nil {
				t.Fatal(err)
			}
			for range 2 { // compiled, then kept
				got, err := encode(nil, v, fields)
				if err != nil {
					t.Fatal(err)
				}
				var back any
				if err := json.Unmarshal(got, &back); err != nil {
					t.Fatalf("%s: %v in %s", fields, err, got)
				}
				if want := m.prune(tree); !bytes.Equal(marshal(back), marshal(want)) {
					t.Errorf("%q of %T: %s, want %s", fields, v, marshal(back), marshal(want))
				}
			}
		}
	}
}

// shownHistory is a page of history as its reader sees it.
type shownHistory struct {
	History   []historyRecord `json:"history,omitempty"`
	HistoryID string          `json:"historyId"`
}

func TestAPageOfHistoryIsThatOfTheSlowWay(t *testing.T) {
	t.Parallel()
	b := box.New("one@mail.example", box.Options{})
	if err := b.Fill(box.Generate{Messages: 300}); err != nil {
		t.Fatal(err)
	}
	start, all := b.HistoryID(), b.Messages()
	for i, m := range all[:100] {
		for _, change := range [][2][]string{{{"TRASH"}, {"INBOX"}}, {{"STARRED", "UNREAD"}, nil}, {nil, {"TRASH", "IMPORTANT"}}} {
			if _, err := b.Modify([]string{m.ID}, change[0], change[1], false); err != nil {
				t.Fatal(err)
			}
		}
		if i%10 == 0 {
			b.Delete([]string{m.ID})
			if _, err := b.Deliver(box.Incoming{From: "a@b.example"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, kinds := range []map[string]bool{nil, {"labelAdded": true}, {"labelRemoved": true, "messageDeleted": true}, {"messageAdded": true}} {
		page, ok := b.History(box.HistoryQuery{Start: start, Kinds: kinds, Limit: 500})
		if !ok || len(page.Records) < 10 {
			t.Fatal(len(page.Records), ok)
		}
		slow := shownHistory{HistoryID: "9"}
		for _, r := range page.Records {
			slow.History = append(slow.History, showRecord(r))
		}
		for _, fields := range []string{"", "history/id", "history(messages(id),labelsAdded)", "history(labelsAdded(message(id,threadId,labelIds),labelIds),labelsRemoved/labelIds,messagesDeleted/message/id),historyId", "historyId"} {
			got, err := encode(nil, historyList{History: page.Records, HistoryID: "9"}, fields)
			want, slowErr := encode(nil, slow, fields)
			if err != nil || slowErr != nil || !bytes.Equal(got, want) {
				t.Errorf("%v %q: %v %v", kinds, fields, err, slowErr)
			}
		}
		if _, err := encode(nil, historyList{}, "history/nonsense"); err == nil {
			t.Error("a field that no record has is refused")
		}
	}
}

func showRecordForTest() historyRecord {
	ref := messageRef{ID: 5, ThreadID: 4, LabelIDs: []string{"TRASH"}}
	return historyRecord{ID: "8", Messages: []messageRef{ref}, LabelsAdded: []historyChange{{Message: ref, LabelIDs: []string{"TRASH"}}}}
}

func TestAWindowStaysSmallHoweverManyCallsItCounts(t *testing.T) {
	t.Parallel()
	const limit = 50_000
	q := newQuota(Tariff{PerUserMinute: limit, PerProjectMinute: limit}, time.Second, false)
	rng := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(1_800_000_000, 0)
	type call struct {
		at    time.Time
		units int
	}
	var answered []call
	for range 300_000 {
		now = now.Add(time.Duration(rng.IntN(20)) * time.Microsecond)
		units := 1 + rng.IntN(5)
		if ok, _, _ := q.take("me", units, now, false); ok {
			answered = append(answered, call{now, units})
		}
	}
	if n := len(q.project.log); n > 2*grains+2 {
		t.Errorf("the log has %d entries", n)
	}
	sum, first, most := 0, 0, 0
	for _, c := range answered {
		for sum += c.units; c.at.Sub(answered[first].at) >= time.Second; first++ {
			sum -= answered[first].units
		}
		most = max(most, sum)
	}
	if most > limit || most < limit*9/10 {
		t.Errorf("%d units in one span of %d", most, limit)
	}
}
