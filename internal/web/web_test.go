package web

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
)

// Where mails lead there is a page.
func TestEveryMailLeadsToAPage(t *testing.T) {
	t.Parallel()
	e := echo.New()
	(&Pages{}).Mount(e, nil)
	served := map[string]bool{}
	for _, r := range e.Routes() {
		served[r.Method+" "+r.Path] = true
	}
	for _, path := range []string{"/verify-email", "/login", "/reset-password", "/mailboxes", "/billing", "/history/:job", "/settings/security", "/accept-invitation", "/support", "/settings/export", "/confirm-email", "/undo-email", notificationsPath} {
		require.True(t, served["GET "+path], path)
	}
}

// A browser may keep a file as long as it asks for it under the name of its content.
func TestFilesAreKeptUnderTheNameOfTheirContent(t *testing.T) {
	t.Parallel()
	e := echo.New()
	(&Pages{}).Mount(e, nil)
	for path, want := range map[string]string{"/static/style.css?v=" + build(): "public, max-age=31536000, immutable", "/static/style.css?v=old": "no-cache", "/static/style.css": "no-cache"} {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, []any{200, want}, []any{w.Code, w.Header().Get("Cache-Control")}, path)
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/static/..%2fweb.go", nil))
	require.Equal(t, 404, w.Code)
}

// A figure that a visitor is shown is the one that was measured last.
func TestFiguresAreThoseThatWereMeasured(t *testing.T) {
	t.Parallel()
	bench, err := os.ReadFile("../../BENCH.md")
	require.NoError(t, err)
	for _, f := range figures() {
		row := regexp.MustCompile(`(?m)^\| \w+ \| ` + regexp.QuoteMeta(f.Row) + ` \|.*$`).FindString(string(bench))
		require.NotEmpty(t, row, f.Row)
		require.Contains(t, row, f.Value)
	}
}
