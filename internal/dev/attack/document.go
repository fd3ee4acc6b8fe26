package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// document is what of the API's own description an attacker needs.
type document struct {
	Paths      map[string]map[string]described
	Components struct{ Schemas map[string]schema }
}

type described struct {
	OperationID string
	Security    []map[string][]string
	Parameters  []struct {
		Name, In string
		Schema   schema
		// Description names the kind of an id: "mbx_…"
		Description string
	}
	RequestBody struct{ Content map[string]content }
	Responses   map[string]struct{ Content map[string]content }
}

type content struct{ Schema schema }

type schema struct {
	Ref         string `json:"$ref"`
	Type        any    // a name or several
	Enum        []any
	Format      string
	Description string
	Minimum     float64
	Properties  map[string]schema
	Required    []string
	Items       *schema
}

// mark is where sqlmap is to put what it injects: behind each value that a caller gives.
const mark = "*"

// endsWhatAttacks are operations after which the attacker would stand outside: they are attacked last.
var endsWhatAttacks = []string{"logout", "leave", "switch-customer", "put-ip-allowlist", "put-demands", "delete-account", "change-password", "enrol-second-factor"}

// bodies are taken by the API as they are, so that what is injected gets past the first look at a request; the marks stand in them. Other operations get
// a body made of their schema. Passwords reach no statement, only a hash: they are attacked in login alone, and elsewhere each guess would
// only shut the door.
var bodies = map[string]string{
	"make-api-key":   `{"name":"x*","scopes":["read*"],"networks":["127.0.0.0/8*"],"password":"` + password + `"}`,
	"rotate-api-key": `{"overlap":"0*","password":"` + password + `"}`,
	"invite":         `{"email":"eve@example.com*","role":"viewer*","password":"` + password + `"}`,
	"change-role":    `{"role":"viewer*","password":"` + password + `"}`,
	"count":          `{"mailbox_id":"{mbx}*","criteria":` + criteria + `}`,
	"dry-run":        `{"mailbox_id":"{mbx}*","action":"label*","label":"x*","criteria":` + criteria + `}`,
	"execute":        `{"mailbox_id":"{mbx}*","action":"archive*","max_messages":1,"criteria":` + criteria + `}`,
	"put-keep-list":  `{"entries":["@bank.example*"]}`,
	"login":          `{"email":"ada@example.com*","password":"` + password + `*","totp":"*","device":"*"}`,
}

const criteria = `{"any":[{"from":"a@shop.example*"},{"subject":"x*"},{"list_id":"x*"},{"label":"x*"},{"query":"x*"},{"category":"forums*"},{"before":"2020-01-01T00:00:00Z*"}]}`

// kinds are the ids in bodies, by their member's name.
var kinds = map[string]string{"mailbox_id": "mbx", "cleanup_plan_id": "pln", "customer_id": "cus"}

// target is one operation as a raw request with marks.
type target struct {
	operation string
	request   string
	marks     int
}

func (r *ground) document(ctx context.Context) (d document, err error) {
	err = r.api.Do(ctx, http.MethodGet, "/api/openapi.json", nil, &d)
	return d, err
}

// targets are all operations that take anything from their caller.
func (r *ground) targets(d document) (all []target) {
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			if t := r.target(d, strings.ToUpper(method), path, d.Paths[path][method]); t.marks > 0 {
				all = append(all, t)
			}
		}
	}
	late := func(t target) int { // what the first request may take away is needed by the others
		switch {
		case slices.Contains(endsWhatAttacks, t.operation):
			return 2
		case strings.HasPrefix(t.request, http.MethodDelete):
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b target) int { return late(a) - late(b) })
	return all
}

func (r *ground) target(d document, method, path string, op described) target {
	query, headers := []string{}, []string{"Host: " + strings.TrimPrefix(r.API, "http://")}
	for _, p := range op.Parameters {
		switch value := fmt.Sprint(r.example(d, p.Name, p.Schema, p.Description)) + mark; p.In {
		case "path":
			path = strings.Replace(path, "{"+p.Name+"}", value, 1)
		case "query":
			query = append(query, url.QueryEscape(p.Name)+"="+value)
		case "header":
			headers = append(headers, p.Name+": "+value)
		}
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	if len(op.Security) > 0 {
		headers = append(headers, "Authorization: Bearer "+r.api.Token)
	}
	body := ""
	if content, has := op.RequestBody.Content["application/json"]; has {
		body = r.body(d, op.OperationID, content.Schema)
		headers = append(headers, "Content-Type: application/json", fmt.Sprint("Content-Length: ", len(body)))
	}
	raw := method + " " + path + " HTTP/1.1\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n" + body
	return target{op.OperationID, raw, strings.Count(raw, mark)}
}

func (r *ground) body(d document, operation string, s schema) string {
	body, given := bodies[operation]
	if !given {
		raw, err := json.Marshal(marked(r.example(d, "", s, "")))
		if err != nil {
			panic(err) // it is made of maps and strings
		}
		body = string(raw)
	}
	for kind, id := range r.ids {
		body = strings.ReplaceAll(body, "{"+kind+"}", id)
	}
	return body
}

// example is a value that the API takes, or nearly.
func (r *ground) example(d document, name string, s schema, description string) any {
	if _, ref, is := strings.Cut(s.Ref, "schemas/"); is {
		s = d.Components.Schemas[ref]
	}
	kind, _, _ := strings.Cut(description+s.Description, "_")
	if k, is := kinds[name]; is {
		kind = k
	}
	switch {
	case name == "password", name == "current_password":
		return password
	case name == "email":
		return "eve@example.com"
	case name == "$schema":
		return nil
	case r.ids[kind] != "":
		return r.ids[kind]
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Format == "date-time":
		return "2030-01-01T00:00:00Z"
	case s.Items != nil:
		return []any{r.example(d, "", *s.Items, "")}
	case len(s.Properties) > 0:
		whole := map[string]any{}
		for name, member := range s.Properties {
			if v := r.example(d, name, member, ""); v != nil {
				whole[name] = v
			}
		}
		return whole
	}
	switch fmt.Sprint(s.Type) {
	case "integer", "number":
		return max(1, s.Minimum)
	case "boolean":
		return true
	case "string", "[string null]":
		return "x"
	}
	return nil
}

// marked puts a mark behind each string of a body, at any depth.
func marked(v any) any {
	switch v := v.(type) {
	case string:
		if v != password {
			return v + mark
		}
	case []any:
		for i := range v {
			v[i] = marked(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = marked(v[name])
		}
	}
	return v
}
