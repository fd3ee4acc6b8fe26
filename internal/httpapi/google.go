package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

type googleStartOutput struct{ Body account.GoogleStart }

type googleCompleteInput struct {
	Body struct {
		Ticket     string `json:"ticket" maxLength:"100" doc:"Of the answer to start"`
		State      string `json:"state" maxLength:"500" doc:"That came back from Google"`
		Code       string `json:"code" maxLength:"2000" doc:"That came back from Google"`
		Device     string `json:"device,omitempty" maxLength:"2048" doc:"Of an earlier session on this device"`
		Invitation string `json:"invitation,omitempty" maxLength:"100" doc:"From the link of an invitation, where accounts are given out by those"`
		Cookie     bool   `json:"cookie,omitempty" doc:"Answer with a session's cookie in the place of an access token: for pages"`
	} `nameHint:"GoogleComplete"`
}

type googleLinkInput struct {
	Body struct {
		Ticket   string `json:"ticket" maxLength:"100" doc:"Of the answer to start, after complete has answered link_required"`
		Email    string `json:"email" doc:"That link_required named"`
		Password string `json:"password" doc:"Of the account with this address"`
		TOTP     string `json:"totp,omitempty" maxLength:"40" doc:"The code of the second factor, where one is set up"`
		Device   string `json:"device,omitempty" maxLength:"2048" doc:"Of an earlier session on this device"`
		Cookie   bool   `json:"cookie,omitempty" doc:"Answer with a session's cookie in the place of an access token: for pages"`
	} `nameHint:"GoogleLink"`
}

type waysOutput struct{ Body account.WaysIn }

func (s *server) googleRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/google/start", name: "start-google", tag: "auth", open: true,
		summary: "Begin to sign up or in with Google: open authorize_url in a browser, keep the ticket"}, s.startGoogle)
	add(s, api, operation{method: http.MethodGet, path: "/oauth/google/sign-in", name: "google-sign-in-callback", tag: "auth", status: 302, open: true, errors: []int{422},
		summary: "Where Google sends the browser after a sign-in; it signs nobody in"}, s.googleCallback)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/google/complete", name: "complete-google", tag: "auth", open: true, errors: []int{401, 403},
		summary: "Sign up or in with what Google sent back, where the sign-in began: a session, link_required or totp_required"}, s.completeGoogle)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/google/link", name: "link-google", tag: "auth", open: true, errors: []int{401, 403, 409},
		summary: "Sign in with the password once, so that Google signs in from then on"}, s.linkGoogle)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/auth/ways-in", name: "get-ways-in", role: sweep.Viewer, tag: "auth", owing: true, summary: "Whether Google and a password sign the person in"}, s.waysIn)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/google/unlink", name: "unlink-google", role: sweep.Viewer, tag: "auth", renews: true, errors: []int{404, 409},
		summary: "Let Google sign in no more: a fresh session in place of all others"}, s.unlinkGoogle)
}

func (s *server) startGoogle(ctx context.Context, _ *struct{}) (*googleStartOutput, error) {
	started, err := s.Account.StartGoogle(ctx, caller(ctx))
	return &googleStartOutput{Body: started}, err
}

// googleCallback hands the browser on to the pages; without pages it ends on one that shows the code for whoever began.
func (s *server) googleCallback(_ context.Context, in *callbackInput) (*callbackOutput, error) {
	to := s.Account.GoogleCallback(in.State, in.Code, in.Error)
	if s.DashboardURL != "" {
		return &callbackOutput{Status: http.StatusFound, Location: to}, nil
	}
	if in.Error != "" || in.State == "" {
		in.Code = ""
	}
	var page bytes.Buffer
	if err := codeTemplate.Execute(&page, in.Code); err != nil {
		return nil, fmt.Errorf("render page: %w", err)
	}
	return &callbackOutput{Status: http.StatusOK, ContentType: "text/html; charset=utf-8", Policy: consentPolicy, Body: page.Bytes()}, nil
}

func (s *server) completeGoogle(ctx context.Context, in *googleCompleteInput) (*sessionOutput, error) {
	return s.signIn(ctx, callerOn(ctx, in.Body.Device), in.Body.Cookie, func(c account.Client) (account.Session, error) {
		c.Invitation = in.Body.Invitation
		return s.Account.CompleteGoogle(ctx, in.Body.Ticket, in.Body.State, in.Body.Code, c)
	})
}

func (s *server) linkGoogle(ctx context.Context, in *googleLinkInput) (*sessionOutput, error) {
	b := in.Body
	return s.signIn(ctx, callerOn(ctx, b.Device), b.Cookie, func(c account.Client) (account.Session, error) {
		return s.Account.LinkGoogle(ctx, b.Ticket, b.Email, b.Password, b.TOTP, c)
	})
}

func (s *server) waysIn(ctx context.Context, _ *struct{}) (*waysOutput, error) {
	ways, err := s.Account.WaysIn(ctx, actorOf(ctx))
	return &waysOutput{Body: ways}, err
}

func (s *server) unlinkGoogle(ctx context.Context, in *passwordInput) (*sessionOutput, error) {
	session, err := s.Account.UnlinkGoogle(ctx, actorOf(ctx), in.Body.Password, caller(ctx))
	return &sessionOutput{Body: session}, err
}

var codeTemplate = template.Must(template.New("code").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Mailsweep</title></head>
<body><main>{{if .}}<h1>Google knows you</h1><p>Take this code to where you began to sign in, and give it to nobody else. It is good once. You can close this page then.</p><p><code>{{.}}</code></p>
{{else}}<h1>Nobody was signed in</h1><p>It was declined, or it took too long. Return to where you started and try again. You can close this page.</p>{{end}}</main></body></html>
`))
