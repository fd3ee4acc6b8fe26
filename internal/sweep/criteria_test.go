package sweep

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func drawLeaf(t *rapid.T) Criteria {
	text := func(op Op, values ...string) Criteria {
		return Criteria{Op: op, Text: rapid.SampledFrom(values).Draw(t, "text")}
	}
	number := func(op Op) Criteria { return Criteria{Op: op, Number: int64(rapid.IntRange(1, 6).Draw(t, "number"))} }
	instant := func(op Op) Criteria {
		return Criteria{Op: op, Time: noon.AddDate(0, 0, -rapid.IntRange(0, 6).Draw(t, "days"))}
	}
	switch op := rapid.SampledFrom([]Op{
		ByCategory, ByFrom, BySubject, OlderThanDays, NewerThanDays, Before, After, LargerThan, SmallerThan, ByUnread, HasAttachment, In, Replied,
	}).Draw(t, "op"); op {
	case ByCategory:
		return text(op, "primary", "social", "promotions")
	case ByFrom:
		return text(op, "a@b.example", "@b.example")
	case BySubject:
		return text(op, "sale", "hello")
	case In:
		return text(op, "inbox", "archive", "anywhere")
	case OlderThanDays, NewerThanDays, LargerThan, SmallerThan:
		return number(op)
	case Before, After:
		return instant(op)
	default:
		return Criteria{Op: op, Flag: rapid.Bool().Draw(t, "flag")}
	}
}

func drawTree(t *rapid.T, depth int) Criteria {
	if depth == 0 || rapid.IntRange(0, 2).Draw(t, "leaf") == 0 {
		return drawLeaf(t)
	}
	c := Criteria{Op: rapid.SampledFrom([]Op{All, Any, Not}).Draw(t, "group")}
	n := 1
	if c.Op != Not {
		n = rapid.IntRange(1, 4).Draw(t, "kids")
	}
	for range n {
		c.Kids = append(c.Kids, drawTree(t, depth-1))
	}
	return c
}

// mail is one message for the plain meaning of criteria.
type mail struct {
	category, where, from, subject string
	date                           time.Time
	size                           int64
	flags                          map[Op]bool
}

func drawMail(t *rapid.T) mail {
	pick := func(values ...string) string { return rapid.SampledFrom(values).Draw(t, "value") }
	m := mail{
		category: pick("primary", "social", "promotions"), where: pick("inbox", "archive"), from: pick("a@b.example", "c@d.example"), subject: pick("sale", "else"),
		date: noon.Add(-time.Duration(rapid.IntRange(0, 8*24).Draw(t, "hours")) * time.Hour), size: int64(rapid.IntRange(1, 8).Draw(t, "size")), flags: map[Op]bool{},
	}
	if m.category == "primary" {
		m.where = "inbox"
	}
	for _, op := range []Op{ByUnread, HasAttachment, Replied} {
		m.flags[op] = rapid.Bool().Draw(t, string(op))
	}
	return m
}

func (m mail) matches(c Criteria) bool {
	c = c.Freeze(noon)
	switch c.Op {
	case All, Any:
		for _, k := range c.Kids {
			if m.matches(k) == (c.Op == Any) {
				return c.Op == Any
			}
		}
		return c.Op == All
	case Not:
		return !m.matches(c.Kids[0])
	case ByCategory:
		return m.category == c.Text
	case ByFrom:
		return strings.HasSuffix(m.from, c.Text)
	case BySubject:
		return m.subject == c.Text
	case In:
		return c.Text == "anywhere" || c.Text == m.where
	case Before:
		return m.date.Before(c.Time)
	case After:
		return !m.date.Before(c.Time)
	case LargerThan:
		return m.size > c.Number
	case SmallerThan:
		return m.size < c.Number
	}
	return m.flags[c.Op] == c.Flag
}

// A refusal must be right: no message matches what is called a contradiction, every message what is called everything.
func TestContradictionsAndEverythingAreToldRightly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c, m := drawTree(t, 3), drawMail(t)
		got := m.matches(c)
		if c.MatchesNone() && got {
			t.Fatalf("%v is called a contradiction, but %+v matches", c, m)
		}
		if c.MatchesAll() && !got {
			t.Fatalf("%v is said to match everything, but not %+v", c, m)
		}
		if m.matches(c.negate()) == got {
			t.Fatalf("%v: the negation is wrong for %+v", c, m)
		}
	})
}

func TestCriteriaSurviveTheirJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawTree(t, 3)
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseCriteria(raw)
		if c.MatchesNone() {
			if CodeOf(err) != Invalid {
				t.Fatalf("%s: %v", raw, err)
			}
			return
		}
		if err != nil || !back.Equal(c) {
			t.Fatalf("%s: %v, %v", raw, back, err)
		}
	})
}

// A frozen tree means the same for ever, can be stored, and freezing it again changes nothing.
func TestFreezingFixesAges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawTree(t, 3)
		f := c.Freeze(noon.Add(999 * time.Millisecond))
		if f.Uses(OlderThanDays) || f.Uses(NewerThanDays) || !f.Freeze(noon.AddDate(1, 0, 0)).Equal(f) || !f.Equal(c.Freeze(noon)) {
			t.Fatalf("%v froze to %v", c, f)
		}
	})
	oldest := Criteria{Op: OlderThanDays, Number: maxDays}.Freeze(noon)
	raw, err := json.Marshal(oldest)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := ParseCriteria(raw); err != nil || !back.Equal(oldest) {
		t.Fatalf("the oldest age does not survive storing: %s, %v", raw, err)
	}
	want := time.Date(2025, 12, 1, 12, 0, 0, 0, time.UTC)
	if got := (Criteria{Op: OlderThanDays, Number: 90}).Freeze(noon); got.Op != Before || !got.Time.Equal(want) {
		t.Fatalf("90 days before %s is %s", noon, got.Time)
	}
}

func TestBadCriteriaAreRefused(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"not":`, 40) + `{"unread":true}` + strings.Repeat("}", 40)
	wide := `{"any":[` + strings.TrimSuffix(strings.Repeat(`{"unread":true},`, 5_000), ",") + `]}`
	for _, c := range []struct {
		raw  string
		code Code
		at   string
	}{
		{``, BadRequest, "criteria"},
		{`{"all":[`, BadRequest, "criteria"},
		{`{"unread":true} x`, BadRequest, ""},
		{`{"colour":"red"}`, BadRequest, "criteria"},
		{`{"all":[{"unread":true},{"Unread":true}]}`, BadRequest, "criteria.all[1]"},
		{`null`, Invalid, "criteria"},
		{`[]`, Invalid, "criteria"},
		{`{}`, Invalid, "criteria"},
		{`{"unread":true,"replied":true}`, Invalid, "criteria"},
		{`{"from":"a@b.example","from":"c@d.example"}`, Invalid, "criteria"},
		{`{"all":[]}`, Invalid, "criteria.all"},
		{`{"all":{"unread":true}}`, Invalid, "criteria.all"},
		{`{"not":[{"unread":true}]}`, Invalid, "criteria.not"},
		{`{"unread":"yes"}`, Invalid, "criteria.unread"},
		{`{"unread":null}`, Invalid, "criteria.unread"},
		{`{"older_than_days":0}`, Invalid, "criteria.older_than_days"},
		{`{"older_than_days":1.5}`, Invalid, "criteria.older_than_days"},
		{`{"older_than_days":36501}`, Invalid, "criteria.older_than_days"},
		{`{"larger_than":-1}`, Invalid, "criteria.larger_than"},
		{`{"before":"yesterday"}`, Invalid, "criteria.before"},
		{`{"before":"1969-12-31T23:59:59Z"}`, Invalid, "criteria.before"},
		{`{"category":"spam"}`, Invalid, "criteria.category"},
		{`{"in":"trash"}`, Invalid, "criteria.in"},
		{`{"from":"bank"}`, Invalid, "criteria.from"},
		{`{"from":"a@b.example OR in:anywhere"}`, Invalid, "criteria.from"},
		{`{"from":"a@b.example\""}`, Invalid, "criteria.from"},
		{`{"subject":"  "}`, Invalid, "criteria.subject"},
		{`{"subject":"a\nb"}`, Invalid, "criteria.subject"},
		{`{"subject":"` + strings.Repeat("x", 501) + `"}`, Invalid, "criteria.subject"},
		{deep, Invalid, ""},
		{wide, Invalid, ""},
	} {
		_, err := ParseCriteria([]byte(c.raw))
		var e *Error
		name := c.raw[:min(len(c.raw), 60)]
		if CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
			continue
		}
		if e, _ = err.(*Error); c.at != "" && (len(e.Fields) != 1 || e.Fields[0].Location != c.at) {
			t.Errorf("%s: fields %v, want %s", name, e.Fields, c.at)
		}
		if len(e.Fields) > 2 {
			t.Errorf("%s: %d fields", name, len(e.Fields))
		}
	}
}

func TestRefusalsNeverEchoTheValue(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t-value"
	for _, raw := range []string{
		`{"` + secret + `":1}`, `{"category":"` + secret + `"}`, `{"from":"` + secret + `"}`, `{"before":"` + secret + `"}`, `{"all":[{"x":{"` + secret + `":1}}]}`, secret,
	} {
		_, err := ParseCriteria([]byte(raw))
		if e, ok := err.(*Error); !ok || strings.Contains(fmt.Sprint(e.Error(), e.Fields, e.Data), secret) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestContradictionsAreFound(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		`{"all":[{"unread":true},{"unread":false}]}`,
		`{"all":[{"from":"a@b.example"},{"not":{"from":"A@B.example"}}]}`,
		`{"all":[{"older_than_days":90},{"newer_than_days":30}]}`,
		`{"all":[{"older_than_days":90},{"not":{"older_than_days":30}}]}`,
		`{"all":[{"before":"2026-01-01T00:00:00Z"},{"after":"2026-01-01T00:00:00Z"}]}`,
		`{"all":[{"larger_than":10},{"smaller_than":11}]}`,
		`{"all":[{"category":"social"},{"all":[{"category":"forums"}]}]}`,
		`{"all":[{"in":"inbox"},{"in":"anywhere"},{"in":"archive"}]}`,
		`{"all":[{"category":"primary"},{"in":"archive"}]}`,
		`{"not":{"in":"anywhere"}}`,
		`{"not":{"any":[{"unread":true},{"unread":false}]}}`,
		`{"any":[{"all":[{"replied":true},{"replied":false}]}]}`,
	} {
		if _, err := ParseCriteria([]byte(raw)); CodeOf(err) != Invalid {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestEverythingIsFound(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		`{"in":"anywhere"}`: true,
		`{"not":{"all":[{"unread":true},{"unread":false}]}}`:      true,
		`{"any":[{"unread":true},{"not":{"unread":true}}]}`:       true,
		`{"any":[{"older_than_days":30},{"newer_than_days":30}]}`: true,
		`{"any":[{"older_than_days":30},{"newer_than_days":90}]}`: true,
		`{"any":[{"older_than_days":90},{"newer_than_days":30}]}`: false,
		`{"any":[{"larger_than":10},{"smaller_than":11}]}`:        true,
		`{"any":[{"larger_than":10},{"smaller_than":10}]}`:        false,
		`{"all":[{"in":"anywhere"},{"unread":true}]}`:             false,
		`{"all":[{"in":"anywhere"},{"in":"anywhere"}]}`:           true,
		`{"in":"inbox"}`: false,
	} {
		if c, err := ParseCriteria([]byte(raw)); err != nil || c.MatchesAll() != want {
			t.Errorf("%s: matches all %v, %v", raw, c.MatchesAll(), err)
		}
	}
}

func FuzzParseCriteria(f *testing.F) {
	f.Add([]byte(`{"all":[{"category":"promotions"},{"older_than_days":90},{"not":{"from":"@bank.example"}}]}`))
	f.Add([]byte(`{"any":[{"before":"2026-01-01T00:00:00+02:00"},{"query":"a OR b"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseCriteria(raw)
		if err != nil {
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseCriteria(again); err != nil || !back.Equal(c) {
			t.Fatalf("%s became %s: %v", raw, again, err)
		}
	})
}
