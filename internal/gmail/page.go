package gmail

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/klauspost/compress/gzip"
	api "google.golang.org/api/gmail/v1"
	"google.golang.org/api/googleapi"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// page is one answer of messages.list. Listings and history are most of what we read, and reading them by reflection most of what that costs.
type page struct {
	refs []mailindex.Ref
	next string
}

// room is where an answer is unpacked and read, and the next after it: of a large mailbox there are thousands.
type room struct {
	zipped gzip.Reader
	plain  bytes.Buffer
}

var rooms = sync.Pool{New: func() any { return new(room) }}

// unpacked gives what a body holds; it is good until the room is used again.
func (r *room) unpacked(body io.Reader) ([]byte, error) {
	r.plain.Reset()
	_, err := r.plain.ReadFrom(body)
	return r.plain.Bytes(), err
}

// fetch makes a call as the official client does, and has read make of the answer's body what it is, before that is gone. It asks for gzip
// itself: what net/http asks for by itself it unpacks in new room each time, which took a sixth of an analysis.
func fetch[T any](ctx context.Context, m *Mailbox, path string, q url.Values, read func(body []byte) (T, error)) (none T, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, googleapi.ResolveRelative(m.service.BasePath, "gmail/v1/users/"+me+"/"+path)+"?"+q.Encode(), nil)
	if err != nil {
		return none, fmt.Errorf("make the request for %s: %w", path, err)
	}
	r.Header.Set("User-Agent", googleapi.UserAgent+" "+userAgent)
	r.Header.Set("Accept-Encoding", "gzip")
	answer, err := m.http.Do(r)
	if err != nil {
		return none, err
	}
	defer answer.Body.Close()
	room := rooms.Get().(*room)
	defer rooms.Put(room)
	if answer.Header.Get("Content-Encoding") == "gzip" {
		if err := room.zipped.Reset(answer.Body); err != nil {
			return none, fmt.Errorf("unpack %s: %w", path, err)
		}
		answer = unpacking(answer, &room.zipped)
	}
	if err := googleapi.CheckResponse(answer); err != nil {
		return none, err
	}
	body, err := room.unpacked(answer.Body)
	if err != nil {
		return none, err
	}
	return read(body)
}

// unpacking is the answer with another body, which needs not be closed.
func unpacking(answer *http.Response, body io.Reader) *http.Response {
	plain := *answer
	plain.Body = io.NopCloser(body)
	return &plain
}

func (m *Mailbox) listPage(ctx context.Context, q url.Values) (page, error) {
	return fetch(ctx, m, "messages", q, readPage)
}

// readPage reads what Gmail is known to send; anything else it leaves to encoding/json.
func readPage(body []byte) (page, error) {
	s := scanner{rest: body}
	if p, ok := s.page(); ok {
		return p, nil
	}
	var list api.ListMessagesResponse
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&list); err != nil {
		return page{}, err
	}
	p := page{refs: make([]mailindex.Ref, 0, len(list.Messages)), next: list.NextPageToken}
	for _, found := range list.Messages {
		ref, err := refOf(found)
		if err != nil {
			return page{}, fmt.Errorf("%s: %w", MessagesList, err)
		}
		p.refs = append(p.refs, ref)
	}
	return p, nil
}

// scanner reads JSON of the shape {"messages":[{"id":"…","threadId":"…"},…],"nextPageToken":"…"}, and of history's, in any order and with any
// space. It gives up at the first byte that does not belong there.
type scanner struct {
	rest   []byte
	labels map[string][]string // as they were written: most messages carry the same few sets of labels
}

func (s *scanner) page() (p page, ok bool) {
	p.refs = make([]mailindex.Ref, 0, PageSize)
	var listed, told bool
	ok = s.object(func(key []byte) bool {
		switch {
		case string(key) == "messages" && !listed:
			listed = true
			return s.array(func() bool {
				ref, ok := s.ref()
				p.refs = append(p.refs, ref)
				return ok
			})
		case string(key) == "nextPageToken" && !told:
			told = true
			token, ok := s.text()
			p.next = string(token)
			return ok
		}
		return false
	})
	s.space()
	return p, ok && len(s.rest) == 0
}

// ref reads a message: at once where it is written as Gmail does, else whatever the order and the space.
func (s *scanner) ref() (ref mailindex.Ref, ok bool) {
	if ref, ok = s.usualRef(); ok {
		return ref, true
	}
	var id, thread bool
	ok = s.object(func(key []byte) (ok bool) {
		var n uint64
		switch {
		case string(key) == "id" && !id:
			n, id = s.hex()
			ref.ID, ok = sweep.MessageID(n), id
		case string(key) == "threadId" && !thread:
			n, thread = s.hex()
			ref.Thread, ok = sweep.ThreadID(n), thread
		}
		return ok
	})
	return ref, ok && id && thread
}

// usualRef takes nothing where it gives up.
func (s *scanner) usualRef() (ref mailindex.Ref, ok bool) {
	rest := s.rest
	id, ok1 := s.after(`{"id":`)
	thread, ok2 := s.after(`,"threadId":`)
	if !ok1 || !ok2 || len(s.rest) == 0 || s.rest[0] != '}' {
		s.rest = rest
		return ref, false
	}
	s.rest = s.rest[1:]
	return mailindex.Ref{ID: sweep.MessageID(id), Thread: sweep.ThreadID(thread)}, true
}

// after reads an id after a text.
func (s *scanner) after(text string) (n uint64, ok bool) {
	if len(s.rest) < len(text) || string(s.rest[:len(text)]) != text {
		return 0, false
	}
	s.rest = s.rest[len(text):]
	return s.hex()
}

// object reads {"key":value,…}; value is to read each value.
func (s *scanner) object(value func(key []byte) bool) bool {
	return s.list('{', '}', func() bool {
		key, ok := s.text()
		return ok && s.take(':') && value(key)
	})
}

func (s *scanner) array(item func() bool) bool { return s.list('[', ']', item) }

func (s *scanner) list(open, shut byte, item func() bool) bool {
	if !s.take(open) {
		return false
	}
	if s.take(shut) {
		return true
	}
	for item() {
		if !s.take(',') {
			return s.take(shut)
		}
	}
	return false
}

func (s *scanner) space() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\r' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
}

// take reads b if it comes next.
func (s *scanner) take(b byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != b {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// text reads a string of plain characters.
func (s *scanner) text() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	for i, b := range s.rest {
		switch {
		case b == '"':
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			return text, true
		case b == '\\' || b < ' ' || b > '~':
			return nil, false
		}
	}
	return nil, false
}

// hex reads an id.
func (s *scanner) hex() (n uint64, ok bool) {
	if !s.take('"') {
		return 0, false
	}
	n, digits := leadingHex(s.rest)
	if digits == 0 || digits > 16 || digits == len(s.rest) || s.rest[digits] != '"' {
		return 0, false
	}
	s.rest = s.rest[digits+1:]
	return n, true
}

// leadingHex is the number that b begins with, in lower case.
func leadingHex(b []byte) (n uint64, digits int) {
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return n, i
		}
	}
	return n, len(b)
}
