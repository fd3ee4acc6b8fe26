package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/account"
	"mailsweep/internal/cleanup"
	"mailsweep/internal/sweep"
)

// MailboxPath names a mailbox in the path.
type MailboxPath struct {
	ID string `path:"id" doc:"mbx_…"`
}

type connectInput struct {
	Body *struct {
		MailboxID string `json:"mailbox_id,omitempty" doc:"To connect a known mailbox again"`
	} `nameHint:"Connect"`
}

type completeInput struct {
	Body struct {
		State string `json:"state" maxLength:"500" doc:"What the consent ended with: connect in the query of the page that the browser was sent to, or the code on the page that it ended on"`
	} `nameHint:"CompleteConnect"`
}

type startedOutput struct{ Body account.Started }

type mailboxOutput struct{ Body account.MailboxView }

type mailboxesOutput struct {
	Body struct {
		Items []account.MailboxView `json:"items"`
	} `nameHint:"Mailboxes"`
}

type callbackInput struct {
	State string `query:"state" maxLength:"500"`
	Code  string `query:"code" maxLength:"2000"`
	Error string `query:"error" maxLength:"200"`
}

type callbackOutput struct {
	Status      int
	Location    string `header:"Location"`
	ContentType string `header:"Content-Type"`
	Policy      string `header:"Content-Security-Policy"`
	Body        []byte
}

type analysisOutput struct{ Body sweep.Analysis }

type sendersInput struct {
	MailboxPath
	Sort   string `query:"sort" enum:"messages,unread,bytes,last,address" default:"messages"`
	Filter string `query:"filter" maxLength:"200" doc:"Part of an address or a name"`
	Safety string `query:"safety" enum:"safe,careful,keep" doc:"Only senders of this grade"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"500"`
}

type sendersOutput struct {
	Body struct {
		Items      []sweep.Sender `json:"items"`
		NextCursor string         `json:"next_cursor,omitempty"`
	} `nameHint:"Senders"`
}

// groupsInput asks for a page of what senders have in common.
type groupsInput struct {
	MailboxPath
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"500"`
}

type domainsOutput struct{ Body sweep.DomainPage }

type listsOutput struct{ Body sweep.MailingListPage }

func (s *server) mailboxRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/mailboxes", name: "list-mailboxes", role: sweep.Viewer, scope: sweep.ScopeRead, tag: "mailboxes", summary: "The connected mailboxes, oldest first"}, s.mailboxes)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/mailboxes/connect", name: "connect-mailbox", role: sweep.Operator, tag: "mailboxes", errors: []int{402, 404},
		summary: "Begin to connect a Gmail account: open authorize_url in a browser"}, s.connect)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/mailboxes/connect/complete", name: "complete-connect", role: sweep.Operator, tag: "mailboxes", errors: []int{402, 404, 409},
		summary: "Attach the account that was consented to; it takes whoever began, and what the consent ended with"}, s.completeConnect)
	add(s, api, operation{method: http.MethodDelete, path: "/api/v1/mailboxes/{id}", name: "disconnect-mailbox", role: sweep.Operator, tag: "mailboxes", status: 204,
		summary: "Disconnect: disabled now, revoked at Google within a minute"}, s.disconnect)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/mailboxes/{id}/analysis", name: "get-analysis", role: sweep.Viewer, scope: sweep.ScopeRead, tag: "mailboxes", summary: "The latest analysis"}, s.analysis)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/mailboxes/{id}/senders", name: "list-senders", role: sweep.Viewer, scope: sweep.ScopeRead, tag: "mailboxes", errors: []int{422}, summary: "All senders of a mailbox"}, s.senders)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/mailboxes/{id}/domains", name: "list-domains", role: sweep.Viewer, scope: sweep.ScopeRead, tag: "mailboxes", errors: []int{422}, summary: "All domains of a mailbox's senders, those of most messages first"}, s.domains)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/mailboxes/{id}/lists", name: "list-mailing-lists", role: sweep.Viewer, scope: sweep.ScopeRead, tag: "mailboxes", errors: []int{422}, summary: "All mailing lists that a mailbox's mail names, those whose senders have most mail first"}, s.lists)
	add(s, api, operation{method: http.MethodGet, path: "/oauth/google/callback", name: "google-callback", tag: "mailboxes", status: 302, open: true, errors: []int{422},
		summary: "Where Google sends the browser after consent"}, s.callback)
}

func (s *server) mailboxes(ctx context.Context, _ *struct{}) (*mailboxesOutput, error) {
	out := &mailboxesOutput{}
	items, err := s.Account.Mailboxes(ctx, actorOf(ctx).Customer)
	out.Body.Items = listed(items)
	return out, err
}

func (s *server) connect(ctx context.Context, in *connectInput) (*startedOutput, error) {
	var mailbox sweep.ID
	if in.Body != nil && in.Body.MailboxID != "" {
		var err error
		if mailbox, err = sweep.MailboxID.Parse(in.Body.MailboxID); err != nil {
			return nil, err
		}
	}
	started, err := s.Account.StartConnect(ctx, actorOf(ctx), mailbox)
	return &startedOutput{Body: started}, err
}

func (s *server) completeConnect(ctx context.Context, in *completeInput) (*mailboxOutput, error) {
	view, err := s.Account.CompleteConnect(ctx, actorOf(ctx), in.Body.State)
	return &mailboxOutput{Body: view}, err
}

func (s *server) disconnect(ctx context.Context, in *MailboxPath) (*struct{}, error) {
	id, err := sweep.MailboxID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	return &struct{}{}, s.Account.Disconnect(ctx, actorOf(ctx), id)
}

func (s *server) analysis(ctx context.Context, in *MailboxPath) (*analysisOutput, error) {
	id, err := sweep.MailboxID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	a, err := s.Cleanup.Analysis(ctx, actorOf(ctx).Customer, id)
	return &analysisOutput{Body: a}, err
}

func (s *server) senders(ctx context.Context, in *sendersInput) (*sendersOutput, error) {
	id, err := sweep.MailboxID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	q := cleanup.SenderQuery{Sort: in.Sort, Filter: in.Filter, Safety: sweep.Grade(in.Safety), Limit: in.Limit, Cursor: in.Cursor}
	items, next, err := s.Cleanup.Senders(ctx, actorOf(ctx).Customer, id, q)
	out := &sendersOutput{}
	out.Body.Items, out.Body.NextCursor = listed(items), next
	return out, err
}

func (s *server) domains(ctx context.Context, in *groupsInput) (*domainsOutput, error) {
	id, err := sweep.MailboxID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	page, err := s.Cleanup.Domains(ctx, actorOf(ctx).Customer, id, in.Cursor, in.Limit)
	page.Items = listed(page.Items)
	return &domainsOutput{Body: page}, err
}

func (s *server) lists(ctx context.Context, in *groupsInput) (*listsOutput, error) {
	id, err := sweep.MailboxID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	page, err := s.Cleanup.Lists(ctx, actorOf(ctx).Customer, id, in.Cursor, in.Limit)
	page.Items = listed(page.Items)
	return &listsOutput{Body: page}, err
}

// callback takes Google's answer. With a dashboard the browser goes on there; without one it ends on a page that says how to go on.
func (s *server) callback(ctx context.Context, in *callbackInput) (*callbackOutput, error) {
	to, err := s.Account.Callback(ctx, in.State, in.Code, in.Error)
	if err != nil {
		return nil, err
	}
	if s.DashboardURL != "" {
		return &callbackOutput{Status: http.StatusFound, Location: to}, nil
	}
	page, err := consentPage(to)
	return &callbackOutput{Status: http.StatusOK, ContentType: "text/html; charset=utf-8", Policy: consentPolicy, Body: page}, err
}

const consentPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// consentPage tells what became of the consent, from where the browser would have gone.
func consentPage(to string) ([]byte, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, fmt.Errorf("read redirect: %w", err)
	}
	var b bytes.Buffer
	err = consentTemplate.Execute(&b, u.Query().Get("connect"))
	return b.Bytes(), err
}

var consentTemplate = template.Must(template.New("consent").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Mailsweep</title></head>
<body><main>{{if .}}<h1>Google gave its consent</h1><p>Take this code to where you began to connect the mailbox. Whoever has it there reads who writes to you and moves your mail:
if it was somebody else who sent you here, close this page. The code is good once, for 15 minutes.</p><p><code>{{.}}</code></p>
{{else}}<h1>Nothing was connected</h1><p>The consent was declined, or it took too long. Return to where you started and try again. You can close this page.</p>{{end}}</main></body></html>
`))

// listed is items as JSON shows a list: never null.
func listed[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
