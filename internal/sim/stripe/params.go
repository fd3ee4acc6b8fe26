package stripe

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// params are a request's: a[b][0][c]=v under the name a[b][0][c]. What nobody reads is refused, as Stripe refuses unknown names.
type params struct {
	values url.Values
	seen   map[string]bool
}

func readParams(r *http.Request) (p params, err error) {
	if err := r.ParseForm(); err != nil {
		return p, invalid("", "cannot read the form: %v", err)
	}
	return params{values: r.Form, seen: map[string]bool{}}, nil
}

// text is one value, "" when it is not there.
func (p params) text(name string) string {
	p.seen[name] = true
	return p.values.Get(name)
}

func (p params) has(name string) bool { return p.values.Has(name) }

func (p params) number(name string, fallback int64) (int64, error) {
	s := p.text(name)
	if s == "" {
		return fallback, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, invalid(name, "Invalid integer: %s", s)
	}
	return n, nil
}

func (p params) flag(name string, fallback bool) (bool, error) {
	switch s := p.text(name); s {
	case "":
		return fallback, nil
	case "true", "false":
		return s == "true", nil
	default:
		return false, invalid(name, "Invalid boolean: %s", s)
	}
}

// one is a value out of a few.
func (p params) one(name, fallback string, of ...string) (string, error) {
	s := p.text(name)
	if s == "" {
		return fallback, nil
	}
	if !slices.Contains(of, s) {
		return "", invalid(name, "Invalid %s: must be one of %s", name, strings.Join(of, ", "))
	}
	return s, nil
}

// table is a[x]=v by x, such as metadata.
func (p params) table(name string) map[string]string {
	t := map[string]string{}
	for key, values := range p.values {
		if inner, is := strings.CutPrefix(key, name+"["); is && strings.Count(inner, "]") == 1 && strings.HasSuffix(inner, "]") && len(values) > 0 {
			p.seen[key] = true
			t[strings.TrimSuffix(inner, "]")] = values[0]
		}
	}
	return t
}

// rows are the indices of name[0], name[1] …, in order.
func (p params) rows(name string) (rows []string) {
	for i := 0; ; i++ {
		row := fmt.Sprintf("%s[%d]", name, i)
		found := false
		for key := range p.values {
			found = found || key == row || strings.HasPrefix(key, row+"[")
		}
		if !found {
			return rows
		}
		rows = append(rows, row)
	}
}

// texts are name[0], name[1] … as values.
func (p params) texts(name string) (list []string) {
	for _, row := range p.rows(name) {
		list = append(list, p.text(row))
	}
	return list
}

// skip says that everything below a name is known and of no matter here.
func (p params) skip(names ...string) {
	for key := range p.values {
		for _, name := range names {
			if key == name || strings.HasPrefix(key, name+"[") {
				p.seen[key] = true
			}
		}
	}
}

func (p params) unread() error {
	for key := range p.values {
		if !p.seen[key] && !strings.HasPrefix(key, "expand[") {
			return &fail{status: http.StatusBadRequest, Type: "invalid_request_error", Code: "parameter_unknown", Message: "Received unknown parameter: " + key, Param: key}
		}
	}
	return nil
}
