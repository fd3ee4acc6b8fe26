package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/sweep"
)

type auditInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
	Cursor string `query:"cursor" maxLength:"500"`
}

type auditOutput struct {
	Body struct {
		Items      []sweep.AuditView `json:"items"`
		NextCursor string            `json:"next_cursor,omitempty"`
	} `nameHint:"AuditLog"`
}

func (s *server) auditRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/audit", name: "list-audit", role: sweep.Owner, tag: "account", errors: []int{422}, summary: "The account's audit log, newest first: who did what, when"}, s.audit)
}

func (s *server) audit(ctx context.Context, in *auditInput) (*auditOutput, error) {
	entries, next, err := s.Report.Audit(ctx, actorOf(ctx), in.Limit, in.Cursor)
	out := &auditOutput{}
	out.Body.Items, out.Body.NextCursor = listed(entries), next
	return out, err
}
