package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/sweep"
)

type historyInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
	Cursor string `query:"cursor" maxLength:"500"`
}

type historyOutput struct {
	Body struct {
		Items      []sweep.Run         `json:"items"`
		NextCursor string              `json:"next_cursor,omitempty"`
		Totals     sweep.HistoryTotals `json:"totals" doc:"Of all runs"`
	} `nameHint:"History"`
}

type usageOutput struct{ Body sweep.UsageView }

type keepListInput struct {
	Body struct {
		Entries []string `json:"entries" maxItems:"10000" doc:"Addresses and @domains whose mail is never cleaned"`
	} `nameHint:"KeepList"`
}

type keepListOutput struct {
	Body struct {
		Entries []string `json:"entries"`
	} `nameHint:"KeepListView"`
}

func (s *server) usageRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/gmail/history", name: "history", role: sweep.Viewer, scope: sweep.ScopeRead, tag: "usage", errors: []int{422}, summary: "What was cleaned, newest first, with totals"}, s.history)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/gmail/usage", name: "usage", role: sweep.Viewer, scope: sweep.ScopeRead, tag: "usage", summary: "What this month's quota holds"}, s.usage)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/keep-list", name: "get-keep-list", role: sweep.Viewer, scope: sweep.ScopeRead, tag: "mailboxes", summary: "Senders and domains that are never cleaned"}, s.keepList)
	add(s, api, operation{method: http.MethodPut, path: "/api/v1/keep-list", name: "put-keep-list", role: sweep.Operator, tag: "mailboxes", summary: "Replace the keep list"}, s.putKeepList)
}

func (s *server) history(ctx context.Context, in *historyInput) (*historyOutput, error) {
	runs, next, totals, err := s.Report.History(ctx, actorOf(ctx).Customer, in.Limit, in.Cursor)
	out := &historyOutput{}
	out.Body.Items, out.Body.NextCursor, out.Body.Totals = listed(runs), next, totals
	return out, err
}

func (s *server) usage(ctx context.Context, _ *struct{}) (*usageOutput, error) {
	view, err := s.Report.Usage(ctx, actorOf(ctx).Customer)
	return &usageOutput{Body: view}, err
}

func (s *server) keepList(ctx context.Context, _ *struct{}) (*keepListOutput, error) {
	entries, err := s.Account.KeepList(ctx, actorOf(ctx).Customer)
	out := &keepListOutput{}
	out.Body.Entries = listed(entries)
	return out, err
}

func (s *server) putKeepList(ctx context.Context, in *keepListInput) (*keepListOutput, error) {
	entries, err := s.Account.PutKeepList(ctx, actorOf(ctx), in.Body.Entries)
	out := &keepListOutput{}
	out.Body.Entries = listed(entries)
	return out, err
}
