package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/httpapi"
)

// contract is the document that the API serves, read and judged by somebody else's code.
type contract struct{ doc *openapi3.T }

// served reads the document once: every answer of every test is held against it.
var served = sync.OnceValues(func() (contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(httpapi.API{}.Spec())
	return contract{doc}, err
})

func readContract(t testing.TB) contract {
	t.Helper()
	c, err := served()
	require.NoError(t, err)
	return c
}

func TestOthersCanReadTheDocument(t *testing.T) {
	t.Parallel()
	require.NoError(t, readContract(t).doc.Validate(t.Context()))
}

// route finds the operation that a request meant; nil: there is none.
func (c contract) route(r *http.Request) *routers.Route {
	want := strings.Split(r.URL.EscapedPath(), "/")
	var found *routers.Route
	for path, item := range c.doc.Paths.Map() {
		op := item.GetOperation(r.Method)
		if op == nil || !fits(strings.Split(path, "/"), want) {
			continue
		}
		if found == nil || !strings.Contains(path, "{") {
			found = &routers.Route{Spec: c.doc, Path: path, PathItem: item, Method: r.Method, Operation: op}
		}
	}
	return found
}

func fits(pattern, path []string) bool {
	if len(pattern) != len(path) {
		return false
	}
	for i, part := range pattern {
		if part != path[i] && (!strings.HasPrefix(part, "{") || path[i] == "") {
			return false
		}
	}
	return true
}

// check says what is wrong with an answer: a status or body that the document does not know, an error that is no whole problem, or one
// that tells what is ours.
func (c contract) check(a answer) error {
	route := c.route(a.Request)
	if route != nil && route.Operation.Responses.Status(a.StatusCode) == nil {
		return fmt.Errorf("the document of %s %s has no status %d", route.Method, route.Path, a.StatusCode)
	}
	if a.StatusCode >= 400 && a.Request.Method != http.MethodHead {
		if err := checkProblem(a); err != nil {
			return err
		}
	}
	if route == nil {
		return nil
	}
	return openapi3filter.ValidateResponse(a.Request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: a.Request, Route: route},
		Status:                 a.StatusCode, Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.body)),
	})
}

// checkProblem wants a whole RFC 9457 problem without anything of ours in it.
func checkProblem(a answer) error {
	var p struct {
		Type, Title, Detail, Code string
		Status                    int
		RequestID                 string `json:"request_id"`
	}
	if err := json.Unmarshal(a.body, &p); err != nil {
		return fmt.Errorf("an error that is no JSON: %w", err)
	}
	switch {
	case a.Header.Get("Content-Type") != "application/problem+json":
		return fmt.Errorf("an error as %q", a.Header.Get("Content-Type"))
	case p.Type == "" || p.Title == "" || p.Detail == "" || p.Code == "" || p.Status != a.StatusCode:
		return fmt.Errorf("a problem that is not whole: %s", a.body)
	case p.RequestID == "" || p.RequestID != a.Header.Get("X-Request-ID"):
		return fmt.Errorf("a problem of another request: %s", a.body)
	}
	if found := leak.Find(a.body); found != nil {
		return fmt.Errorf("an error tells %q: %s", found, a.body)
	}
	return nil
}

// leak finds what no error may hold: queries, paths, stacks, Go's types and packages, hosts.
var leak = regexp.MustCompile(`(?i)\bselect .+ from\b|\binsert into\b|\bupdate \w+ set\b|\bdelete from\b|sqlstate|pq:|pgx|gorm|redis: |violates|constraint "|relation "` +
	`|goroutine|\.go:|/(home|root|usr|tmp|var)/|\.\./internal|mailsweep/|Go struct|(?-i:json: )|unmarshal|float64|\bu?int(8|16|32|64)\b|interface \{|map\[|\[\]string|nil pointer|panic|runtime error` +
	`|\b(account|cleanup|httpapi|store|sweep|huma|echo)\.[A-Z]|127\.0\.0\.1|\[::1\]|localhost|:5432|:6379` + hostName())

func hostName() string {
	name, err := os.Hostname()
	if err != nil || len(name) < 4 {
		return ""
	}
	return "|" + regexp.QuoteMeta(name)
}

func TestTheContractJudgesAnswers(t *testing.T) {
	t.Parallel()
	c := readContract(t)
	made := func(method, path string, status int, media, body string) answer {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://api.example"+path, nil)
		require.NoError(t, err)
		return answer{&http.Response{StatusCode: status, Request: req, Header: http.Header{"Content-Type": {media}, "X-Request-Id": {"r1"}}}, []byte(body)}
	}
	whole := `{"type":"https://api.example/problems/not_found","title":"Not found","status":404,"detail":"no such job","code":"not_found","request_id":"r1"}`
	const media = "application/problem+json"
	require.NoError(t, c.check(made("GET", "/health", 200, "application/json", `{"status":"ok"}`)))
	require.NoError(t, c.check(made("GET", "/api/v1/jobs/job_1", 404, media, whole)))
	for name, bad := range map[string]answer{
		"an unknown status":          made("GET", "/health", 418, media, strings.ReplaceAll(whole, "404", "418")),
		"a value outside the enum":   made("GET", "/health", 200, "application/json", `{"status":"fine"}`),
		"a member is missing":        made("GET", "/health", 200, "application/json", `{}`),
		"another media type":         made("GET", "/health", 200, "text/html", `<p>`),
		"an error as plain JSON":     made("GET", "/api/v1/jobs/job_1", 404, "application/json", whole),
		"an unknown code":            made("GET", "/api/v1/jobs/job_1", 404, media, strings.ReplaceAll(whole, `"not_found"`, `"lost"`)),
		"another status in the body": made("GET", "/api/v1/jobs/job_1", 404, media, strings.ReplaceAll(whole, "404", "400")),
		"another request's id":       made("GET", "/api/v1/jobs/job_1", 404, media, strings.ReplaceAll(whole, "r1", "r2")),
		"no detail":                  made("GET", "/api/v1/jobs/job_1", 404, media, strings.ReplaceAll(whole, "no such job", "")),
		"a query":                    made("GET", "/api/v1/jobs/job_1", 404, media, strings.ReplaceAll(whole, "no such job", "SELECT id FROM jobs")),
		"no problem of the router":   made("GET", "/nowhere", 404, "text/plain", "Not Found"),
	} {
		require.Error(t, c.check(bad), name)
	}
}
