package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/account"
	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
)

// SessionPath names a session in the path.
type SessionPath struct {
	ID string `path:"id" doc:"ses_…"`
}

type sessionsOutput struct {
	Body struct {
		Items []account.SessionView `json:"items"`
	} `nameHint:"Sessions"`
}

type currentOutput struct {
	Body struct {
		account.SessionView
		CSRFToken string     `json:"csrf_token" doc:"For the header X-CSRF-Token of everything but GET, as long as the session lives"`
		Customer  account.Me `json:"customer"`
	} `nameHint:"CurrentSession"`
}

// partingOutput takes from the browser what it had of a session.
type partingOutput struct {
	SetCookie string `header:"Set-Cookie"`
	Clear     string `header:"Clear-Site-Data"`
}

func (s *server) sessionRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/auth/session", name: "current-session", role: sweep.Viewer, tag: "auth", owing: true, errors: []int{404},
		summary: "The session of the cookie, with the token for what it changes"}, s.currentSession)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/sessions", name: "list-sessions", role: sweep.Viewer, tag: "auth", owing: true,
		summary: "Your own sessions in browsers, the last used first"}, s.listSessions)
	add(s, api, operation{method: http.MethodDelete, path: "/api/v1/sessions/{id}", name: "end-session", role: sweep.Viewer, tag: "auth", owing: true, summary: "End one of your sessions, within 15 minutes of a sign-in"}, s.endSession)
	add(s, api, operation{method: http.MethodDelete, path: "/api/v1/sessions", name: "end-other-sessions", role: sweep.Viewer, tag: "auth", owing: true,
		summary: "End all of your sessions but the cookie's, and with a cookie every access token; within 15 minutes of a sign-in"}, s.endOtherSessions)
}

func (s *server) currentSession(ctx context.Context, _ *struct{}) (*currentOutput, error) {
	view, err := s.Account.Session(ctx, actorOf(ctx), caller(ctx))
	if err != nil {
		return nil, err
	}
	me, err := s.me(ctx, nil)
	if err != nil {
		return nil, err
	}
	out := &currentOutput{}
	out.Body.SessionView, out.Body.CSRFToken, out.Body.Customer = view, secret.CSRFToken(shownOf(ctx).session), me.Body
	return out, nil
}

func (s *server) listSessions(ctx context.Context, _ *struct{}) (*sessionsOutput, error) {
	out := &sessionsOutput{}
	var err error
	out.Body.Items, err = s.Account.Sessions(ctx, actorOf(ctx), caller(ctx))
	return out, err
}

func (s *server) endSession(ctx context.Context, in *SessionPath) (*struct{}, error) {
	id, err := sweep.SessionID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	return &struct{}{}, s.Account.EndSession(ctx, actorOf(ctx), id)
}

func (s *server) endOtherSessions(ctx context.Context, _ *struct{}) (*struct{}, error) {
	return &struct{}{}, s.Account.EndOtherSessions(ctx, actorOf(ctx))
}

func (s *server) logout(ctx context.Context, _ *struct{}) (*partingOutput, error) {
	return &partingOutput{}, s.Account.Logout(ctx, actorOf(ctx))
}

func (o *partingOutput) finish(*server) {
	o.SetCookie, o.Clear = hostCookie("", -1), `"cache", "cookies", "storage"`
}

// signIn begins a session: a cookie where asked for, which only a page of ours may do, or a stranger's page would sign people in as somebody
// else. The session of the cookie before, whoever's it was, ends.
func (s *server) signIn(ctx context.Context, c account.Client, cookie bool, begin func(account.Client) (account.Session, error)) (*sessionOutput, error) {
	if cookie {
		if err := shownOf(ctx).origin; err != nil {
			return nil, err
		}
	}
	c.Cookie = cookie
	session, err := begin(c)
	if err != nil {
		return nil, err
	}
	if cookie {
		if err := s.Account.ReplaceSession(ctx, shownOf(ctx).session, c); err != nil { // what began the new one cannot be given again; the old one ends by itself
			s.Log.WarnContext(ctx, "the session before was not ended", "error", err)
		}
	}
	return &sessionOutput{Body: session}, nil
}

// present makes a session what a body shows: the features that can be used already, and never the cookie, which it gives for the header.
func (s *server) present(out *account.Session) (setCookie string) {
	out.Customer.Features = s.usable(out.Customer.Features)
	if out.Cookie != "" {
		setCookie, out.Cookie = hostCookie(out.Cookie, 0), ""
	}
	return setCookie
}

// hostCookie goes to our host alone, over TLS, out of reach of scripts, and ends with the browser.
func hostCookie(value string, maxAge int) string {
	c := http.Cookie{Name: cookieName, Value: value, MaxAge: maxAge, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	return c.String()
}
