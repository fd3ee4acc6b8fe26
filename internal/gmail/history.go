package gmail

import (
	"context"
	"errors"
	"fmt"

	api "google.golang.org/api/gmail/v1"

	"mailsweep/internal/mailindex"
)

// historyFields keeps the records to what an index needs.
const historyFields = "history(messagesAdded(message(id,threadId,labelIds)),messagesDeleted(message(id,threadId))," +
	"labelsAdded(message(id,threadId,labelIds),labelIds),labelsRemoved(message(id,threadId,labelIds),labelIds)),historyId,nextPageToken"

// History hands all changes since start to yield, in order, 500 records a page for 2 units each. end is the mailbox's state as the
// first page told it: changes made while later pages were read are told again by a History from end, never lost.
// ErrHistoryGone when Gmail no longer reaches back to start (it keeps at least a week, sometimes hours): list anew.
func (m *Mailbox) History(ctx context.Context, start uint64, yield func([]mailindex.Change) error) (end uint64, err error) {
	if start == 0 {
		return 0, errors.New("history.list: no place to start from")
	}
	for token := ""; ; {
		page, err := m.historyPage(ctx, start, token)
		if err != nil {
			return 0, err
		}
		if token == "" {
			end = page.HistoryId
		}
		changes, err := changesOf(page.History)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", HistoryList, err)
		}
		if len(changes) > 0 {
			if err := yield(changes); err != nil {
				return 0, err
			}
		}
		if page.NextPageToken == "" {
			return end, nil
		}
		if page.NextPageToken == token {
			return 0, fmt.Errorf("%s: Gmail gave the same page token twice", HistoryList)
		}
		token = page.NextPageToken
	}
}

func (m *Mailbox) historyPage(ctx context.Context, start uint64, token string) (*api.ListHistoryResponse, error) {
	return call(ctx, m, HistoryList, func() (*api.ListHistoryResponse, error) {
		c := m.service.Users.History.List(me).StartHistoryId(start).MaxResults(pageSize).Fields(historyFields).Context(ctx)
		if token != "" {
			c = c.PageToken(token)
		}
		return c.Do()
	})
}

func changesOf(records []*api.History) (changes []mailindex.Change, err error) {
	for _, r := range records {
		for _, added := range r.MessagesAdded {
			changes, err = appendChange(changes, err, added.Message, mailindex.Change{Kind: mailindex.Added})
		}
		for _, l := range r.LabelsAdded {
			changes, err = appendChange(changes, err, l.Message, mailindex.Change{Kind: mailindex.Labelled, Added: l.LabelIds})
		}
		for _, l := range r.LabelsRemoved {
			changes, err = appendChange(changes, err, l.Message, mailindex.Change{Kind: mailindex.Labelled, Removed: l.LabelIds})
		}
		for _, deleted := range r.MessagesDeleted {
			changes, err = appendChange(changes, err, deleted.Message, mailindex.Change{Kind: mailindex.Deleted})
		}
	}
	return changes, err
}

// appendChange keeps the first error.
func appendChange(changes []mailindex.Change, before error, message *api.Message, change mailindex.Change) ([]mailindex.Change, error) {
	if before != nil || message == nil {
		return changes, before
	}
	ref, err := refOf(message)
	if err != nil {
		return changes, err
	}
	change.ID, change.Thread, change.Labels = ref.ID, ref.Thread, message.LabelIds
	return append(changes, change), nil
}
