package query

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func (n Node) show() string {
	switch n.Kind {
	case Not:
		return "-" + n.Kids[0].show()
	case Term:
		return n.Op + ":" + n.Value
	}
	var kids []string
	for _, k := range n.Kids {
		kids = append(kids, k.show())
	}
	return map[Kind]string{All: "all", Any: "any"}[n.Kind] + "(" + strings.Join(kids, ", ") + ")"
}

func TestQueryIsReadAsGmailReadsIt(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                 "all()",
		"from:a@b.c":                       "from:a@b.c",
		"from:a subject:b":                 "all(from:a, subject:b)",
		"a OR b":                           "any(:a, :b)",
		"a AND b":                          "all(:a, :b)",
		"{from:a from:b}":                  "any(from:a, from:b)",
		"from:{a b}":                       "any(from:a, from:b)",
		"from:(a OR b) -in:inbox":          "all(any(from:a, from:b), -in:inbox)",
		`subject:"free money" has:nothing`: "all(subject:free money, has:nothing)",
		`"a phrase" word`:                  "all(:a phrase, :word)",
		"-{a b}":                           "-any(:a, :b)",
		"http://x":                         ":http://x",
		"oreo":                             ":oreo",
		"a) b":                             "all(:a, :b)",
		"(a":                               ":a",
		"FROM:A":                           "from:A",
		"from: a":                          "from:a",
		"a - b":                            "all(:a, :-, :b)",
		"in:anywhere {is:unread is:starred} larger:10M": "all(in:anywhere, any(is:unread, is:starred), larger:10M)",
	} {
		if got := Parse(in, false).show(); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	if got := Parse("label:a b c label:d", true).show(); got != "all(label:a b c, label:d)" {
		t.Errorf("words after a value are swallowed with the switch: %s", got)
	}
}

func TestNoTextStopsTheParser(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom([]rune("ab:(){}\"-+ ORfrom\x00é"))).Draw(t, "query")
		done := make(chan struct{})
		go func() { Parse(s, true); close(done) }()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Fatalf("no end for %q", s)
		}
	})
}

func TestTextIsSplitIntoWholeTokens(t *testing.T) {
	t.Parallel()
	line := Line(`"Amazon, Inc." <Ship-Confirm@amazon.com.au>`)
	for value, want := range map[string]bool{"amazon.com": true, "amazon": true, "amazo": false, "confirm@amazon": true, "com.amazon": false, "@amazon.com": true} {
		if got := strings.Contains(line, Line(value)); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}
