package httpapi

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"net/http"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

// Edge is what the pages share with the API, so that the two cannot differ: who asks, what they may, what is counted, how a session is
// carried. Pages stand behind the same headers, limits and logs.
type Edge struct{ s *server }

// csrfField is where a form carries what a script sends as X-CSRF-Token.
const csrfField = "csrf"

// Client is who sent the request.
func (e Edge) Client(c echo.Context) account.Client { return caller(c.Request().Context()) }

// Visit takes one request from the address's allowance: for pages that ask nobody who they are.
func (e Edge) Visit(c echo.Context) error { return e.s.spendAddress(c) }

// Enter finds who is signed in by the session's cookie, holds what changes something to a form of ours, and takes cost from the customer's
// allowance. Unauthenticated, CrossSite, RateLimited, Forbidden for a lesser role, FactorRequired. What costs nothing, such as signing out, is
// open to who owes the second factor too.
func (e Edge) Enter(c echo.Context, role sweep.Role, cost int) (sweep.Actor, error) {
	ctx := e.s.look(c)
	r := c.Request()
	if token := r.PostFormValue(csrfField); !safe(r.Method) && token != "" {
		r.Header.Set(csrfHeader, token)
	}
	if shownOf(ctx).session == "" {
		if over := e.s.spendAddress(c); over != nil {
			return sweep.Actor{}, over
		}
		return sweep.Actor{}, sweep.Errorf(sweep.Unauthenticated, "sign in first")
	}
	a, err := e.s.whoAsks(ctx, c)
	if err != nil {
		return a, err
	}
	ctx = telemetry.WithAttrs(withActor(withClient(ctx, cookied(caller(ctx), a)), a), slog.String("customer_id", sweep.CustomerID.Show(a.Customer)))
	c.SetRequest(r.WithContext(ctx))
	return a, e.allowed(c, a, role, cost)
}

func (e Edge) allowed(c echo.Context, a sweep.Actor, role sweep.Role, cost int) error {
	ctx := c.Request().Context()
	if cost == 0 {
		return a.MayAs(role)
	}
	plan, err := e.s.Account.Plan(ctx, a)
	if err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	if err := e.s.spend(c, cost, allowancesOf(a, plan.RequestsPerMinute)...); err != nil {
		return err
	}
	if err := a.MayAs(role); err != nil {
		return err
	}
	return e.s.settled(ctx, a)
}

// Token is what a form of this session carries in the field csrf; "" without a session.
func (e Edge) Token(c echo.Context) string {
	show := credential(c.Request())
	if show.session == "" {
		return ""
	}
	return secret.CSRFToken(show.session)
}

// Begin signs somebody in on a page of ours and gives the browser the session's cookie; the session before ends.
func (e Edge) Begin(c echo.Context, begin func(account.Client) (account.Session, error)) (account.Session, error) {
	ctx := e.s.look(c)
	out, err := e.s.signIn(ctx, caller(ctx), true, begin)
	if err != nil {
		return account.Session{}, err
	}
	set := e.s.present(&out.Body)
	c.Response().Header().Add("Set-Cookie", set)
	return out.Body, renewed(c.Request(), set)
}

// renewed puts a session's new cookie in the place of the old one in the request: what is rendered from then on has the new one's token.
func renewed(r *http.Request, setCookie string) error {
	fresh, err := http.ParseSetCookie(setCookie)
	if err != nil {
		return fmt.Errorf("read our own cookie: %w", err)
	}
	others := r.Cookies()
	r.Header.Del("Cookie")
	for _, k := range append(others, fresh) {
		if k.Name != cookieName || k == fresh {
			r.AddCookie(k)
		}
	}
	return nil
}

// Leave takes the session's cookie from the browser, with what it kept of pages. The device's stays: by it the next sign-in is known.
func (e Edge) Leave(c echo.Context) {
	c.Response().Header().Add("Set-Cookie", hostCookie("", -1))
	c.Response().Header().Set("Clear-Site-Data", `"cache", "storage"`)
}

// Follow streams a job as fragments of a page: at each change the event job with what render makes of it, then end.
func (e Edge) Follow(c echo.Context, a sweep.Actor, job sweep.ID, render func(sweep.JobView) ([]byte, error)) error {
	ctx := c.Request().Context()
	view, version, err := e.s.Cleanup.Job(ctx, a.Customer, job)
	if err != nil {
		return err
	}
	release, err := e.s.streams.open(a.Customer)
	if err != nil {
		return err
	}
	defer release()
	defer e.s.streaming()()
	h := c.Response().Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	c.Response().WriteHeader(http.StatusOK)
	out := stream{ctx: ctx, w: c.Response(), render: render}
	out.job(view, version)
	e.s.stream(ctx, job, version, view.State.Done(), &out)
	return nil
}

// Refused writes err into the log if it is a fault of ours, sets the headers that go with it, such as Retry-After, and gives the status and the
// sentence that a person may read, with the request's id.
func (e Edge) Refused(c echo.Context, err error) (status int, detail, requestID string) {
	p := e.s.problem(c.Request().Context(), err)
	maps.Copy(c.Response().Header(), p.header)
	return p.Status, p.Detail, p.RequestID
}

// lines makes data of a server-sent event of text in several lines.
func lines(data []byte) []byte { return bytes.ReplaceAll(data, []byte("\n"), []byte("\ndata: ")) }
