package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

// problemType is the media type of every error (RFC 9457).
const problemType = "application/problem+json"

// Problem is every error that leaves the API: RFC 9457 with a stable code and the request's id. Data holds what belongs to the code,
// such as the quota of a quota_exceeded, and is merged into the object.
type Problem struct {
	Type      string         `json:"type" doc:"Address of a page about the code"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail"`
	Code      string         `json:"code" doc:"Stable: programs branch on it"`
	RequestID string         `json:"request_id" doc:"Also in the header X-Request-ID: name it when you ask for help"`
	Errors    []sweep.Field  `json:"errors,omitempty" doc:"The bad fields; values are never repeated"`
	Data      map[string]any `json:"-"`

	header http.Header
	cause  error // of a 500 that huma found: for the log
}

// Error gives the detail, which may be shown.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders are the headers that go with the problem, such as Retry-After.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType makes huma answer with problem+json.
func (p *Problem) ContentType(string) string { return problemType }

// MarshalJSON writes the members of Data beside the standard ones; a standard one is never replaced.
func (p *Problem) MarshalJSON() ([]byte, error) {
	type plain Problem
	standard, err := encode((*plain)(p))
	if err != nil || len(p.Data) == 0 {
		return standard, err
	}
	members := maps.Clone(p.Data)
	for _, name := range []string{"type", "title", "status", "detail", "code", "request_id", "errors"} {
		delete(members, name)
	}
	extra, err := encode(members)
	if err != nil || len(members) == 0 {
		return standard, err
	}
	return slices.Concat(standard[:len(standard)-1], []byte(","), extra[1:]), nil
}

// TransformSchema documents the codes and what comes with some of them.
func (p *Problem) TransformSchema(r huma.Registry, s *huma.Schema) *huma.Schema {
	s.Properties["code"].Enum = shownCodes()
	s.Properties["quota"] = r.Schema(reflect.TypeFor[sweep.QuotaView](), true, "")
	s.Properties["job_id"] = &huma.Schema{Type: huma.TypeString, Description: "With already_executed and some conflicts: the job that was first"}
	s.AdditionalProperties = true
	return s
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// problem makes the answer to err and writes it to the log when it is ours to repair.
func (s *server) problem(ctx context.Context, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var e *sweep.Error
	switch {
	case errors.As(err, &e):
		if e.Code == sweep.Unavailable {
			s.Log.WarnContext(ctx, "a part of the service is away", "error", err)
		}
	case ctx.Err() != nil:
		e = sweep.Errorf(sweep.Unavailable, "the request was given up")
	case isAway(err):
		s.Log.ErrorContext(ctx, "a part of the service is away", "error", err)
		e = sweep.Errorf(sweep.Unavailable, "a part of the service is away for the moment: try again")
	default:
		s.Log.ErrorContext(ctx, "request failed", "error", err)
		e = sweep.Errorf(sweep.Internal, "something went wrong on our side")
	}
	return s.problemOf(ctx, e)
}

// isAway tells a dependency that cannot be reached, is too slow, too full or on its way down from a mistake of ours. (PostgreSQL's
// error classes: 08 connection, 53 resources, 57P shutdown and start.)
func isAway(err error) bool {
	var away net.Error
	var database interface{ SQLState() string }
	if errors.As(err, &database) {
		state := database.SQLState()
		return strings.HasPrefix(state, "08") || strings.HasPrefix(state, "53") || strings.HasPrefix(state, "57P")
	}
	return errors.As(err, &away) || errors.Is(err, context.DeadlineExceeded)
}

// problemOf maps a coded error. The detail of an internal one is never shown.
func (s *server) problemOf(ctx context.Context, e *sweep.Error) *Problem {
	k, known := kinds()[e.Code]
	if !known || e.Code == sweep.Internal {
		e = &sweep.Error{Code: sweep.Internal, Detail: "something went wrong on our side"}
		k = kinds()[sweep.Internal]
	}
	shown := k.shown(e.Code)
	p := &Problem{
		Type: s.PublicURL + "/problems/" + shown, Title: k.title, Status: k.status, Detail: e.Detail, Code: shown,
		RequestID: telemetry.RequestID(ctx), Errors: located(e.Fields), header: http.Header{},
	}
	for name, value := range e.Data {
		if name == "retry_after" {
			p.header.Set("Retry-After", fmt.Sprint(value))
			continue
		}
		if p.Data == nil {
			p.Data = map[string]any{}
		}
		p.Data[name] = value
	}
	p.defaults(e.Code)
	return p
}

// defaults adds the headers that HTTP wants with a status.
func (p *Problem) defaults(code sweep.Code) {
	if code == sweep.Unauthenticated {
		p.header.Set("WWW-Authenticate", `Bearer realm="mailsweep"`)
	}
	patience := map[sweep.Code]int{sweep.RateLimited: 60, sweep.Unavailable: 2, sweep.Halted: 60, sweep.IdempotencyInFlight: 1}[code]
	if patience > 0 && p.header.Get("Retry-After") == "" {
		p.header.Set("Retry-After", strconv.Itoa(patience))
	}
}

const maxLocation = 200

// aName is what members of ours and slips of the pen look like. Keys, tokens and passwords mostly do not.
var aName = regexp.MustCompile(`^([A-Za-z][A-Za-z_-]{0,39})?(\[?\d{1,4}\]?)*$`)

// named is a place up to the first part that is no name: an unknown member's is the caller's text, and may be a secret that slipped.
func named(place string) string {
	parts := strings.Split(place, ".")
	if i := slices.IndexFunc(parts, func(part string) bool { return !aName.MatchString(part) }); i > 0 {
		parts = parts[:i]
	}
	return strings.Join(parts, ".")
}

// located says which part of the request a field is in: use cases speak of the body only.
func located(fields []sweep.Field) (out []sweep.Field) {
	for _, f := range fields {
		part, _, _ := strings.Cut(f.Location, ".")
		if !slices.Contains([]string{"body", "query", "path", "header"}, part) {
			f.Location = "body." + f.Location
		}
		f.Location = named(f.Location)
		if len(f.Location) > maxLocation { // unknown keys are part of it, and those are the caller's
			f.Location = strings.ToValidUTF8(f.Location[:maxLocation], "")
		}
		out = append(out, f)
	}
	return out
}

// write answers with p outside of huma.
func (p *Problem) write(w http.ResponseWriter) {
	body, err := encode(p)
	if err != nil {
		body = []byte(`{"status":500,"code":"internal"}`)
	}
	maps.Copy(w.Header(), p.header)
	w.Header().Set("Content-Type", problemType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // whoever went away cannot be told
}

// setHooks gives huma our problems. Its hooks belong to the whole process and know no server, so nothing here depends on one:
// what only a server knows is filled in by complete.
var setHooks = sync.OnceFunc(func() {
	huma.DefaultArrayNullable = false
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, detail string, errs ...error) huma.StatusError {
		return refusal(status, detail, errs)
	}
	huma.NewErrorWithContext = func(_ huma.Context, status int, detail string, errs ...error) huma.StatusError {
		return refusal(status, detail, errs)
	}
})

// complete is a huma transformer: it adds to huma's problems what its hooks cannot know.
func (s *server) complete(ctx huma.Context, _ string, v any) (any, error) {
	p, ok := v.(*Problem)
	if !ok || p.RequestID != "" {
		return v, nil
	}
	p.Type, p.RequestID = s.PublicURL+"/problems/"+p.Code, telemetry.RequestID(ctx.Context())
	if p.cause != nil {
		s.Log.ErrorContext(ctx.Context(), "request failed", "error", p.cause)
	}
	return p, nil
}

// refusal is what huma's own validation found. From 500 upwards the texts are withheld: they are errors of ours.
func refusal(status int, detail string, errs []error) *Problem {
	code := codeOfStatus(status)
	p := &Problem{Title: kinds()[code].title, Status: status, Detail: detail, Code: kinds()[code].shown(code), header: http.Header{}}
	if status >= 500 {
		p.Detail, p.Data = "something went wrong on our side", nil
		p.cause = errors.Join(errs...)
		return p
	}
	for _, err := range errs {
		p.Errors = append(p.Errors, fieldOf(err))
	}
	p.Errors = located(p.Errors)
	return p
}

func fieldOf(err error) sweep.Field {
	var d huma.ErrorDetailer
	if !errors.As(err, &d) {
		return sweep.Field{Location: "body", Message: "is not valid"}
	}
	detail := d.ErrorDetail()
	if detail.Location == "body" && !strings.HasPrefix(detail.Message, "expected ") && !strings.HasPrefix(detail.Message, "unexpected ") {
		return sweep.Field{Location: "body", Message: "could not be read"} // a text of encoding/json, with Go's types in it
	}
	if !utf8.ValidString(detail.Location) {
		detail.Location = "body"
	}
	return sweep.Field{Location: detail.Location, Message: detail.Message}
}
