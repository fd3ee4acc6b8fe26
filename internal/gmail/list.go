package gmail

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	api "google.golang.org/api/gmail/v1"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// PageSize is Gmail's largest page of messages and of history.
const PageSize = 500

// me is how Gmail calls the mailbox of the access token.
const me = "me"

// Profile is what Gmail says of the whole mailbox. The counts are Gmail's own and may include spam and trash.
type Profile struct {
	Email     string
	Messages  int
	Threads   int
	HistoryID uint64 // the mailbox's state now: History from here tells what came after
}

// Profile costs 1 unit.
func (m *Mailbox) Profile(ctx context.Context) (Profile, error) {
	p, err := call(ctx, m, GetProfile, func(ctx context.Context) (*api.Profile, error) {
		return m.service.Users.GetProfile(me).Context(ctx).Do()
	})
	if err != nil {
		return Profile{}, err
	}
	return Profile{Email: p.EmailAddress, Messages: int(p.MessagesTotal), Threads: int(p.ThreadsTotal), HistoryID: p.HistoryId}, nil
}

// ListPage gives up to 500 messages that the search finds, newest first, for 5 units. next is empty on the last page. Never change
// what a search finds while paging through it: later pages would skip messages.
func (m *Mailbox) ListPage(ctx context.Context, s Search, pageToken string) (refs []mailindex.Ref, next string, err error) {
	q := url.Values{"alt": {"json"}, "prettyPrint": {"false"}, "fields": {"messages(id,threadId),nextPageToken"}, "maxResults": {strconv.Itoa(PageSize)}}
	if s.Q != "" {
		q.Set("q", s.Q)
	}
	if len(s.LabelIDs) > 0 {
		q["labelIds"] = s.LabelIDs
	}
	if pageToken != "" {
		q.Set("pageToken", pageToken)
	}
	p, err := call(ctx, m, MessagesList, func(ctx context.Context) (page, error) { return m.listPage(ctx, q) })
	return p.refs, p.next, err
}

// ListAll hands each page to yield until the last, or until yield's error, which it returns. A *Wait ends it too: a caller that
// must not begin anew keeps its own place by ListPage.
func (m *Mailbox) ListAll(ctx context.Context, s Search, yield func([]mailindex.Ref) error) error {
	for token := ""; ; {
		refs, next, err := m.ListPage(ctx, s, token)
		if err != nil {
			return err
		}
		if err := yield(refs); err != nil {
			return err
		}
		if next == "" {
			return nil
		}
		if next == token {
			return fmt.Errorf("%s: Gmail gave the same page token twice", MessagesList)
		}
		token = next
	}
}

// refOf reads the ids. One that is none is Gmail's fault, not the caller's: the code of the parse error does not apply.
func refOf(found *api.Message) (mailindex.Ref, error) {
	id, err := sweep.ParseMessageID(found.Id)
	thread, threadErr := sweep.ParseMessageID(found.ThreadId)
	if err != nil || threadErr != nil {
		return mailindex.Ref{}, errors.New("an id of the answer is none")
	}
	return mailindex.Ref{ID: id, Thread: sweep.ThreadID(thread)}, nil
}
