package sweep

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a criteria tree: generous for people, small for the index.
const (
	maxNodes = 500
	maxDepth = 16
	maxText  = 500
	maxDays  = 36_500
)

// ParseCriteria reads and checks a tree. What is no JSON or has an unknown key is BadRequest; what makes no sense is Invalid
// with the fields that are wrong; values are never echoed.
func ParseCriteria(raw []byte) (Criteria, error) {
	p := parser{}
	c := p.node(raw, "criteria", 0)
	if p.unread || !json.Valid(raw) {
		return Criteria{}, &Error{Code: BadRequest, Detail: "the criteria could not be read", Fields: p.fields}
	}
	if len(p.fields) > 0 {
		return Criteria{}, &Error{Code: Invalid, Detail: "the criteria are not valid", Fields: p.fields}
	}
	if c.MatchesNone() {
		return Criteria{}, Errorf(Invalid, "the criteria contradict themselves: no message can match").At("criteria", "contradicts itself")
	}
	return c, nil
}

type parser struct {
	fields []Field
	nodes  int
	unread bool // something is not in the language at all
}

func (p *parser) bad(at, format string, args ...any) Criteria {
	p.fields = append(p.fields, Field{Location: at, Message: fmt.Sprintf(format, args...)})
	return Criteria{}
}

func (p *parser) node(raw []byte, at string, depth int) Criteria {
	p.nodes++
	if p.nodes > maxNodes || depth >= maxDepth {
		return p.bad(at, "too large: at most %d nodes, %d deep", maxNodes, maxDepth)
	}
	key, value, ok := onlyKey(raw)
	if !ok {
		return p.bad(at, "must be an object with exactly one key")
	}
	return p.keyed(Op(key), value, at+"."+key, depth)
}

// onlyKey takes an object of one key apart. A key that is given twice is two keys: decoding into a map would silently drop the first.
func onlyKey(raw []byte) (key string, value json.RawMessage, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return "", nil, false
	}
	name, err := d.Token()
	key, isKey := name.(string)
	if err != nil || !isKey || d.Decode(&value) != nil {
		return "", nil, false
	}
	end, err := d.Token()
	return key, value, err == nil && end == json.Delim('}')
}

func (p *parser) keyed(op Op, raw json.RawMessage, at string, depth int) Criteria {
	switch op {
	case All, Any:
		return p.group(op, raw, at, depth)
	case Not:
		return Criteria{Op: Not, Kids: []Criteria{p.node(raw, at, depth+1)}}
	case ByUnread, HasAttachment, Replied:
		return p.flag(op, raw, at)
	case OlderThanDays, NewerThanDays:
		return p.number(op, raw, at, maxDays)
	case LargerThan, SmallerThan:
		return p.number(op, raw, at, 1<<40)
	case Before, After:
		return p.instant(op, raw, at)
	case ByCategory, ByFrom, ByListID, BySubject, ByLabel, In, ByQuery:
		return p.text(op, raw, at)
	}
	p.unread = true
	p.fields = append(p.fields, Field{Location: strings.TrimSuffix(at, "."+string(op)), Message: "has an unknown key"})
	return Criteria{}
}

func (p *parser) group(op Op, raw json.RawMessage, at string, depth int) Criteria {
	var kids []json.RawMessage
	if json.Unmarshal(raw, &kids) != nil || len(kids) == 0 {
		return p.bad(at, "must be a list with at least one node")
	}
	c := Criteria{Op: op}
	for i, k := range kids {
		if p.nodes > maxNodes {
			break // said once
		}
		c.Kids = append(c.Kids, p.node(k, fmt.Sprintf("%s[%d]", at, i), depth+1))
	}
	return c
}

func (p *parser) flag(op Op, raw json.RawMessage, at string) Criteria {
	var v *bool
	if json.Unmarshal(raw, &v) != nil || v == nil {
		return p.bad(at, "must be true or false")
	}
	return Criteria{Op: op, Flag: *v}
}

func (p *parser) number(op Op, raw json.RawMessage, at string, limit int64) Criteria {
	var v *int64
	if json.Unmarshal(raw, &v) != nil || v == nil || *v < 1 || *v > limit {
		return p.bad(at, "must be a whole number from 1 to %d", limit)
	}
	return Criteria{Op: op, Number: *v}
}

func (p *parser) instant(op Op, raw json.RawMessage, at string) Criteria {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return p.bad(at, "must be an RFC 3339 time")
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() < 1970 || t.Year() > 2200 {
		return p.bad(at, "must be an RFC 3339 time")
	}
	return Criteria{Op: op, Time: t.UTC().Truncate(time.Second)}
}

func (p *parser) text(op Op, raw json.RawMessage, at string) Criteria {
	var s string
	if json.Unmarshal(raw, &s) != nil || strings.TrimSpace(s) == "" || utf8.RuneCountInString(s) > maxText || strings.ContainsAny(s, "\x00\r\n") {
		return p.bad(at, "must be a text of 1 to %d characters on one line", maxText)
	}
	s = strings.TrimSpace(s)
	switch op {
	case ByCategory:
		if !slices.Contains(Categories(), Category(s)) {
			return p.bad(at, "must be primary, social, promotions, updates or forums")
		}
	case In:
		if !slices.Contains([]string{"inbox", "archive", "anywhere"}, s) {
			return p.bad(at, "must be inbox, archive or anywhere")
		}
	case ByFrom:
		s = strings.ToLower(s)
		if !senderPattern(s) {
			return p.bad(at, "must be an address or @domain")
		}
	}
	return Criteria{Op: op, Text: s}
}

// senderPattern accepts local@domain and @domain; quotes and blanks would let text out into Gmail's search language.
func senderPattern(s string) bool {
	i := strings.LastIndexByte(s, '@')
	return i >= 0 && i < len(s)-1 && !strings.ContainsAny(s, " \t\"\\(){}<>,;:") && !strings.Contains(s[:i], "@")
}

// MarshalJSON writes the one-key form that ParseCriteria reads.
func (c Criteria) MarshalJSON() ([]byte, error) {
	var value any
	switch c.Op {
	case All, Any:
		value = c.Kids
	case Not:
		value = c.Kids[0]
	case ByUnread, HasAttachment, Replied:
		value = c.Flag
	case OlderThanDays, NewerThanDays, LargerThan, SmallerThan:
		value = c.Number
	case Before, After:
		value = c.Time.UTC().Format(time.RFC3339)
	case "":
		return []byte("null"), nil
	default:
		value = c.Text
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(map[Op]any{c.Op: value})
	return bytes.TrimSpace(b.Bytes()), err
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Criteria) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		*c = Criteria{}
		return nil
	}
	parsed, err := ParseCriteria(raw)
	*c = parsed
	return err
}
