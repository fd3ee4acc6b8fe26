package gmail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	api "google.golang.org/api/gmail/v1"
)

// officialHistory reads a page as Google's client does.
func officialHistory(body []byte) (p historyPage, err error) {
	var list api.ListHistoryResponse
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&list); err != nil {
		return p, err
	}
	p.changes, err = changesOf(list.History)
	p.at, p.next = list.HistoryId, list.NextPageToken
	if n := len(list.History); n > 0 {
		p.last = list.History[n-1].Id
	}
	return p, err
}

// trashed is a page of n messages that were moved to the trash.
func trashed(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"history":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		message := fmt.Sprintf(`{"id":"%x","threadId":"%x","labelIds":["TRASH","CATEGORY_PROMOTIONS","UNREAD"]}`, 0x19a0_0000_0000_0000+i*77, 0x19a0_0000_0000_0000+i*70)
		fmt.Fprintf(&b, `{"id":"%d","labelsAdded":[{"message":%s,"labelIds":["TRASH"]}],"labelsRemoved":[{"message":%s,"labelIds":["INBOX"]}]}`, 1000+i, message, message)
	}
	b.WriteString(`],"historyId":"987654","nextPageToken":"abc"}`)
	return b.Bytes()
}

func FuzzHistoryIsReadAsTheOfficialClientReadsIt(f *testing.F) {
	for _, seed := range []string{string(trashed(2)), `{}`, `{"historyId":"7"}`, `{"historyId":7}`, `{"historyId":"007"}`, `{"historyId":"99999999999999999999"}`, `{"historyId":"7","historyId":"8"}`,
		`{"history":[{"id":"1","messagesAdded":[{"message":{"id":"a","threadId":"b","labelIds":["INBOX"]}}],"messagesDeleted":[{"message":{"id":"c","threadId":"b"}}]}],"historyId":"2"}`,
		`{"history":[{"id":"1","messagesDeleted":[{"message":{"id":"a","threadId":"b"}}],"messagesAdded":[{"message":{"id":"a","threadId":"b"}}]}]}`,
		`{"history":[{"messagesAdded":[{"message":{"id":"a","threadId":"b"}}]}]}`, `{"history":[{"id":"1","messagesAdded":[{}]}]}`, `{"history":[{"id":"1","messagesAdded":[{"message":null}]}]}`,
		`{"history":[{"id":"1","messagesAdded":[{"message":{"id":"a","threadId":"b"},"labelIds":["X"]}]}]}`, `{"history":[{"id":"1","messages":[{"id":"a","threadId":"b"}]}]}`,
		`{"history":[{"id":"1","labelsAdded":[{"labelIds":[],"message":{"labelIds":[],"threadId":"b","id":"a"}}],"labelsAdded":[]}]}`,
		`{"history":[{"id":"1","labelsAdded":[{"message":{"id":"a","threadId":"b","labelIds":["a]"]},"labelIds":["a]","b"]}]}]}`,
		`{"history":[{"id":"1","labelsAdded":[{"message":{"id":"a","threadId":"b","labelIds":["x"]},"labelIds":["x" ]}]}]}`,
		`{"history":[{"id":"1","labelsAdded":[{"message":{"id":"zz","threadId":"b"},"labelIds":["x"]}]}]}`, `{"history":null}`, `{"history":[]}`, `[]`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := readHistory(body)
		want, wantErr := officialHistory(body)
		if (err == nil) != (wantErr == nil) || err == nil && !(reflect.DeepEqual(got, want) || len(got.changes)+len(want.changes) == 0 && got.at == want.at && got.last == want.last && got.next == want.next) {
			t.Errorf("%q: %+v, %v; the official client: %+v, %v", body, got, err, want, wantErr)
		}
	})
}

func TestAFullPageOfHistoryIsReadWithoutReflection(t *testing.T) { // alone: it counts allocations
	body := trashed(PageSize)
	s := scanner{rest: body, labels: map[string][]string{}}
	if p, ok := s.history(); !ok || len(p.changes) != PageSize || p.at != 987654 || p.last != 1000+PageSize-1 || p.next != "abc" {
		t.Errorf("%d changes, %v", len(p.changes), ok)
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = readHistory(body) }); n > 9*PageSize {
		t.Errorf("%.0f allocations", n)
	}
}

func BenchmarkHistory(b *testing.B) {
	body := trashed(PageSize)
	for name, read := range map[string]func([]byte) (historyPage, error){"ours": readHistory, "official": officialHistory} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = read(body)
			}
		})
	}
}
