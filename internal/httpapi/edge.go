package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/billing"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

// identify gives the request its ids, which follow it into log lines, jobs and the worker, and answers with the request's.
func (s *server) identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		ctx := telemetry.WithRequestID(r.Context(), r.Header.Get("X-Request-ID"))
		ctx, end := s.begin(ctx, c)
		defer end()
		r = r.WithContext(ctx)
		c.SetRequest(r.WithContext(withClient(ctx, client(r, c.RealIP()))))
		c.Response().Header().Set("X-Request-ID", telemetry.RequestID(ctx))
		return next(c)
	}
}

// begin begins the request's trace, and says how to end its span; a probe has none. A traceparent that comes with the request is not
// believed: strangers would hang their requests into any trace they can name, and say which of theirs are recorded. X-Request-ID is theirs.
func (s *server) begin(ctx context.Context, c echo.Context) (begun context.Context, end func()) {
	route := s.routeOf(c)
	if s.Trace == nil || strings.HasPrefix(route, "/health") {
		return telemetry.WithTraceparent(ctx, telemetry.NewTraceparent()), func() {}
	}
	ctx, span := s.Trace.Begin(ctx, "", telemetry.Server, methodOf(c.Request()), route)
	return ctx, func() {
		status := c.Response().Status
		span.End(status >= 500, slog.Int("http.response.status_code", status))
	}
}

// guard sets the headers that every answer carries. The API serves no documents, so its policy forbids everything; the two pages
// that it has set their own. Nothing may be stored unless a route says otherwise.
func (s *server) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("Cache-Control", "no-store")
		if s.draining() {
			h.Set("Connection", "close") // the next request belongs to another process
		}
		return next(c)
	}
}

// tell writes one line per request. It names the route, never the address with its query: that may hold a code or a search.
func (s *server) tell(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		took, status, route := time.Since(start), c.Response().Status, s.routeOf(c)
		if s.Observe != nil {
			s.Observe(methodOf(c.Request()), route, status, took)
		}
		level := slog.LevelInfo
		switch {
		case status >= 500 && c.Request().Context().Err() == nil: // who left got an answer that nobody reads
			level = slog.LevelError
		case strings.HasPrefix(route, "/health"):
			level = slog.LevelDebug
		}
		attrs := []slog.Attr{slog.String("method", methodOf(c.Request())), slog.String("route", route), slog.Int("status", status),
			slog.Float64("ms", float64(took.Microseconds())/1000), slog.Int64("bytes", c.Response().Size)}
		s.Log.LogAttrs(c.Request().Context(), level, "request", attrs...)
		return nil
	}
}

// methodOf is the method if it is one of HTTP's own: it becomes the label of a figure, and strangers can send any word.
func methodOf(r *http.Request) string {
	switch r.Method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT":
		return r.Method
	}
	return "OTHER"
}

// routeOf is the route's pattern; what matched none is one word, so that strangers cannot fill logs and figures with names.
func (s *server) routeOf(c echo.Context) string {
	if s.patterns[c.Path()] {
		return c.Path()
	}
	return "unmatched"
}

// recoverPanics answers 500 for a panic and keeps the process alive.
func (s *server) recoverPanics(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler {
				panic(cause)
			}
			s.Log.ErrorContext(c.Request().Context(), "panic", "cause", telemetry.Panicked(cause), "stack", string(debug.Stack()))
			err = sweep.Errorf(sweep.Internal, "panic")
		}()
		return next(c)
	}
}

// limitBody bounds what a request may send. A body in chunks is refused: our documents are small and have a length, and a request with a
// length as well as chunks is where two servers in a row disagree about where the next request begins. net/http hides which of the two it was.
func (s *server) limitBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if len(r.TransferEncoding) > 0 {
			c.Response().Header().Set("Connection", "close")
			return sweep.Errorf(sweep.BadRequest, "send the body with Content-Length, not in chunks")
		}
		most := int64(maxBody)
		if s.routeOf(c) == stripeEventsPath {
			most = billing.MaxEvent
		}
		if r.ContentLength > most {
			return sweep.Errorf(sweep.TooLarge, "a request body has at most %d KiB", most>>10)
		}
		r.Body = http.MaxBytesReader(c.Response(), r.Body, most)
		return next(c)
	}
}

// fail is Echo's error handler: what the router and the middleware refuse looks like everything else.
func (s *server) fail(err error, c echo.Context) {
	var routing *echo.HTTPError
	if errors.As(err, &routing) {
		code := codeOfStatus(routing.Code)
		err = sweep.Errorf(code, "%s", strings.ToLower(kinds()[code].title[:1])+kinds()[code].title[1:])
	}
	if s.Lost != nil && !c.Response().Committed && forPage(c.Request()) && s.Lost(c, err) == nil {
		return
	}
	s.refuse(c, err)
}

// forPage says whether a person's browser looks for a page: it names HTML first, and the address is not the API's.
func forPage(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.URL.Path, "/api/")
}

// refuse answers with the problem that err is, unless an answer has begun.
func (s *server) refuse(c echo.Context, err error) {
	p := s.problem(c.Request().Context(), err)
	if !c.Response().Committed {
		p.write(c.Response())
	}
}
