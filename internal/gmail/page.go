package gmail

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

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

// fetch makes a call as the official client does, and leaves the answer unread.
func (m *Mailbox) fetch(ctx context.Context, path string, q url.Values) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, googleapi.ResolveRelative(m.service.BasePath, "gmail/v1/users/"+me+"/"+path)+"?"+q.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("make the request for %s: %w", path, err)
	}
	r.Header.Set("User-Agent", googleapi.UserAgent+" "+userAgent)
	answer, err := m.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if err := googleapi.CheckResponse(answer); err != nil {
		return nil, err
	}
	return io.ReadAll(answer.Body)
}

func (m *Mailbox) listPage(ctx context.Context, q url.Values) (page, error) {
	body, err := m.fetch(ctx, "messages", q)
	if err != nil {
		return page{}, err
	}
	return readPage(body)
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

func (s *scanner) ref() (ref mailindex.Ref, ok bool) {
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
	text, ok := s.text()
	if !ok || len(text) == 0 || len(text) > 16 {
		return 0, false
	}
	for _, b := range text {
		switch {
		case b >= '0' && b <= '9':
			n = n<<4 | uint64(b-'0')
		case b >= 'a' && b <= 'f':
			n = n<<4 | uint64(b-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}
