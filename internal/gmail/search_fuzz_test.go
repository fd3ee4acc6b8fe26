package gmail_test

import (
	"testing"

	"mailsweep/internal/gmail"
	"mailsweep/internal/sim/google/query"
	"mailsweep/internal/sweep"
)

// FuzzSearch: whatever a customer writes, what stands beside it in the search still holds: a text stays one condition of its own operator, and a
// query inside its brackets.
func FuzzSearch(f *testing.F) {
	for _, s := range []string{`a" OR in:trash "b`, "x) OR (in:trash", "{a b}", "-", "from:(a b)", "“”", "a\\\" b", "(a OR \"b)\")", "AROUND 5", "x OR", `a"b`, "OR", "label:a AND"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, swallow bool) {
		limit := gmail.Search{Q: "after:5"}
		for _, op := range []sweep.Op{sweep.ByFrom, sweep.BySubject, sweep.ByListID, sweep.ByLabel, sweep.ByQuery} {
			s, ok := gmail.SearchOf(sweep.Criteria{Op: op, Text: text})
			if !ok {
				continue
			}
			n := query.Parse(s.And(limit).Q, swallow)
			if n.Kind != query.All || len(n.Kids) != 2 || n.Kids[1].Kind != query.Term || n.Kids[1].Op != "after" || n.Kids[1].Value != "5" {
				t.Fatalf("%q becomes %q, read as %+v", text, s.Q, n)
			}
			if op != sweep.ByQuery && (n.Kids[0].Kind != query.Term || n.Kids[0].Op == "") {
				t.Fatalf("%q becomes %q, read as %+v", text, s.Q, n)
			}
		}
	})
}
