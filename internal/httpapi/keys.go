package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

// KeyPath names an API key in the path.
type KeyPath struct {
	ID string `path:"id" doc:"key_…"`
}

type keyInput struct{ Body account.KeyRequest }

type rotateInput struct {
	KeyPath
	Body struct {
		Overlap  account.Overlap `json:"overlap" enum:"0,1h,24h,7d" doc:"How long the old key goes on"`
		Password string          `json:"password"`
		Code     string          `json:"code,omitempty" maxLength:"40" doc:"Of the second factor, where one is set up"`
	} `nameHint:"RotateKey"`
}

type newKeyOutput struct{ Body account.NewKey }

type keysOutput struct {
	Body struct {
		Items []account.KeyView `json:"items"`
	} `nameHint:"Keys"`
}

func (s *server) keyRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/api-keys", name: "list-api-keys", role: sweep.Viewer, tag: "keys", summary: "The account's API keys, the newest first"}, s.listKeys)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/api-keys", name: "make-api-key", role: sweep.Operator, feature: sweep.APIKeys, tag: "keys", status: 201, errors: []int{409},
		summary: "Make an API key: it is shown this once"}, s.makeKey)
	add(s, api, operation{method: http.MethodDelete, path: "/api/v1/api-keys/{id}", name: "revoke-api-key", role: sweep.Operator, tag: "keys", summary: "End an API key"}, s.revokeKey)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/api-keys/{id}/rotate", name: "rotate-api-key", role: sweep.Operator, feature: sweep.APIKeys, tag: "keys", status: 201, errors: []int{409},
		summary: "Make a key in the place of another, which ends after an overlap"}, s.rotateKey)
}

func (s *server) listKeys(ctx context.Context, _ *struct{}) (*keysOutput, error) {
	out := &keysOutput{}
	var err error
	out.Body.Items, err = s.Account.Keys(ctx, actorOf(ctx))
	return out, err
}

func (s *server) makeKey(ctx context.Context, in *keyInput) (*newKeyOutput, error) {
	made, err := s.Account.MakeKey(ctx, actorOf(ctx), in.Body, caller(ctx))
	return &newKeyOutput{Body: made}, err
}

func (s *server) revokeKey(ctx context.Context, in *KeyPath) (*struct{}, error) {
	id, err := sweep.KeyID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	return &struct{}{}, s.Account.RevokeKey(ctx, actorOf(ctx), id)
}

func (s *server) rotateKey(ctx context.Context, in *rotateInput) (*newKeyOutput, error) {
	id, err := sweep.KeyID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	made, err := s.Account.RotateKey(ctx, actorOf(ctx), id, in.Body.Overlap, in.Body.Password, in.Body.Code, caller(ctx))
	return &newKeyOutput{Body: made}, err
}
