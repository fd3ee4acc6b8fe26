package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/httpapi"
	"mailsweep/internal/sweep"
)

// withPages has a form for owners at /form and a page for everybody who is signed in at /page.
func withPages(r *rig) {
	r.Pages = func(e *echo.Echo, edge httpapi.Edge) {
		for _, route := range []struct {
			method, path string
			role         sweep.Role
		}{{"POST", "/form", sweep.Owner}, {"GET", "/page", sweep.Viewer}} {
			e.Add(route.method, route.path, func(c echo.Context) error {
				a, err := edge.Enter(c, route.role, 1)
				if err != nil {
					return err
				}
				return c.String(http.StatusOK, a.User.String()+" "+edge.Token(c))
			})
		}
	}
	r.Lost = func(c echo.Context, _ error) error { return c.HTML(http.StatusNotFound, "<p>lost</p>") }
}

// SES-3: a form is taken from a page of ours with the session's own token, and from nowhere else.
func TestAFormNeedsThePagesToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, withPages)
	token := r.member(t, "ada@example.com")
	r.member(t, "eve@example.com")
	ada, eve := r.browser(t, "ada@example.com", ""), r.browser(t, "eve@example.com", "")
	form := func(csrf string, more ...string) answer {
		return r.call(t, "POST", "/form", "", "csrf="+csrf, append([]string{"Cookie", cookieName + "=" + ada.cookie, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin"}, more...)...)
	}
	good := form(ada.csrf)
	require.Equal(t, 200, good.StatusCode, string(good.body))
	require.Contains(t, string(good.body), ada.csrf)
	for name, a := range map[string]answer{"no token": form(""), "another session's": form(eve.csrf), "another site's page": form(ada.csrf, "Sec-Fetch-Site", "cross-site"), "a neighbour's": form(ada.csrf, "Sec-Fetch-Site", "same-site")} {
		require.Equal(t, 403, a.StatusCode, name)
		require.Equal(t, "cross_site", a.object(t)["code"], name)
	}
	problem(t, r.call(t, "POST", "/form", token, ""), 401, "unauthenticated")
	problem(t, r.call(t, "GET", "/page", token, ""), 401, "unauthenticated")
	require.Equal(t, 200, r.call(t, "GET", "/page", "", "", "Cookie", cookieName+"="+ada.cookie).StatusCode)
	problem(t, r.call(t, "GET", "/page", "", "", "Cookie", cookieName+"=invented"), 401, "unauthenticated")
}

func TestAPersonWhoIsLostGetsAPageAndAProgramAProblem(t *testing.T) {
	t.Parallel()
	r := newRig(t, withPages)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/nowhere", nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/html,application/xhtml+xml")
	a, err := read(req)
	require.NoError(t, err)
	require.Equal(t, []any{404, "<p>lost</p>"}, []any{a.StatusCode, string(a.body)})
	for _, path := range []string{"/nowhere", "/api/v1/nowhere"} {
		accept := "*/*"
		if path != "/nowhere" {
			accept = "text/html"
		}
		problem(t, r.call(t, "GET", path, "", "", "Accept", accept), 404, "not_found")
	}
}
