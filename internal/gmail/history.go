package gmail

import (
	"context"
	"errors"
	"fmt"
	"slices"

	api "google.golang.org/api/gmail/v1"

	"mailsweep/internal/mailindex"
)

// historyFields keeps the records to what an index needs.
const historyFields = "history(id,messagesAdded(message(id,threadId,labelIds)),messagesDeleted(message(id,threadId))," +
	"labelsAdded(message(id,threadId,labelIds),labelIds),labelsRemoved(message(id,threadId,labelIds),labelIds)),historyId,nextPageToken"

// Reader follows a mailbox's history, page by page.
type Reader struct {
	mailbox *Mailbox
	at      uint64 // everything up to here was told
	seen    uint64 // … and will be once the round is over
	token   string
}

// Reader tells what comes after a history id.
func (m *Mailbox) Reader(since uint64) *Reader { return &Reader{mailbox: m, at: since, seen: since} }

// At is the history id up to which everything was told: at the end of a round not less than the mailbox's state as the round began.
func (r *Reader) At() uint64 { return r.at }

// Midway says that a round has begun and is not over.
func (r *Reader) Midway() bool { return r.token != "" }

// Next gives the next page of a round, up to 500 records in their order, for 2 units. last says that the round is over: all that had
// happened when it began was told, and perhaps more. The next call begins another. ErrHistoryGone when Gmail no longer reaches back (it
// keeps at least a week, sometimes hours): list anew.
func (r *Reader) Next(ctx context.Context) (changes []mailindex.Change, last bool, err error) {
	if r.at == 0 {
		return nil, false, errors.New("history.list: no place to start from")
	}
	page, err := r.mailbox.historyPage(ctx, r.at, r.token)
	if err != nil {
		return nil, false, err
	}
	if r.token == "" {
		r.seen = max(r.at, page.at)
	}
	r.seen = max(r.seen, page.last) // records come in order: none before it is left
	if page.next != "" && page.next == r.token {
		return nil, false, fmt.Errorf("%s: Gmail gave the same page token twice", HistoryList)
	}
	if r.token = page.next; r.token == "" {
		r.at = r.seen
	}
	return page.changes, r.token == "", nil
}

// History hands all changes since start to yield, as one round of a Reader. end is where the next begins.
func (m *Mailbox) History(ctx context.Context, start uint64, yield func([]mailindex.Change) error) (end uint64, err error) {
	r := m.Reader(start)
	for last := false; !last; {
		var changes []mailindex.Change
		if changes, last, err = r.Next(ctx); err != nil {
			return 0, err
		}
		if len(changes) > 0 {
			if err := yield(changes); err != nil {
				return 0, err
			}
		}
	}
	return r.At(), nil
}

// changesOf takes the records apart.
func changesOf(records []*api.History) (changes []mailindex.Change, err error) {
	for _, r := range records {
		first := len(changes)
		add := func(message *api.Message, c mailindex.Change) {
			if err != nil || message == nil {
				return
			}
			var ref mailindex.Ref
			ref, err = refOf(message)
			c.At, c.ID, c.Thread, c.Labels = r.Id, ref.ID, ref.Thread, message.LabelIds
			changes = appendAct(changes, first, c)
		}
		for _, added := range r.MessagesAdded {
			add(added.Message, mailindex.Change{Kind: mailindex.Added})
		}
		for _, l := range r.LabelsAdded {
			add(l.Message, mailindex.Change{Kind: mailindex.Labelled, Added: l.LabelIds})
		}
		for _, l := range r.LabelsRemoved {
			add(l.Message, mailindex.Change{Kind: mailindex.Labelled, Removed: l.LabelIds})
		}
		for _, deleted := range r.MessagesDeleted {
			add(deleted.Message, mailindex.Change{Kind: mailindex.Deleted})
		}
	}
	return changes, err
}

// appendAct adds a change to those of its record, which begin at first. What a record adds to and removes from the labels of one message is one
// change: it was one act.
func appendAct(changes []mailindex.Change, first int, c mailindex.Change) []mailindex.Change {
	if c.Kind == mailindex.Labelled {
		for i := first; i < len(changes); i++ {
			if act := &changes[i]; act.ID == c.ID && act.Kind == c.Kind {
				act.Added, act.Removed = both(act.Added, c.Added), both(act.Removed, c.Removed)
				return changes
			}
		}
	}
	return append(changes, c)
}

// both is a and b; it is one of them where the other is empty, and not to be written into.
func both(a, b []string) []string {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	return slices.Concat(a, b)
}
