package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// wholeSegments keeps a parameter at the end of a route to one segment of the path: the router lets it have all that is left, and would take
// a path that is another route's, but for the method, for an id.
func (s *server) wholeSegments(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		long := false
		for i, name := range c.ParamNames() {
			long = long || name != "*" && strings.Contains(c.ParamValues()[i], "/")
		}
		if !long {
			return next(c)
		}
		r := c.Request()
		methods := s.methodsAt(r.URL.EscapedPath())
		switch {
		case len(methods) == 0:
			return echo.ErrNotFound
		case slices.Contains(methods, r.Method): // a slash in disguise: no id has one, as its route will say
			return next(c)
		}
		c.Response().Header().Set(echo.HeaderAllow, strings.Join(append(methods, http.MethodOptions), ", "))
		return echo.ErrMethodNotAllowed
	}
}

// methodsAt lists the methods of the routes that a path fits, segment by segment.
func (s *server) methodsAt(path string) (methods []string) {
	parts := strings.Split(path, "/")
	for _, r := range s.served {
		pattern := strings.Split(r.Path, "/")
		fits := func(i int) bool {
			return pattern[i] == parts[i] || strings.HasPrefix(pattern[i], ":") && parts[i] != ""
		}
		ok := len(pattern) == len(parts)
		for i := 0; ok && i < len(parts); i++ {
			ok = fits(i)
		}
		if ok {
			methods = append(methods, r.Method)
		}
	}
	slices.Sort(methods)
	return slices.Compact(methods)
}
