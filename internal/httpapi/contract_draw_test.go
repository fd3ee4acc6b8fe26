package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"mailsweep/internal/httpapi"
)

// drawn is a request of the fuzzer: what the document asks for, and what it does not.
type drawn struct {
	caller, path, body string
	headers            []string
}

// drawer draws requests for one operation. Words are values that mean something there, by the name of the field.
type drawer struct {
	path    string
	op      *openapi3.Operation
	callers []string
	words   map[string][]string
}

// odd are texts that parsers, databases and pages have stumbled over.
var odd = []string{"", " ", "0", "-1", "null", "true", "NaN", "1e309", "'", `"`, "' OR '1'='1", "1;SELECT pg_sleep(9)--", "<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x}", "../../etc/passwd",
	"%00", "a\x00b", "\r\nX-Injected: 1", "\u202eRTL", "e\u0301", "\ufeff", "\u2028", "😀", strings.Repeat("A", 5000), strings.Repeat("é", 300), "9223372036854775808", "job_", "job_00000000000000000000000000000000",
	"mbx_ffffffffffffffffffffffffffffffff", "0001-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "ada@example.com", "@example.com", "a@b", "::1", "0.0.0.0/0", "10.0.0.1/33"}

func (d drawer) request() *rapid.Generator[drawn] {
	return rapid.Custom(func(t *rapid.T) drawn {
		r := drawn{caller: rapid.SampledFrom(d.callers).Draw(t, "caller"), path: d.filled(t)}
		query := url.Values{}
		for _, p := range d.op.Parameters {
			d.parameter(t, p.Value, query, &r.headers)
		}
		if often(t, 10) {
			query.Add(oddText(t), oddText(t))
		}
		if len(query) > 0 {
			r.path += "?" + query.Encode()
		}
		r.body = d.body(t)
		if often(t, 12) {
			r.headers = append(r.headers, "Content-Type", rapid.SampledFrom([]string{"text/plain", "application/xml", "", "application/json; charset=utf-16", "multipart/form-data"}).Draw(t, "media"))
		}
		return r
	})
}

// often is true once in n times.
func often(t *rapid.T, n int) bool { return rapid.IntRange(0, n-1).Draw(t, "one in") == n-1 }

func oddText(t *rapid.T) string {
	return rapid.OneOf(rapid.SampledFrom(odd), rapid.String()).Draw(t, "odd")
}

// filled puts something into the path's parameters: they are ids.
func (d drawer) filled(t *rapid.T) string {
	path := d.path
	for strings.Contains(path, "{") {
		before, rest, _ := strings.Cut(path, "{")
		name, after, _ := strings.Cut(rest, "}")
		segment := url.PathEscape(d.text(t, name))
		if segment == "" || segment == "." || segment == ".." { // another path
			segment = "%2e"
		}
		path = before + segment + after
	}
	return path
}

func (d drawer) parameter(t *rapid.T, p *openapi3.Parameter, query url.Values, headers *[]string) {
	if p.In == openapi3.ParameterInPath || !p.Required && rapid.Bool().Draw(t, "without "+p.Name) {
		return
	}
	value := fmt.Sprint(d.value(t, p.Name, p.Schema, 0))
	if often(t, 4) {
		value = oddText(t)
	}
	if p.In == openapi3.ParameterInQuery {
		query.Add(p.Name, value)
		return
	}
	if plain := printable(value); plain != "" {
		*headers = append(*headers, p.Name, plain)
	}
}

// printable leaves out what Go's client would not send in a header.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s))
}

// rightBodies are of operations whose rules are more than the schema says.
var rightBodies = map[string]map[string]any{
	"execute":        {"action": "archive", "criteria": map[string]any{"unread": true}, "max_messages": 5},
	"make-api-key":   {"name": "a key", "scopes": []any{"read"}, "password": good},
	"rotate-api-key": {"overlap": "1h", "password": good},
}

// body draws what the document asks for, changed in one place or replaced in half of the cases.
func (d drawer) body(t *rapid.T) string {
	hostile := slices.Sorted(maps.Values(httpapi.Hostile()))
	if d.op.RequestBody == nil {
		return rapid.SampledFrom([]string{"", "", "", "{}", "[]", `{"a":1}`, "x"}).Draw(t, "body")
	}
	value := d.value(t, "", d.op.RequestBody.Value.Content["application/json"].Schema, 0)
	right, ok := rightBodies[d.op.OperationID]
	if d.op.OperationID == "delete-account" {
		right, ok = map[string]any{"confirm": d.words["confirm"][0], "password": good}, true
	}
	if ok && rapid.Bool().Draw(t, "a right body") {
		value = maps.Clone(right)
	}
	switch rapid.IntRange(0, 7).Draw(t, "kind of body") {
	case 0:
		return rapid.SampledFrom(hostile).Draw(t, "hostile body")
	case 1, 2, 3:
		value = spoil(t, value, 0)
	case 4:
		return ""
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// value draws one that fits the schema, as far as the schema says.
func (d drawer) value(t *rapid.T, name string, ref *openapi3.SchemaRef, depth int) any {
	if ref == nil || ref.Value == nil {
		return d.criteria(t)
	}
	s := ref.Value
	switch {
	case len(s.Enum) > 0:
		return rapid.SampledFrom(s.Enum).Draw(t, name)
	case s.Type.Includes("object") && s.MaxProps != nil && *s.MaxProps == 1:
		return d.criteria(t)
	case s.Type.Includes("object"):
		return d.object(t, s, depth)
	case s.Type.Includes("array"):
		list := []any{}
		for range rapid.IntRange(int(s.MinItems), int(s.MinItems)+2).Draw(t, "length of "+name) {
			list = append(list, d.value(t, name, s.Items, depth+1))
		}
		return list
	case s.Type.Includes("boolean"):
		return rapid.Bool().Draw(t, name)
	case s.Type.Includes("integer"), s.Type.Includes("number"):
		low, high := 0, 1<<40
		if s.Min != nil {
			low = int(*s.Min)
		}
		if s.Max != nil {
			high = int(*s.Max)
		}
		return rapid.IntRange(low, high).Draw(t, name)
	case s.Format == "date-time":
		return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, name), 0).UTC().Format(time.RFC3339)
	}
	return d.text(t, name)
}

func (d drawer) object(t *rapid.T, s *openapi3.Schema, depth int) any {
	object := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if slices.Contains(s.Required, name) || depth < 4 && rapid.Bool().Draw(t, "with "+name) {
			object[name] = d.value(t, name, s.Properties[name], depth+1)
		}
	}
	return object
}

// text is mostly one that means something under this name.
func (d drawer) text(t *rapid.T, name string) string {
	if known := d.words[name]; len(known) > 0 && !often(t, 4) {
		return rapid.SampledFrom(known).Draw(t, name)
	}
	return oddText(t)
}

// criteria draws a tree: the document's own description of it is not what judges it.
func (d drawer) criteria(t *rapid.T) any {
	leaf := rapid.SampledFrom([]map[string]any{{"category": "promotions"}, {"older_than_days": 90}, {"from": "@shop.example"}, {"unread": true}, {"in": "anywhere"}, {"query": "has:attachment"},
		{"larger_than": 1 << 20}, {"before": "2026-01-01T00:00:00Z"}, {"label": "Later"}, {"subject": "sale"}}).Draw(t, "leaf")
	switch rapid.IntRange(0, 3).Draw(t, "tree") {
	case 0:
		return map[string]any{"all": []any{leaf, map[string]any{"not": map[string]any{"replied": true}}}}
	case 1:
		return map[string]any{"any": []any{leaf, leaf}}
	}
	return leaf
}

// spoil changes a value in one place.
func spoil(t *rapid.T, value any, depth int) any {
	object, ok := value.(map[string]any)
	if !ok || len(object) == 0 {
		return rapid.SampledFrom([]any{nil, true, -1, 1.5, math.MaxInt64, 1e300, []any{}, map[string]any{}, map[string]any{"a": nil}, oddText(t), strings.Repeat("x", 60000)}).Draw(t, "instead")
	}
	spoilt := maps.Clone(object)
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(object))).Draw(t, "spoilt")
	switch rapid.IntRange(0, 3).Draw(t, "how") {
	case 0:
		delete(spoilt, name)
	case 1:
		spoilt[rapid.SampledFrom([]string{"customer_id", "role", "plan", "__proto__", "", strings.ToUpper(name), oddText(t)}).Draw(t, "unknown")] = "x"
	default:
		spoilt[name] = spoil(t, object[name], depth+1)
	}
	return spoilt
}
