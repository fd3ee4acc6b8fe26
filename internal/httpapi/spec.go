package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/sweep"
)

const description = `Clean up Gmail inboxes: analyze, preview, execute exactly what was previewed, undo for 30 days.

Every error is an RFC 9457 problem with a stable ` + "`code`" + `. Ids carry a prefix; times are RFC 3339 in UTC.
An account has the requests a minute of its plan, of which one API key takes four fifths at most; an execute and an undo count as ten. RateLimit and
RateLimit-Policy say what is left, in the words of draft-ietf-httpapi-ratelimit-headers; a 429 says in Retry-After when to come back.
Every POST of somebody who is signed in takes an ` + "`Idempotency-Key`" + `: the same key and body give the first answer again for 24 hours.
Jobs are followed by polling with ` + "`wait`" + ` and ` + "`If-None-Match`" + `, or by server-sent events.`

// config switches off what huma would add by itself: links to schemas, pages from a CDN, routes of its own.
func (s *server) config() huma.Config {
	c := huma.DefaultConfig("Mailsweep API", "1")
	c.CreateHooks = nil
	c.DocsPath, c.OpenAPIPath, c.SchemasPath = "", "", ""
	c.Transformers = []huma.Transformer{s.complete}
	c.Info.Description = description
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		keyScheme:    {Type: "apiKey", In: "header", Name: keyHeader, Description: "An API key of the account, also as Authorization: Bearer …; it needs the scope that the operation names"},
		bearerScheme: {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "The access_token of a login; 24 hours"},
		cookieScheme: {Type: "apiKey", In: "cookie", Name: cookieName, Description: "The session of a browser, of a login with cookie: true; over after 12 hours without use, or after 7 days"},
		csrfScheme:   {Type: "apiKey", In: "header", Name: csrfHeader, Description: "With the cookie, for everything but GET: the csrf_token of the session; the request must come from a page of ours, as Sec-Fetch-Site or Origin says"},
	}
	c.Tags = []*huma.Tag{{Name: "auth"}, {Name: "mailboxes"}, {Name: "cleanup"}, {Name: "jobs"}, {Name: "usage"}, {Name: "billing"}, {Name: "keys"}, {Name: "people"}, {Name: "account"}, {Name: "service"}}
	c.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[sweep.Criteria](), reflect.TypeFor[Criteria]())
	return c
}

// spec writes the document, indented so that a change can be reviewed.
func spec(api huma.API) []byte {
	raw, err := api.OpenAPI().MarshalJSON()
	if err != nil {
		return nil // the document is made from constants: the golden test would show it
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", " "); err != nil {
		return nil
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// operation is what every route declares.
type operation struct {
	method, path, name, summary, tag string
	status                           int
	open                             bool          // needs nobody signed in
	errors                           []int         // besides those that every such route can answer
	unlimited                        bool          // not counted against any allowance
	owing                            bool          // open to who owes a second factor that the customer demands
	scope                            sweep.Scope   // that an API key needs; "": no key may
	role                             sweep.Role    // that whoever is signed in has at least; "": nobody may, so each route says it
	feature                          sweep.Feature // that the plan has to carry; "": every plan's
	admits                           bool          // makes a job: the statement that admits it keeps the answer to an Idempotency-Key
	renews                           bool          // ends what the caller is signed in by and gives another, at least of cookies
	reads                            bool          // a POST without an effect, or with one at another customer: the answer to an Idempotency-Key is kept afterwards
}

const (
	costing   = "cost"
	unlimited = "unlimited"
	owing     = "owing"
	scoped    = "scope"
	needing   = "role"
	featured  = "feature"
	keyed     = "keyed"
)

// renewing tells what a client cannot find out by repeating its request.
const renewing = "The answer carries what you are signed in by from now on; a cookie's session ends with this, and so does a token where the summary says it. " +
	"Should the answer be lost, the same request again is a 401 then, with an Idempotency-Key too: it was done, so sign in anew."

// add registers an operation with a handler that returns coded errors.
func add[I, O any](s *server, api huma.API, o operation, handle func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: o.name, Method: o.method, Path: o.path, Summary: o.summary, Tags: []string{o.tag}, DefaultStatus: o.status,
		MaxBodyBytes: maxBody + 1, BodyReadTimeout: -1, // the body was read by then: without a deadline on the connection, long work is not canceled
	}
	if o.renews {
		op.Description = renewing
	}
	if !o.open {
		op.Security = []map[string][]string{{bearerScheme: {}}, byCookie(o.method)}
	}
	if o.scope != "" {
		op.Security = append(op.Security, map[string][]string{keyScheme: {string(o.scope)}})
	}
	op.Metadata = map[string]any{costing: max(1, costs[o.name]), unlimited: o.unlimited, owing: o.owing, scoped: o.scope, needing: o.role, featured: o.feature, keyed: o.keyed()}
	op.Extensions = o.told()
	op.Errors = o.statuses()
	if _, answers := reflect.TypeFor[O]().FieldByName("Body"); o.status == 0 && answers {
		o.status = http.StatusOK
	} else if o.status == 0 {
		o.status = http.StatusNoContent
	}
	if o.keyed() {
		describeKey(&op, o.status)
		handle = once(s, o, handle)
	}
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			s.noteDenial(ctx, o.name, err)
			return nil, s.problem(ctx, err)
		}
		if f, ok := any(out).(finisher); ok {
			f.finish(s)
		}
		return out, nil
	})
}

// told is what the document says of who may.
func (o operation) told() map[string]any {
	words := map[string]any{}
	if !o.open {
		words["x-role"] = o.role
	}
	if o.feature != "" {
		words["x-feature"] = o.feature
	}
	return words
}

// statuses lists what can go wrong with every operation of this sort. Whoever sends a body where none is taken hears what is wrong with it.
func (o operation) statuses() []int {
	list := append([]int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity,
		http.StatusInternalServerError, http.StatusServiceUnavailable}, o.errors...)
	if !o.unlimited {
		list = append(list, http.StatusTooManyRequests)
	}
	if !o.open {
		list = append(list, http.StatusUnauthorized, http.StatusForbidden)
	}
	if o.keyed() {
		list = append(list, http.StatusConflict)
	}
	if strings.Contains(o.path, "{") {
		list = append(list, http.StatusNotFound)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// describe completes the document with what types alone do not say.
func describe(api huma.API) {
	r := api.OpenAPI().Components.Schemas
	var results []*huma.Schema
	for _, t := range []reflect.Type{reflect.TypeFor[sweep.Analysis](), reflect.TypeFor[sweep.DryRunResult](), reflect.TypeFor[sweep.ExecuteResult](), reflect.TypeFor[sweep.UndoResult]()} {
		results = append(results, r.Schema(t, true, ""))
	}
	r.Map()["JobView"].Properties["result"] = &huma.Schema{Description: "By kind: Analysis, DryRunResult, ExecuteResult, UndoResult", AnyOf: results}
	for _, path := range api.OpenAPI().Paths {
		describeAnswers(path.Get)
	}
	loosen(api.OpenAPI())
}

// loosen lets answers grow: a client must accept members that it does not know. Requests stay strict.
func loosen(doc *huma.OpenAPI) {
	asked := map[string]bool{}
	for _, path := range doc.Paths {
		for _, op := range []*huma.Operation{path.Post, path.Put, path.Patch} {
			if op != nil && op.RequestBody != nil {
				reach(doc.Components.Schemas, op.RequestBody.Content["application/json"].Schema, asked)
			}
		}
	}
	for name, schema := range doc.Components.Schemas.Map() {
		if !asked[name] && schema.AdditionalProperties == false {
			schema.AdditionalProperties = nil
		}
	}
}

// reach collects the components that a schema leads to.
func reach(r huma.Registry, s *huma.Schema, into map[string]bool) {
	if s == nil {
		return
	}
	ref, extended := s.Extensions["$ref"].(string)
	if !extended {
		ref = s.Ref
	}
	if name := strings.TrimPrefix(ref, "#/components/schemas/"); name != "" && !into[name] {
		into[name] = true
		reach(r, r.Map()[name], into)
	}
	for _, p := range s.Properties {
		reach(r, p, into)
	}
	reach(r, s.Items, into)
}
