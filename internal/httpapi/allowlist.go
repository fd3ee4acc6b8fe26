package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

type allowlistInput struct {
	Body struct {
		Networks []string `json:"networks" doc:"Addresses or prefixes such as 192.0.2.0/24; none: from everywhere"`
		Force    bool     `json:"force,omitempty" doc:"Also if your own address is not in it"`
	} `nameHint:"PutAllowlist"`
}

type allowlistOutput struct{ Body account.Allowlist }

func (s *server) allowlistRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/ip-allowlist", name: "get-ip-allowlist", role: sweep.Viewer, tag: "keys", summary: "From where the account may be used"}, s.allowlist)
	add(s, api, operation{method: http.MethodPut, path: "/api/v1/ip-allowlist", name: "put-ip-allowlist", role: sweep.Owner, tag: "keys", errors: []int{409},
		summary: "Say from where the account may be used, by people and by keys (enterprise)"}, s.putAllowlist)
}

func (s *server) allowlist(ctx context.Context, _ *struct{}) (*allowlistOutput, error) {
	list, err := s.Account.Allowlist(ctx, actorOf(ctx))
	return &allowlistOutput{Body: list}, err
}

func (s *server) putAllowlist(ctx context.Context, in *allowlistInput) (*allowlistOutput, error) {
	list, err := s.Account.PutAllowlist(ctx, actorOf(ctx), account.Allowlist{Networks: in.Body.Networks}, in.Body.Force, caller(ctx))
	return &allowlistOutput{Body: list}, err
}
