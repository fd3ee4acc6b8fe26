package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

type resetInput struct {
	Body struct {
		Token    string `json:"token" doc:"From the link in the mail"`
		Password string `json:"password" doc:"12 to 128 characters, any Unicode"`
	} `nameHint:"ResetPassword"`
}

type changeInput struct {
	Body struct {
		Current  string `json:"current_password"`
		Password string `json:"password" doc:"12 to 128 characters, any Unicode"`
	} `nameHint:"ChangePassword"`
}

// resetOutput forbids the page that shows it to tell where it came from: its address has the token.
type resetOutput struct {
	Policy string `header:"Referrer-Policy"`
	Body   account.Reset
}

func (s *server) passwordRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/password/forgot", name: "forgot-password", tag: "auth", status: 202, open: true,
		summary: "Ask for a mail to set a new password: the same answer whether or not the address is known"}, s.forgot)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/password/reset", name: "reset-password", tag: "auth", open: true,
		summary: "Set a new password with the token of the mail: everything that was signed in ends, nobody is signed in"}, s.reset)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/password/change", name: "change-password", role: sweep.Viewer, tag: "auth", renews: true, errors: []int{409}, owing: true,
		summary: "Change the password: a fresh session in place of all others"}, s.change)
}

func (s *server) forgot(ctx context.Context, in *emailInput) (*mailedOutput, error) {
	return mailed(), s.Account.ForgotPassword(ctx, in.Body.Email, caller(ctx))
}

func (s *server) reset(ctx context.Context, in *resetInput) (*resetOutput, error) {
	done, err := s.Account.ResetPassword(ctx, in.Body.Token, in.Body.Password, caller(ctx))
	return &resetOutput{Policy: "no-referrer", Body: done}, err
}

func (s *server) change(ctx context.Context, in *changeInput) (*sessionOutput, error) {
	session, err := s.Account.ChangePassword(ctx, actorOf(ctx), in.Body.Current, in.Body.Password, caller(ctx))
	return &sessionOutput{Body: session}, err
}
