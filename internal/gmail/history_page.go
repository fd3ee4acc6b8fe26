package gmail

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	api "google.golang.org/api/gmail/v1"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// historyPage is one answer of history.list.
type historyPage struct {
	changes []mailindex.Change
	at      uint64 // the mailbox's history id as it was made
	last    uint64 // the last record's; 0: there is none
	next    string
}

func (m *Mailbox) historyPage(ctx context.Context, start uint64, token string) (historyPage, error) {
	return call(ctx, m, HistoryList, func(ctx context.Context) (historyPage, error) {
		q := url.Values{"startHistoryId": {strconv.FormatUint(start, 10)}, "maxResults": {strconv.Itoa(PageSize)}, "fields": {historyFields}, "alt": {"json"}, "prettyPrint": {"false"}}
		if token != "" {
			q.Set("pageToken", token)
		}
		return fetch(ctx, m, "history", q, readHistory)
	})
}

// readHistory reads what Gmail is known to send; anything else it leaves to encoding/json.
func readHistory(body []byte) (historyPage, error) {
	s := scanner{rest: body, labels: map[string][]string{}}
	if p, ok := s.history(); ok {
		return p, nil
	}
	var list api.ListHistoryResponse
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&list); err != nil {
		return historyPage{}, err
	}
	changes, err := changesOf(list.History)
	if err != nil {
		return historyPage{}, fmt.Errorf("%s: %w", HistoryList, err)
	}
	p := historyPage{changes: changes, at: list.HistoryId, next: list.NextPageToken}
	if n := len(list.History); n > 0 {
		p.last = list.History[n-1].Id
	}
	return p, nil
}

func (s *scanner) history() (p historyPage, ok bool) {
	var told, at, next bool
	var r record
	p.changes = make([]mailindex.Change, 0, PageSize)
	ok = s.object(func(key []byte) (ok bool) {
		switch {
		case string(key) == "history" && !told:
			told = true
			return s.array(func() bool {
				ok := s.record(&r)
				p.changes, p.last = r.appendTo(p.changes), r.id
				return ok
			})
		case string(key) == "historyId" && !at:
			p.at, at = s.decimal()
			return at
		case string(key) == "nextPageToken" && !next:
			var token []byte
			token, next = s.text()
			p.next = string(token)
			return next
		}
		return false
	})
	s.space()
	return p, ok && len(s.rest) == 0
}

// record is one of history's: its lists of changes, in the order in which changesOf takes them.
type record struct {
	id    uint64
	told  bool
	lists [4][]mailindex.Change
	seen  [4]bool
}

const (
	messagesAdded = iota
	labelsAdded
	labelsRemoved
	messagesDeleted
)

func listOf(key []byte) (list int, ok bool) {
	switch string(key) {
	case "messagesAdded":
		return messagesAdded, true
	case "labelsAdded":
		return labelsAdded, true
	case "labelsRemoved":
		return labelsRemoved, true
	case "messagesDeleted":
		return messagesDeleted, true
	}
	return 0, false
}

func (s *scanner) record(r *record) bool {
	r.told, r.seen = false, [4]bool{}
	for i := range r.lists {
		r.lists[i] = r.lists[i][:0]
	}
	return s.object(func(key []byte) bool {
		if string(key) == "id" && !r.told {
			r.id, r.told = s.decimal()
			return r.told
		}
		list, ok := listOf(key)
		if !ok || r.seen[list] {
			return false
		}
		r.seen[list] = true
		return s.array(func() bool {
			c, ok := s.change(list)
			r.lists[list] = append(r.lists[list], c)
			return ok
		})
	}) && r.told
}

// appendTo adds the record's changes.
func (r *record) appendTo(changes []mailindex.Change) []mailindex.Change {
	first := len(changes)
	for _, list := range r.lists {
		for _, c := range list {
			c.At = r.id
			changes = appendAct(changes, first, c)
		}
	}
	return changes
}

func (s *scanner) change(list int) (c mailindex.Change, ok bool) {
	kinds := [...]mailindex.ChangeKind{messagesAdded: mailindex.Added, labelsAdded: mailindex.Labelled, labelsRemoved: mailindex.Labelled, messagesDeleted: mailindex.Deleted}
	c.Kind = kinds[list]
	var message, labels bool
	ok = s.object(func(key []byte) bool {
		switch {
		case string(key) == "message" && !message:
			message = true
			return s.message(&c)
		case string(key) == "labelIds" && !labels && list == labelsAdded:
			c.Added, labels = s.labelIDs()
			return labels
		case string(key) == "labelIds" && !labels && list == labelsRemoved:
			c.Removed, labels = s.labelIDs()
			return labels
		}
		return false
	})
	return c, ok && message
}

func (s *scanner) message(c *mailindex.Change) bool {
	var id, thread, labels bool
	return s.object(func(key []byte) bool {
		var n uint64
		switch {
		case string(key) == "id" && !id:
			n, id = s.hex()
			c.ID = sweep.MessageID(n)
			return id
		case string(key) == "threadId" && !thread:
			n, thread = s.hex()
			c.Thread = sweep.ThreadID(n)
			return thread
		case string(key) == "labelIds" && !labels:
			c.Labels, labels = s.labelIDs()
			return labels
		}
		return false
	}) && id && thread
}

// labelIDs reads a list of labels. Whoever gets it must not write into it.
func (s *scanner) labelIDs() (list []string, ok bool) {
	s.space()
	if end := bytes.IndexByte(s.rest, ']'); end >= 0 {
		if list, ok = s.labels[string(s.rest[:end+1])]; ok { // it was read whole: what begins so is the same
			s.rest = s.rest[end+1:]
			return list, true
		}
	}
	begin := s.rest
	list = []string{}
	ok = s.array(func() bool {
		label, ok := s.text()
		list = append(list, string(label))
		return ok
	})
	list = slices.Clip(list)
	if ok {
		s.labels[string(begin[:len(begin)-len(s.rest)])] = list
	}
	return list, ok
}

// decimal reads a number that is written as a text.
func (s *scanner) decimal() (n uint64, ok bool) {
	text, ok := s.text()
	if !ok || len(text) == 0 || len(text) > 1 && text[0] == '0' || text[0] < '0' || text[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text), 10, 64)
	return n, err == nil
}
