package gmail

import (
	"context"
	"errors"
	"fmt"
	"strings"

	api "google.golang.org/api/gmail/v1"

	"mailsweep/internal/sweep"
)

// Limits of one batchModify (Gmail API reference).
const (
	maxModify = 1_000
	maxLabels = 100
)

// Label is a label of the mailbox; System ones are Gmail's (INBOX, UNREAD, CATEGORY_SOCIAL, …).
type Label struct {
	ID, Name string
	System   bool
}

// LabelCounts are Gmail's own exact counts of a label.
type LabelCounts struct{ Messages, Unread, Threads, ThreadsUnread int }

// Labels lists all labels for 1 unit.
func (m *Mailbox) Labels(ctx context.Context) ([]Label, error) {
	list, err := call(ctx, m, LabelsList, func(ctx context.Context) (*api.ListLabelsResponse, error) {
		return m.service.Users.Labels.List(me).Fields("labels(id,name,type)").Context(ctx).Do()
	})
	if err != nil {
		return nil, err
	}
	labels := make([]Label, 0, len(list.Labels))
	for _, l := range list.Labels {
		labels = append(labels, labelOf(l))
	}
	return labels, nil
}

func labelOf(l *api.Label) Label { return Label{ID: l.Id, Name: l.Name, System: l.Type == "system"} }

// LabelCounts costs 1 unit. ErrLabelGone when there is no such label.
func (m *Mailbox) LabelCounts(ctx context.Context, id string) (LabelCounts, error) {
	l, err := call(ctx, m, LabelsGet, func(ctx context.Context) (*api.Label, error) {
		return m.service.Users.Labels.Get(me, id).Context(ctx).Do()
	})
	if err != nil {
		return LabelCounts{}, err
	}
	return LabelCounts{
		Messages: int(l.MessagesTotal), Unread: int(l.MessagesUnread), Threads: int(l.ThreadsTotal), ThreadsUnread: int(l.ThreadsUnread),
	}, nil
}

// Modify adds and removes labels of up to 1,000 messages for 50 units. Ids that are gone are passed over silently by Gmail; what
// changed is to be read from History. Repeating the call is harmless. ErrLabelGone when a label does not exist. When ctx ends, no
// request is made any more, and one that has left is awaited.
func (m *Mailbox) Modify(ctx context.Context, ids []sweep.MessageID, add, remove []string) error {
	if len(ids) > maxModify || len(add) > maxLabels || len(remove) > maxLabels {
		return fmt.Errorf("%s: %d messages, %d and %d labels are more than one call takes", BatchModify, len(ids), len(add), len(remove))
	}
	if len(ids) == 0 || len(add)+len(remove) == 0 {
		return nil
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.String()
	}
	request := &api.BatchModifyMessagesRequest{Ids: names, AddLabelIds: add, RemoveLabelIds: remove}
	_, err := call(ctx, m, BatchModify, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, m.service.Users.Messages.BatchModify(me, request).Context(ctx).Do()
	})
	return err
}

// CreateLabel makes a label for 5 units, or finds the customer's label of that name. Conflict when the name is one of Gmail's own.
func (m *Mailbox) CreateLabel(ctx context.Context, name string) (Label, error) {
	made, err := call(ctx, m, LabelsCreate, func(ctx context.Context) (*api.Label, error) {
		wish := &api.Label{Name: name, LabelListVisibility: "labelShow", MessageListVisibility: "show"}
		return m.service.Users.Labels.Create(me, wish).Context(ctx).Do()
	})
	if err == nil {
		return labelOf(made), nil
	}
	if !errors.Is(err, errExists) {
		return Label{}, err
	}
	labels, err := m.Labels(ctx)
	if err != nil {
		return Label{}, err
	}
	for _, l := range labels {
		if !l.System && strings.EqualFold(l.Name, name) {
			return l, nil
		}
	}
	return Label{}, sweep.Errorf(sweep.Conflict, "Gmail does not accept this label name")
}

// DeleteLabel removes one of the customer's labels from the mailbox and from all messages, for 5 units. A label that is gone
// already counts as removed. The transport refuses the ids of Gmail's own labels.
func (m *Mailbox) DeleteLabel(ctx context.Context, id string) error {
	_, err := call(ctx, m, LabelsDelete, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, m.service.Users.Labels.Delete(me, id).Context(ctx).Do()
	})
	if errors.Is(err, ErrLabelGone) {
		return nil
	}
	return err
}
