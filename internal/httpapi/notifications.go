package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

type notificationsInput struct {
	Body struct {
		Off []string `json:"off" maxItems:"100" doc:"The kinds of mail that you do not want; all others come"`
	} `nameHint:"PutNotifications"`
}

type notificationsOutput struct{ Body account.Notices }

func (s *server) notificationRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/auth/notifications", name: "get-notifications", role: sweep.Viewer, tag: "auth", summary: "Which mails come to you"}, s.notifications)
	add(s, api, operation{method: http.MethodPut, path: "/api/v1/auth/notifications", name: "put-notifications", role: sweep.Viewer, tag: "auth",
		summary: "Say which mails you do not want: your own, of this account; some are always sent"}, s.putNotifications)
}

func (s *server) notifications(ctx context.Context, _ *struct{}) (*notificationsOutput, error) {
	n, err := s.Account.Notices(ctx, actorOf(ctx))
	return &notificationsOutput{Body: n}, err
}

func (s *server) putNotifications(ctx context.Context, in *notificationsInput) (*notificationsOutput, error) {
	n, err := s.Account.PutNotices(ctx, actorOf(ctx), in.Body.Off)
	return &notificationsOutput{Body: n}, err
}
