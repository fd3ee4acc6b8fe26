package gmail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	api "google.golang.org/api/gmail/v1"
)

// official reads a page as Google's client does.
func official(body []byte) (p page, err error) {
	var list api.ListMessagesResponse
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&list); err != nil {
		return p, err
	}
	for _, m := range list.Messages {
		ref, err := refOf(m)
		if err != nil {
			return p, err
		}
		p.refs = append(p.refs, ref)
	}
	p.next = list.NextPageToken
	return p, nil
}

// listing is a full page.
func listing(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"messages":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"%x","threadId":"%x"}`, 0x19a0_0000_0000_0000+i*77, 0x19a0_0000_0000_0000+i*70)
	}
	b.WriteString(`],"nextPageToken":"16275800105015770991"}`)
	return b.Bytes()
}

func FuzzAPageIsReadAsTheOfficialClientReadsIt(f *testing.F) {
	for _, seed := range []string{string(listing(2)), `{}`, `{"resultSizeEstimate":0}`, ` { "messages" : [ { "threadId" : "b", "id" : "a" } ] } `, `{"messages":[]}`,
		`{"messages":null}`, `{"messages":[{"id":"a"}]}`, `{"messages":[{"id":"A","threadId":"1"}]}`, `{"messages":[{"id":"a","threadId":"1"}`, `{"nextPageToken":"\u0041"}`,
		`{"messages":[{"id":"a","threadId":"1","id":"b"}]}`, `{"Messages":[{"ID":"a","threadid":"1"}]}`, `{"messages":[{"id":"00000000000000001","threadId":"1"}]}`,
		`{"nextPageToken":"a","nextPageToken":"b"}`, `{"messages":[{"id":"a","threadId":"1"},]}`, `{} x`, `{"messages":[{"id":"g","threadId":"1"}]}`, `{"messages":[{"id":"a","threadId":"1"}],"messages":[]}`, `{"messages":[{"id":"0x1","threadId":"1_0"}]}`, `[]`, `null`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := readPage(body)
		want, wantErr := official(body)
		if (err == nil) != (wantErr == nil) || err == nil && (!slices.Equal(got.refs, want.refs) || got.next != want.next) {
			t.Errorf("%q: %+v, %v; the official client: %+v, %v", body, got, err, want, wantErr)
		}
	})
}

func TestAFullPageIsReadWithoutReflection(t *testing.T) { // alone: it counts allocations
	body := listing(PageSize)
	s := scanner{rest: body}
	if p, ok := s.page(); !ok || len(p.refs) != PageSize || p.next != "16275800105015770991" {
		t.Errorf("%d messages, %v", len(p.refs), ok)
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = readPage(body) }); n > 10 {
		t.Errorf("%.0f allocations", n)
	}
}

func BenchmarkPage(b *testing.B) {
	body := listing(PageSize)
	for name, read := range map[string]func([]byte) (page, error){"ours": readPage, "official": official} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = read(body)
			}
		})
	}
}
