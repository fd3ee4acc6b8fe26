package gmail

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

func TestLeavesInGmailsWords(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 0)
	text := func(op sweep.Op, s string) sweep.Criteria { return sweep.Criteria{Op: op, Text: s} }
	for _, c := range []struct {
		leaf   sweep.Criteria
		q      string
		labels []string
	}{
		{text(sweep.ByCategory, "promotions"), "", []string{"CATEGORY_PROMOTIONS"}},
		{text(sweep.ByFrom, "news@shop.example"), `from:"news@shop.example"`, nil},
		{text(sweep.ByFrom, "@shop.example"), `from:"shop.example"`, nil},
		{text(sweep.ByFrom, "o'neil+x@shop.example"), `from:"o'neil+x@shop.example"`, nil},
		{text(sweep.ByListID, "weekly.shop.example"), `list:"weekly.shop.example"`, nil},
		{text(sweep.BySubject, "Your order -refund OR in:trash"), `subject:"Your order -refund OR in:trash"`, nil},
		{text(sweep.BySubject, `a" OR in:trash "b`), `subject:"a OR in:trash b"`, nil},
		{text(sweep.ByLabel, "Work/2024 (old)"), `label:"Work/2024 (old)"`, nil},
		{text(sweep.ByQuery, " a OR b "), "(a OR b)", nil},
		{text(sweep.In, "inbox"), "", []string{"INBOX"}},
		{text(sweep.In, "archive"), "-in:inbox -in:sent -in:drafts", nil},
		{text(sweep.In, "anywhere"), "", nil},
		{sweep.Criteria{Op: sweep.ByUnread, Flag: true}, "is:unread", nil},
		{sweep.Criteria{Op: sweep.ByUnread}, "is:read", nil},
		{sweep.Criteria{Op: sweep.HasAttachment, Flag: true}, "has:attachment", nil},
		{sweep.Criteria{Op: sweep.HasAttachment}, "-has:attachment", nil},
		{sweep.Criteria{Op: sweep.LargerThan, Number: 10_485_760}, "larger:10485761", nil},
		{sweep.Criteria{Op: sweep.SmallerThan, Number: 1_000}, "smaller:999", nil},
		{sweep.Criteria{Op: sweep.After, Time: at}, "after:1700000000", nil},
		{sweep.Criteria{Op: sweep.After, Time: at.Add(time.Millisecond)}, "after:1700000001", nil},
		{sweep.Criteria{Op: sweep.Before, Time: at}, "before:1699999999", nil},
	} {
		s, ok := SearchOf(c.leaf)
		if !ok || s.Q != c.q || !slices.Equal(s.LabelIDs, c.labels) {
			t.Errorf("%v: %+v %v, want %q %v", c.leaf, s, ok, c.q, c.labels)
		}
	}
}

func TestWhatGmailCannotBeAskedIsSaid(t *testing.T) {
	t.Parallel()
	leaf := sweep.Criteria{Op: sweep.BySubject, Text: "x"}
	for _, c := range []sweep.Criteria{
		{}, {Op: sweep.All, Kids: []sweep.Criteria{leaf}}, {Op: sweep.Not, Kids: []sweep.Criteria{leaf}},
		{Op: sweep.ByCategory, Text: "primary"}, {Op: sweep.ByCategory, Text: "other"}, {Op: sweep.Replied, Flag: true},
		{Op: sweep.OlderThanDays, Number: 3}, {Op: sweep.In, Text: "trash"}, {Op: sweep.BySubject, Text: "!!! “”"},
		{Op: sweep.ByQuery, Text: "a) OR (in:trash"}, {Op: sweep.ByQuery, Text: "(a"}, {Op: sweep.ByQuery, Text: `"a`},
		{Op: sweep.ByQuery, Text: "{a)"}, {Op: sweep.ByQuery, Text: "()"}, {Op: sweep.ByQuery, Text: "a\nb"},
	} {
		if s, ok := SearchOf(c); ok {
			t.Errorf("%v became %+v", c, s)
		}
	}
}

func TestATextNeverBecomesAnOperator(t *testing.T) {
	t.Parallel()
	ops := []sweep.Op{sweep.ByFrom, sweep.ByListID, sweep.BySubject, sweep.ByLabel}
	shape := regexp.MustCompile(`^(from|list|subject|label):"[^"\x00-\x1f\x7f\\“”„‟«»＂]*"$`)
	parts := []string{`"`, `\"`, `“`, `”`, " OR ", "in:trash", "-", "(", ")", "{", "}", "from:", "\n", "\x00", "a", "b c", "ß", "\u2028", "\\", "＂", "&q=", "日本"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.OneOf(rapid.SampledFrom(parts), rapid.String())).Draw(t, "parts"), "")
		s, ok := SearchOf(sweep.Criteria{Op: rapid.SampledFrom(ops).Draw(t, "op"), Text: text})
		if ok && (!shape.MatchString(s.Q) || len(s.LabelIDs) > 0) {
			t.Fatalf("%q became %q", text, s.Q)
		}
	})
}

func TestAQueryStaysInsideItsBrackets(t *testing.T) {
	t.Parallel()
	parts := []string{`"`, "(", ")", "{", "}", " OR ", "in:trash", "a", "-b ", `"c d"`}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom(parts)).Draw(t, "parts"), "")
		s, ok := SearchOf(sweep.Criteria{Op: sweep.ByQuery, Text: text})
		if !ok {
			return
		}
		depth, quoted := 0, false
		for i, r := range s.Q {
			switch {
			case r == '"':
				quoted = !quoted
			case quoted:
			case r == '(' || r == '{':
				depth++
			case r == ')' || r == '}':
				depth--
			}
			if depth == 0 && i < len(s.Q)-1 {
				t.Fatalf("%q leaves its brackets at %d", s.Q, i)
			}
		}
		if depth != 0 || quoted {
			t.Fatalf("%q is left open", s.Q)
		}
	})
}

func TestRangesReachOverTheirEdges(t *testing.T) {
	t.Parallel()
	from, to := time.Unix(1_000, 0), time.Unix(2_000, 1)
	for got, want := range map[string]string{
		During(from, to).Q: "after:999 before:2001", During(time.Time{}, to).Q: "before:2001", During(from, time.Time{}).Q: "after:999",
		During(from, time.Unix(2_000, 0)).And(Search{Q: "is:unread", LabelIDs: []string{"INBOX"}}).Q: "after:999 before:2000 is:unread",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
