package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

type signupInput struct {
	Body struct {
		Email      string `json:"email" example:"ada@example.com"`
		Password   string `json:"password" doc:"12 to 128 characters, any Unicode"`
		Name       string `json:"name,omitempty"`
		Invitation string `json:"invitation,omitempty" maxLength:"100" doc:"From the link of an invitation, where accounts are given out by those"`
	} `nameHint:"Signup"`
}

type verifyInput struct {
	Body struct {
		Token    string `json:"token" doc:"From the link in the mail"`
		Password string `json:"password,omitempty" doc:"That of the sign-up, to keep it: whoever signed up may be a stranger, so without it that password is void and you set one by a reset"`
		Cookie   bool   `json:"cookie,omitempty" doc:"Answer with a session's cookie in the place of an access token: for pages"`
	} `nameHint:"VerifyEmail"`
}

type emailInput struct {
	Body struct {
		Email string `json:"email"`
	} `nameHint:"Email"`
}

type loginInput struct {
	Body struct {
		Email    string `json:"email"`
		Password string `json:"password"`
		TOTP     string `json:"totp,omitempty" maxLength:"40" doc:"The code of the second factor, where one is set up"`
		Device   string `json:"device,omitempty" maxLength:"2048" doc:"Of an earlier session on this device"`
		Cookie   bool   `json:"cookie,omitempty" doc:"Answer with a session's cookie in the place of an access token: for pages"`
	} `nameHint:"Login"`
}

// sessionOutput sets the session's cookie where one was asked for.
type sessionOutput struct {
	SetCookie string `header:"Set-Cookie"`
	Body      account.Session
}

type meOutput struct{ Body account.Me }

type mailedOutput struct {
	Body struct {
		Message string `json:"message"`
	} `nameHint:"Mailed"`
}

// mailed is the one answer to whoever asks for a mail, so that it does not tell who is a customer.
func mailed() *mailedOutput {
	out := &mailedOutput{}
	out.Body.Message = "We sent a mail to this address. Follow the link in it."
	return out
}

func (s *server) authRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/signup", name: "signup", tag: "auth", status: 202, open: true,
		summary: "Sign up: the same answer whether or not the address is known, and a mail"}, s.signup)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/verify-email", name: "verify-email", tag: "auth", open: true, errors: []int{401, 403},
		summary: "Prove the address with the token of the mail, and sign in"}, s.verifyEmail)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/resend-verification", name: "resend-verification", tag: "auth", status: 202, open: true,
		summary: "Ask for the verification mail again"}, s.resend)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/login", name: "login", tag: "auth", open: true, errors: []int{401, 403},
		summary: "Sign in: an access token for 24 hours, or a session's cookie"}, s.login)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/logout", name: "logout", role: sweep.Viewer, tag: "auth", owing: true,
		summary: "Sign out: the cookie's session ends; with an access token every token and session of the person"}, s.logout)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/auth/me", name: "me", role: sweep.Viewer, tag: "auth", owing: true, summary: "Who is signed in, with plan and features"}, s.me)
}

func (s *server) signup(ctx context.Context, in *signupInput) (*mailedOutput, error) {
	c := caller(ctx)
	c.Invitation = in.Body.Invitation
	return mailed(), s.Account.SignUp(ctx, in.Body.Email, in.Body.Password, in.Body.Name, c)
}

func (s *server) resend(ctx context.Context, in *emailInput) (*mailedOutput, error) {
	return mailed(), s.Account.ResendVerification(ctx, in.Body.Email, caller(ctx))
}

func (s *server) verifyEmail(ctx context.Context, in *verifyInput) (*sessionOutput, error) {
	return s.signIn(ctx, caller(ctx), in.Body.Cookie, func(c account.Client) (account.Session, error) {
		return s.Account.VerifyEmail(ctx, in.Body.Token, in.Body.Password, c)
	})
}

func (s *server) login(ctx context.Context, in *loginInput) (*sessionOutput, error) {
	return s.signIn(ctx, callerOn(ctx, in.Body.Device), in.Body.Cookie, func(c account.Client) (account.Session, error) {
		return s.Account.Login(ctx, in.Body.Email, in.Body.Password, in.Body.TOTP, c)
	})
}

func (s *server) me(ctx context.Context, _ *struct{}) (*meOutput, error) {
	me, err := s.Account.Me(ctx, actorOf(ctx))
	me.Features = s.usable(me.Features)
	return &meOutput{Body: me}, err
}

// finish sets the cookie and shows the features that can be used already.
func (o *sessionOutput) finish(s *server) {
	o.SetCookie = s.present(&o.Body)
}
