package gmail

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"

	api "google.golang.org/api/gmail/v1"

	"mailsweep/internal/sweep"
)

// The headers that we ever ask for.
const (
	headerFrom            = "From"
	headerSubject         = "Subject"
	headerListID          = "List-ID"
	headerUnsubscribe     = "List-Unsubscribe"
	headerUnsubscribePost = "List-Unsubscribe-Post"
)

// Message is what we read of a message: some headers and Gmail's own facts, never its body.
type Message struct {
	ID                  sweep.MessageID
	Thread              sweep.ThreadID
	Labels              []string
	Size                int64     // bytes, Gmail's estimate of the whole message
	Date                time.Time // when Gmail received it, or what an import said
	From                string    // as sent: the first From header counts, others are ignored
	Subject             string    // decoded; only when asked for
	ListID              string
	ListUnsubscribe     string
	ListUnsubscribePost string
}

// Read gets the headers of one message, with its subject if asked, for 20 units. ErrGone when there is no such message.
func (m *Mailbox) Read(ctx context.Context, id sweep.MessageID, subject bool) (Message, error) {
	headers := []string{headerFrom, headerListID, headerUnsubscribe, headerUnsubscribePost}
	if subject {
		headers = append(headers, headerSubject)
	}
	found, err := m.get(ctx, id, func(ctx context.Context) (*api.Message, error) {
		return m.service.Users.Messages.Get(me, id.String()).Format("metadata").MetadataHeaders(headers...).
			Fields("id,threadId,labelIds,sizeEstimate,internalDate,payload/headers").Context(ctx).Do()
	})
	if err != nil {
		return Message{}, err
	}
	ref, err := refOf(found)
	if err != nil {
		return Message{}, fmt.Errorf("%s: %w", MessagesGet, err)
	}
	read := Message{ID: ref.ID, Thread: ref.Thread, Labels: found.LabelIds, Size: found.SizeEstimate, Date: time.UnixMilli(found.InternalDate).UTC()}
	if found.Payload != nil {
		read.take(found.Payload.Headers)
	}
	return read, nil
}

// take keeps the first of each header: senders of forged mail add a second From.
func (r *Message) take(headers []*api.MessagePartHeader) {
	places := map[string]*string{
		headerFrom: &r.From, headerSubject: &r.Subject, headerListID: &r.ListID,
		headerUnsubscribe: &r.ListUnsubscribe, headerUnsubscribePost: &r.ListUnsubscribePost,
	}
	for _, header := range headers {
		for name, place := range places {
			if strings.EqualFold(name, header.Name) {
				*place = header.Value
				delete(places, name)
			}
		}
	}
	if plain, err := new(mime.WordDecoder).DecodeHeader(r.Subject); err == nil {
		r.Subject = plain
	}
}

// Labelled gets the labels that one message has now, for 20 units. ErrGone when there is no such message.
func (m *Mailbox) Labelled(ctx context.Context, id sweep.MessageID) ([]string, error) {
	found, err := m.get(ctx, id, func(ctx context.Context) (*api.Message, error) {
		return m.service.Users.Messages.Get(me, id.String()).Format("minimal").Fields("id,labelIds").Context(ctx).Do()
	})
	if err != nil {
		return nil, err
	}
	return found.LabelIds, nil
}

// get asks once more for a message that is said to be gone but less than a minute old: history can name a message seconds before
// it can be read.
func (m *Mailbox) get(ctx context.Context, id sweep.MessageID, do func(context.Context) (*api.Message, error)) (*api.Message, error) {
	ctx, patience := m.client.patient(ctx)
	found, err := call(ctx, m, MessagesGet, do)
	if !errors.Is(err, ErrGone) || time.Since(id.Time()).Abs() > time.Minute {
		return found, err
	}
	if err := patience.sleep(ctx, m.client.scaled(3*time.Second)); err != nil {
		return nil, err
	}
	return call(ctx, m, MessagesGet, do)
}
