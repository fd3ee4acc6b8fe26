package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

type emailChangeInput struct {
	Body struct {
		Email string `json:"email" maxLength:"400" doc:"The new address"`
		account.ProvenAgain
	} `nameHint:"EmailChange"`
}

type emailAskedOutput struct{ Body account.EmailAsked }

type mailedTokenInput struct {
	Body struct {
		Token string `json:"token" maxLength:"100" doc:"From the link in the mail"`
	} `nameHint:"MailedToken"`
}

func (s *server) emailRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/email/change", name: "change-email", role: sweep.Viewer, tag: "auth", status: 202, errors: []int{409},
		summary: "Ask for another address: a mail goes there, the same whether or not the address is known, and nothing changes before its link is used"}, s.changeEmail)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/email/confirm", name: "confirm-email", role: sweep.Viewer, tag: "auth", renews: true, errors: []int{409},
		summary: "Change the address with the token of the mail, as who asked: a fresh session in place of all others"}, s.confirmEmail)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/email/undo", name: "undo-email", tag: "auth", status: 202, open: true, errors: []int{409},
		summary: "Take a change of address back with the token that the old address got, within 72 hours: everything that was signed in ends, the password is void, and a mail goes out to set another"}, s.undoEmail)
}

func (s *server) changeEmail(ctx context.Context, in *emailChangeInput) (*emailAskedOutput, error) {
	asked, err := s.Account.AskEmailChange(ctx, actorOf(ctx), in.Body.Email, in.Body.ProvenAgain, caller(ctx))
	return &emailAskedOutput{Body: asked}, err
}

func (s *server) confirmEmail(ctx context.Context, in *mailedTokenInput) (*sessionOutput, error) {
	session, err := s.Account.ConfirmEmail(ctx, actorOf(ctx), in.Body.Token, caller(ctx))
	return &sessionOutput{Body: session}, err
}

func (s *server) undoEmail(ctx context.Context, in *mailedTokenInput) (*mailedOutput, error) {
	return mailed(), s.Account.UndoEmailChange(ctx, in.Body.Token, caller(ctx))
}
