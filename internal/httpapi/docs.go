package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"

	"mailsweep/internal/sweep"
)

const docsPath = "/api/docs"

// docsPage is Swagger UI from our own files: the page as it is sent, its policy, and what serves its assets.
type docsPage struct {
	html   []byte
	policy string
	assets http.Handler
}

// docsAssets are the files that the page loads; nothing else of the bundle is served.
var docsAssets = []string{"swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-32x32.png", "favicon-16x16.png"}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// newDocs renders the page once and allows exactly the inline scripts that are in it. Swagger UI sets styles at run time, so styles
// cannot be listed.
func newDocs() docsPage {
	h := v5emb.NewHandlerWithConfig(swgui.Config{
		Title: "Mailsweep API", SwaggerJSON: "/api/openapi.json", BasePath: docsPath,
		SettingsUI: map[string]string{"defaultModelsExpandDepth": "1", "persistAuthorization": "false"},
	})
	page := &buffer{header: http.Header{}}
	r, err := http.NewRequest(http.MethodGet, docsPath, nil)
	if err == nil {
		h.ServeHTTP(page, r)
	}
	scripts := "'self'"
	for _, found := range inlineScript.FindAllSubmatch(page.Bytes(), -1) {
		sum := sha256.Sum256(found[1])
		scripts += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	policy := "default-src 'none'; script-src " + scripts + "; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
		"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return docsPage{html: page.Bytes(), policy: policy, assets: h}
}

// buffer is a ResponseWriter that keeps the answer.
type buffer struct {
	bytes.Buffer
	header http.Header
}

func (b *buffer) Header() http.Header { return b.header }
func (b *buffer) WriteHeader(int)     {}

// plainRoutes are those that are no operations of the API: its documents, and what others post to it by protocols of their own.
func (s *server) plainRoutes(e *echo.Echo, api huma.API) {
	s.docs = newDocs()
	document := spec(api)
	e.GET("/api/openapi.json", func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-cache")
		return c.Blob(http.StatusOK, "application/json", document)
	})
	e.GET(docsPath, s.docs.page)
	for _, name := range docsAssets {
		e.GET(docsPath+"/"+name, s.docs.asset)
	}
	e.GET("/problems/:code", explain)
	e.POST(googleEventsPath, s.googleEvents)
	e.POST(stripeEventsPath, s.stripeEvents)
}

func (d *docsPage) page(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Content-Security-Policy", d.policy)
	h.Set("Cache-Control", "no-cache")
	return c.HTMLBlob(http.StatusOK, d.html)
}

func (d *docsPage) asset(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "public, max-age=3600")
	d.assets.ServeHTTP(c.Response(), c.Request())
	return nil
}

// explain is the page that a problem's type points to.
func explain(c echo.Context) error {
	for code, k := range kinds() {
		if k.shown(code) == c.Param("code") {
			c.Response().Header().Set("Cache-Control", "public, max-age=3600")
			return c.String(http.StatusOK, fmt.Sprintf("%s\n\n%s\n\n%s\n", c.Param("code"), k.heading(), k.advice))
		}
	}
	return sweep.Errorf(sweep.NotFound, "there is no such code")
}

// heading is the title; a code of two statuses has none of its own.
func (k kind) heading() string {
	if k.as != "" {
		return "The request is not valid"
	}
	return strings.TrimSpace(k.title)
}
