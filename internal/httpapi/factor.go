package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

type passwordInput struct {
	Body struct {
		Password string `json:"password"`
	} `nameHint:"Password"`
}

type codeInput struct {
	Body struct {
		Code string `json:"code" maxLength:"40" doc:"Six digits of the app"`
	} `nameHint:"Code"`
}

type provenInput struct {
	Body struct {
		Password string `json:"password"`
		Code     string `json:"code" maxLength:"40" doc:"Six digits of the app, or a recovery code"`
	} `nameHint:"PasswordAndCode"`
}

type challengeInput struct {
	Body struct {
		Challenge string `json:"challenge" maxLength:"100" doc:"Of the answer totp_required"`
		Code      string `json:"code" maxLength:"40" doc:"Six digits of the app, or a recovery code"`
		Device    string `json:"device,omitempty" maxLength:"2048" doc:"Of an earlier session on this device"`
		Cookie    bool   `json:"cookie,omitempty" doc:"Answer with a session's cookie in the place of an access token: for pages"`
	} `nameHint:"Challenge"`
}

type offerOutput struct{ Body account.FactorOffer }

type codesOutput struct{ Body account.FactorOn }

// factorOutput sets the cookie of the session that takes the place of a cookie's.
type factorOutput struct {
	SetCookie string `header:"Set-Cookie"`
	Body      account.FactorOn
}

// finish sets the cookie and shows the features that can be used already.
func (o *factorOutput) finish(s *server) {
	if o.Body.Session != nil {
		o.SetCookie = s.present(o.Body.Session)
	}
}

type demandsInput struct{ Body account.Demands }

type demandsOutput struct{ Body account.Demands }

func (s *server) factorRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/2fa/enrol", name: "enrol-second-factor", role: sweep.Viewer, tag: "auth", errors: []int{409}, owing: true,
		summary: "Begin to set up a second factor: a secret for an authenticator app"}, s.enrol)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/2fa/confirm", name: "confirm-second-factor", role: sweep.Viewer, tag: "auth", renews: true, errors: []int{409}, owing: true,
		summary: "Turn it on with the app's first code: recovery codes, and a fresh session in place of all others"}, s.confirmFactor)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/2fa/verify", name: "verify-second-factor", tag: "auth", open: true, errors: []int{401, 403},
		summary: "Finish a sign-in that answered totp_required"}, s.answerChallenge)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/2fa/recovery-codes", name: "renew-recovery-codes", role: sweep.Viewer, tag: "auth", errors: []int{409},
		summary: "Make new recovery codes: the old ones are void"}, s.renewCodes)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/2fa/disable", name: "disable-second-factor", role: sweep.Viewer, tag: "auth", renews: true, errors: []int{409},
		summary: "Turn the second factor off: a fresh session in place of all others"}, s.dropFactor)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/demands", name: "get-demands", role: sweep.Viewer, tag: "auth", summary: "What the account demands of its people"}, s.demands)
	add(s, api, operation{method: http.MethodPut, path: "/api/v1/demands", name: "put-demands", role: sweep.Owner, tag: "auth", errors: []int{409},
		summary: "Demand a second factor of everybody, or no more (enterprise)"}, s.putDemands)
}

func (s *server) enrol(ctx context.Context, in *passwordInput) (*offerOutput, error) {
	offer, err := s.Account.OfferFactor(ctx, actorOf(ctx), in.Body.Password, caller(ctx))
	return &offerOutput{Body: offer}, err
}

func (s *server) confirmFactor(ctx context.Context, in *codeInput) (*factorOutput, error) {
	on, err := s.Account.ConfirmFactor(ctx, actorOf(ctx), in.Body.Code, caller(ctx))
	return &factorOutput{Body: on}, err
}

func (s *server) answerChallenge(ctx context.Context, in *challengeInput) (*sessionOutput, error) {
	return s.signIn(ctx, callerOn(ctx, in.Body.Device), in.Body.Cookie, func(c account.Client) (account.Session, error) {
		return s.Account.AnswerChallenge(ctx, in.Body.Challenge, in.Body.Code, c)
	})
}

func (s *server) renewCodes(ctx context.Context, in *provenInput) (*codesOutput, error) {
	on, err := s.Account.RenewRecoveryCodes(ctx, actorOf(ctx), in.Body.Password, in.Body.Code, caller(ctx))
	return &codesOutput{Body: on}, err
}

func (s *server) dropFactor(ctx context.Context, in *provenInput) (*sessionOutput, error) {
	session, err := s.Account.DropFactor(ctx, actorOf(ctx), in.Body.Password, in.Body.Code, caller(ctx))
	return &sessionOutput{Body: session}, err
}

func (s *server) demands(ctx context.Context, _ *struct{}) (*demandsOutput, error) {
	d, err := s.Account.Demands(ctx, actorOf(ctx))
	return &demandsOutput{Body: d}, err
}

func (s *server) putDemands(ctx context.Context, in *demandsInput) (*demandsOutput, error) {
	return &demandsOutput{Body: in.Body}, s.Account.Demand(ctx, actorOf(ctx), in.Body)
}
