// Package httpapi is the JSON API: JSON in, one use-case call, JSON out.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/billing"
	"mailsweep/internal/cleanup"
	"mailsweep/internal/ratelimit"
	"mailsweep/internal/report"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

// API is the edge over the use cases. Spec needs none of the fields.
type API struct {
	Account  *account.Service
	Cleanup  *cleanup.Service
	Report   *report.Service
	Billing  *billing.Service
	Requests *ratelimit.Requests
	Plans    sweep.Plans
	Features []sweep.Feature // that can be used already: plans show no others

	CORSOrigins        []string                        // exact; empty: no page of another origin may call
	TrustedProxies     []netip.Prefix                  // whose X-Forwarded-For is believed
	AnonymousPerMinute int                             // requests of one address that is not signed in; 0 means 120
	PublicURL          string                          // of this API, no trailing slash: begins the types of problems
	DashboardURL       string                          // no trailing slash; "": there are no pages, and consent ends on a page of ours
	Pages              func(*echo.Echo, Edge)          // adds the pages' routes; nil: there are none
	Lost               func(echo.Context, error) error // answers a browser that asked for a page which is not there; nil: with a problem, as programs

	Ready    func(context.Context) Readiness                            // asked at most once a second; nil: always ready
	Draining context.Context                                            // ends when the process begins to stop: streams end then; nil: never
	Observe  func(method, route string, status int, took time.Duration) // figures of each answer; may be nil
	Streams  func(by int)                                               // how many streams more are open now; may be nil
	Trace    *telemetry.Tracer                                          // nil: no traces
	Log      *slog.Logger
}

// server is an API with what it remembers between requests.
type server struct {
	API
	patterns map[string]bool
	served   []*echo.Route
	streams  streams
	flights  flights
	health   healthCache
	docs     docsPage
	pages    *http.CrossOriginProtection // tells what a page of ours sends
}

// Handler serves the API. Each call makes an independent one.
func (a API) Handler() http.Handler {
	e, _ := a.build()
	return e
}

// Spec is the OpenAPI 3.1 document, as JSON, generated from the operations.
func (a API) Spec() []byte {
	_, api := a.build()
	return spec(api)
}

// build puts the parts together. The order of the middleware is that in which a request meets it: what can fail comes after what
// names, guards and logs the answer.
func (a API) build() (*echo.Echo, huma.API) {
	setHooks()
	s := &server{API: a, pages: a.pages()}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = extractor(a.TrustedProxies)
	e.HTTPErrorHandler = s.fail
	e.Use(s.identify, s.guard, s.tell, s.recoverPanics, s.crossOrigin, s.limitBody, s.wholeSegments, s.keepWriter)
	api := humaecho.New(e, s.config())
	api.UseMiddleware(s.admit, s.checkBody)
	s.routes(api)
	describe(api)
	s.plainRoutes(e, api)
	if a.Pages != nil {
		a.Pages(e, Edge{s})
	}
	s.patterns = map[string]bool{}
	s.served = e.Routes()
	for _, r := range s.served {
		s.patterns[r.Path] = true
	}
	return e, api
}

// Server is an http.Server with deadlines that slow or greedy peers cannot stretch. Long answers (a wait, a stream) set their own.
func Server(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 60 * time.Second, MaxHeaderBytes: 16 << 10, DisableGeneralOptionsHandler: true,
	}
}
