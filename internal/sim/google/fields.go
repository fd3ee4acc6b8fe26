package google

import (
	"net/http"
	"reflect"
	"strings"

	"mailsweep/internal/sim/google/box"
)

// mask is a fields parameter: names with what is wanted below them; an empty mask wants all.
type mask map[string]mask

// readMask reads a fields parameter. A name that the answer's type does not have is refused.
func readMask(fields string, t reflect.Type) (mask, error) {
	if fields == "" {
		return nil, nil
	}
	m, rest := parseMask(fields)
	bad := ""
	if rest == "" {
		bad = m.unknown(t)
	}
	if rest != "" || bad != "" {
		return nil, &refusal{code: http.StatusBadRequest, reason: "invalidParameter", location: "fields", message: "Invalid field selection " + bad + rest}
	}
	return m, nil
}

// in says whether a field is wanted, and what of it.
func (m mask) in(name string) (below mask, wanted bool) {
	if len(m) == 0 {
		return nil, true
	}
	below, wanted = m[name]
	if !wanted {
		below, wanted = m["*"]
	}
	return below, wanted
}

// parseMask reads "a,b/c,d(e,f)" up to a closing bracket or the end; rest is what could not be read.
func parseMask(s string) (m mask, rest string) {
	m = mask{}
	for s != "" {
		i := strings.IndexAny(s, ",/()")
		if i < 0 {
			i = len(s)
		}
		name := strings.TrimSpace(s[:i])
		if name == "" {
			return m, s
		}
		s = s[i:]
		var below mask
		below, s = parseBelow(s)
		m.merge(name, below)
		if s == "" || s[0] == ')' {
			return m, s
		}
		if s[0] != ',' {
			return m, s
		}
		s = s[1:]
	}
	return m, s
}

// parseBelow reads what stands behind a name: "/path" or "(list)".
func parseBelow(s string) (mask, string) {
	if s == "" {
		return mask{}, s
	}
	switch s[0] {
	case '/':
		i := strings.IndexAny(s[1:], ",/()")
		if i < 0 {
			i = len(s) - 1
		}
		below, rest := parseBelow(s[1+i:])
		return mask{strings.TrimSpace(s[1 : 1+i]): below}, rest
	case '(':
		below, rest := parseMask(s[1:])
		if rest == "" || rest[0] != ')' {
			return below, "("
		}
		return below, rest[1:]
	}
	return mask{}, s
}

func (m mask) merge(name string, below mask) {
	old, ok := m[name]
	if !ok {
		m[name] = below
		return
	}
	if len(old) == 0 || len(below) == 0 {
		m[name] = mask{}
		return
	}
	for k, v := range below {
		old.merge(k, v)
	}
}

// unknown names a wanted field that the type does not have.
func (m mask) unknown(t reflect.Type) string {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		t = t.Elem()
	}
	if t == reflect.TypeFor[box.Record]() {
		t = reflect.TypeFor[historyRecord]()
	}
	for name, below := range m {
		if name == "*" {
			continue
		}
		if t == nil || t.Kind() != reflect.Struct {
			return name
		}
		f, ok := fieldNamed(t, name)
		if !ok {
			return name
		}
		if bad := below.unknown(f); bad != "" {
			return bad
		}
	}
	return ""
}

func fieldNamed(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		if tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); tag == name {
			return t.Field(i).Type, true
		}
	}
	return nil, false
}
