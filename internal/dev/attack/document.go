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
	Parameters  []parameter
	RequestBody struct{ Content map[string]content }
	Responses   map[string]struct{ Content map[string]content }
}

type parameter struct {
	Name, In string
	Schema   schema
	// Description names the kind of an id: "mbx_…"
	Description string
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

// bodies are taken by the API as they are, so that what is injected gets past the first look at a request; the marks stand in them. Where members
// exclude each other, or would be refused, there is a second body in the next line. Other operations get
// a body made of their schema. Passwords reach no statement, only a hash: they are attacked in login alone, and elsewhere each guess would
// only shut the door.
var bodies = map[string]string{
	"make-api-key": `{"name":"x*","scopes":["read*"],"networks":["127.0.0.0/8*"],"password":"` + password + `"}` + "\n" +
		`{"name":"x","scopes":["read"],"expires_at":"2030-01-01T00:00:00Z*","code":"000000*","password":"` + password + `"}`,
	"rotate-api-key":       `{"overlap":"0*","password":"` + password + `"}` + "\n" + `{"overlap":"0","code":"000000*","password":"` + password + `"}`,
	"invite":               `{"email":"eve@example.com*","role":"viewer*","password":"` + password + `"}` + "\n" + `{"email":"eve@example.com","role":"viewer","code":"000000*","password":"` + password + `"}`,
	"change-role":          `{"role":"viewer*","password":"` + password + `","code":"000000*"}`,
	"change-email":         `{"email":"ada.lovelace@example.com*","password":"` + password + `"}` + "\n" + `{"email":"ada.lovelace@example.com","code":"000000*","password":"` + password + `"}`,
	"count":                `{"mailbox_id":"{mbx}*","criteria":` + criteria + `}`,
	"dry-run":              `{"mailbox_id":"{mbx}*","action":"label*","label":"x*","criteria":` + criteria + `}`,
	"execute":              `{"mailbox_id":"{mbx}*","action":"archive*","max_messages":1,"criteria":` + criteria + `}` + "\n" + `{"cleanup_plan_id":"{pln}*"}`,
	"put-keep-list":        `{"entries":["@bank.example*"]}`,
	"put-ip-allowlist":     `{"networks":["127.0.0.0/8*","11.0.0.0/8*"]}`,
	"signup":               `{"email":"eve@example.com*","name":"x*","password":"` + password + `"}` + "\n" + `{"email":"eve@example.com","invitation":"x*","password":"` + password + `"}`,
	"login":                `{"email":"ada@example.com*","password":"` + password + `*"}` + "\n" + `{"email":"ada@example.com","password":"` + password + `","totp":"000000*","device":"x*"}`,
	"change-plan":          `{"plan":"basic*","every":"month*"}` + "\n" + `{"plan":"basic","every":"month","at":"2030-01-01T00:00:00Z*"}`,
	"delete-account":       `{"confirm":"x*","password":"` + password + `","totp":"000000*"}`,
	"verify-email":         `{"token":"x*","password":"` + password + `"}`,
	"accept-invitation":    `{"token":"x*","name":"x*","password":"` + password + `"}` + "\n" + `{"token":"x","code":"000000*","password":"` + password + `"}`,
	"put-notifications":    `{"off":["{notice}*"]}`,
	"verify-second-factor": `{"challenge":"x*","code":"000000*","device":"x*"}`,
}

const criteria = `{"any":[{"from":"a@shop.example*"},{"subject":"x*"},{"list_id":"x*"},{"label":"x*"},{"query":"x*"},{"category":"forums*"},{"before":"2020-01-01T00:00:00Z*"}]}`

// kinds are the ids in bodies, by their member's name.
var kinds = map[string]string{"mailbox_id": "mbx", "cleanup_plan_id": "pln", "customer_id": "cus"}

// target is one request of an operation, raw, with marks and with {token} for who asks.
type target struct {
	operation string
	variant   string // which of the operation's
	request   string
	marks     int
}

func (t target) name() string { return t.operation + t.variant }

// onceKey goes into a request of its own: beside it every other value would be refused as another request under the same key.
const onceKey = "Idempotency-Key"

// given are parameters that the API takes as they are. What is not known, such as the cursor of a list that is short, is made of the schema.
var given = map[string]string{
	"list-audit.cursor": "{cursor:/api/v1/audit?limit=1}", "history.cursor": "{cursor:/api/v1/gmail/history?limit=1}", "list-jobs.cursor": "{cursor:/api/v1/jobs?limit=1}",
	"list-senders.cursor": "{cursor:/api/v1/mailboxes/{mbx}/senders?limit=1}", "list-domains.cursor": "{cursor:/api/v1/mailboxes/{mbx}/domains?limit=1}",
	"list-mailing-lists.cursor": "{cursor:/api/v1/mailboxes/{mbx}/lists?limit=1}", "list-plan-messages.cursor": "{cursor:/api/v1/cleanup-plans/{pln}/messages}",
	"list-plan-messages.sender": "{sender}", "list-plan-messages.protected": "false", "get-job.wait": "0", "follow-job.Last-Event-ID": "1",
}

func (r *ground) document(ctx context.Context) (d document, err error) {
	err = r.api.Do(ctx, http.MethodGet, "/api/openapi.json", nil, &d)
	return d, err
}

// targets are all operations that take anything from their caller.
func (r *ground) targets(d document) (all []target) {
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			for _, t := range r.of(d, strings.ToUpper(method), path, d.Paths[path][method]) {
				if t.marks > 0 {
					all = append(all, t)
				}
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

// of is one operation's requests: with each of its bodies, and with a key in a header.
func (r *ground) of(d document, method, path string, op described) (all []target) {
	texts := []string{""}
	if content, has := op.RequestBody.Content["application/json"]; has {
		texts = r.bodies(d, op.OperationID, content.Schema)
	}
	for i, text := range texts {
		t := r.target(d, method, path, op, text)
		if i > 0 {
			t.variant = fmt.Sprint("-", i+1)
		}
		all = append(all, t)
	}
	if slices.ContainsFunc(op.Parameters, func(p parameter) bool { return p.Name == onceKey }) {
		t := r.target(d, method, path, op, texts[0])
		t.request = strings.ReplaceAll(t.request, mark, "")
		head, body, _ := strings.Cut(t.request, "\r\n\r\n")
		t.variant, t.marks, t.request = "-key", 1, head+"\r\n"+onceKey+": "+t.operation+mark+"\r\n\r\n"+body
		all = append(all, t)
	}
	return all
}

func (r *ground) target(d document, method, path string, op described, body string) target {
	query, headers := []string{}, []string{"Host: " + strings.TrimPrefix(r.API, "http://")}
	for _, p := range op.Parameters {
		value, is := given[op.OperationID+"."+p.Name]
		if value = r.filled(value); !is || strings.Contains(value, "{") {
			value = fmt.Sprint(r.example(d, p.Name, p.Schema, p.Description))
		}
		switch value += mark; {
		case p.In == "path":
			path = strings.Replace(path, "{"+p.Name+"}", value, 1)
		case p.In == "query":
			query = append(query, url.QueryEscape(p.Name)+"="+value)
		case p.In == "header" && p.Name != onceKey:
			headers = append(headers, p.Name+": "+value)
		}
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	if len(op.Security) > 0 {
		headers = append(headers, "Authorization: Bearer {token}")
	}
	if body != "" {
		headers = append(headers, "Content-Type: application/json") // sqlmap adds the length
	}
	raw := method + " " + path + " HTTP/1.1\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n" + body
	return target{op.OperationID, "", raw, strings.Count(raw, mark)}
}

// bodies are those that are written above, or one of the schema.
func (r *ground) bodies(d document, operation string, s schema) (all []string) {
	for text := range strings.Lines(bodies[operation]) {
		all = append(all, r.filled(strings.TrimSuffix(text, "\n")))
	}
	if len(all) > 0 {
		return all
	}
	raw, err := json.Marshal(marked(r.example(d, "", s, "")))
	if err != nil {
		panic(err) // it is made of maps and strings
	}
	return []string{string(raw)}
}

// filled puts what the customer has into a text; an id may stand inside of another's name.
func (r *ground) filled(text string) string {
	for range 2 {
		for kind, id := range r.ids {
			text = strings.ReplaceAll(text, "{"+kind+"}", id)
		}
	}
	return text
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
	case name == "$schema", name == "cookie": // which only a page may ask for
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
