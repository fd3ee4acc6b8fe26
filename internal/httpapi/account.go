package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

type deleteInput struct {
	Body struct {
		Password string `json:"password"`
		TOTP     string `json:"totp,omitempty" maxLength:"40" doc:"The code of the second factor, where one is set up"`
		Confirm  string `json:"confirm" maxLength:"400" doc:"Your own e-mail address: this cannot be undone"`
	} `nameHint:"DeleteAccount"`
}

type deletedOutput struct{ Body account.Deleted }

func (s *server) accountRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/account/delete", name: "delete-account", role: sweep.Owner, tag: "account", errors: []int{404}, owing: true,
		summary: "Delete the account: shut at once, consents given back at Google within a minute, everything removed at purge_at"}, s.deleteAccount)
}

func (s *server) deleteAccount(ctx context.Context, in *deleteInput) (*deletedOutput, error) {
	d, err := s.Account.Delete(ctx, actorOf(ctx), in.Body.Password, in.Body.TOTP, in.Body.Confirm, caller(ctx))
	return &deletedOutput{Body: d}, err
}
