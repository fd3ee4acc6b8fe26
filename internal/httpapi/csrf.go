package httpapi

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
)

// A session's cookie goes with whatever a browser sends, also when another site makes it. So it is the credential of an unsafe request only
// if browser and page both say that the page is ours: the one by headers that no page can set, the other by a token that no other page can
// read. Tokens and keys need neither: a page has to put them in.
const (
	cookieName   = "__Host-mailsweep"
	csrfHeader   = "X-CSRF-Token"
	cookieScheme = "cookie"
	csrfScheme   = "csrf"
)

// pages knows the origins of our own pages, and those that the operator lists; other than these there is the request's own host.
func (a API) pages() *http.CrossOriginProtection {
	p := http.NewCrossOriginProtection()
	for _, origin := range append([]string{a.PublicURL, a.DashboardURL}, a.CORSOrigins...) {
		if err := p.AddTrustedOrigin(origin); err != nil {
			continue // not set, or "null", or with a path: that is nobody's origin
		}
	}
	return p
}

// byCookie is how a cookie is a credential for a method, in the document.
func byCookie(method string) map[string][]string {
	if safe(method) {
		return map[string][]string{cookieScheme: {}}
	}
	return map[string][]string{cookieScheme: {}, csrfScheme: {}}
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// look keeps what the request shows.
func (s *server) look(c echo.Context) context.Context {
	r := c.Request()
	show := credential(r)
	show.origin = s.fromOurPage(r)
	ctx := withShown(r.Context(), show)
	c.SetRequest(r.WithContext(ctx))
	return ctx
}

// fromOurPage refuses what another site's page may have sent: also what no browser of these years has sent.
func (s *server) fromOurPage(r *http.Request) error {
	if safe(r.Method) {
		return nil
	}
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return sweep.Errorf(sweep.CrossSite, "a session's cookie is for pages: the request says neither by Sec-Fetch-Site nor by Origin where it comes from")
	}
	if s.pages.Check(r) != nil {
		return sweep.Errorf(sweep.CrossSite, "a session's cookie is for our own pages: this request comes from another site")
	}
	return nil
}

// authenticate finds the actor of what the request shows.
func (s *server) authenticate(ctx context.Context, r *http.Request) (sweep.Actor, error) {
	show := shownOf(ctx)
	if show.session == "" {
		return s.Account.Authenticate(ctx, show.token, caller(ctx))
	}
	if show.origin != nil {
		return sweep.Actor{}, show.origin
	}
	if tokens := r.Header.Values(csrfHeader); !safe(r.Method) && (len(tokens) != 1 || !secret.IsCSRFToken(tokens[0], show.session)) {
		return sweep.Actor{}, sweep.Errorf(sweep.CrossSite, "the header X-CSRF-Token is missing, or not this session's")
	}
	return s.Account.AuthenticateSession(ctx, show.session, caller(ctx))
}

// again asks whether who called may still go on.
func (s *server) again(ctx context.Context) error {
	show := shownOf(ctx)
	if show.session != "" {
		return s.Account.CheckSession(ctx, show.session, caller(ctx))
	}
	_, err := s.Account.Authenticate(ctx, show.token, caller(ctx))
	return err
}
