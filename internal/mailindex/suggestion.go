package mailindex

import (
	"cmp"
	"slices"
	"strconv"

	"mailsweep/internal/sweep"
)

// Bulk senders worth a suggestion, and how many of them are suggested at most.
const (
	bulkMessages      = 50
	bulkUnreadPercent = 80
	bulkSuggestions   = 10
)

// suggestions are the cleanups worth previewing, most messages first. Each counts what its plan would hold: Select with every
// protection on.
func (ix *Index) suggestions(senders []sweep.Sender, size sizing, o SelectOptions) []sweep.Suggestion {
	out := []sweep.Suggestion{}
	for _, s := range slices.Concat(tabSuggestions(), sweep.Presets(), ix.bulkSuggestions(senders)) {
		spec := sweep.CleanupSpec{Action: s.Action, Criteria: s.Criteria, Protect: sweep.ProtectAll()}
		rows := ix.Select(spec, o).ToClean
		if s.Messages, s.Bytes = int(rows.GetCardinality()), size.sum(rows).Estimate; s.Messages > 0 {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b sweep.Suggestion) int { return cmp.Compare(b.Messages, a.Messages) })
	return out
}

func all(kids ...sweep.Criteria) sweep.Criteria { return sweep.Criteria{Op: sweep.All, Kids: kids} }

func older(days int64) sweep.Criteria {
	return sweep.Criteria{Op: sweep.OlderThanDays, Number: days}
}

// tab is mail of a category that is older than so many days.
func tab(c sweep.Category, days int64) sweep.Criteria {
	return all(sweep.Criteria{Op: sweep.ByCategory, Text: string(c)}, older(days))
}

func tabSuggestions() []sweep.Suggestion {
	big := all(sweep.Criteria{Op: sweep.LargerThan, Number: bigMail}, older(365))
	return []sweep.Suggestion{
		{Title: "Promotions older than 90 days", Criteria: tab(sweep.Promotions, 90), Action: sweep.Trash},
		{Title: "Social mail older than 60 days", Criteria: tab(sweep.Social, 60), Action: sweep.Trash},
		{Title: "Forums older than 90 days", Criteria: tab(sweep.Forums, 90), Action: sweep.Archive},
		{Title: "Mail over 10 MB older than a year", Criteria: big, Action: sweep.Trash},
	}
}

// bulkSuggestions are the biggest senders of list mail that goes unread.
func (ix *Index) bulkSuggestions(senders []sweep.Sender) (out []sweep.Suggestion) {
	for _, s := range senders {
		if len(out) == bulkSuggestions || s.Messages < bulkMessages {
			break
		}
		p := ix.people[ix.byAddr[s.Address]]
		list := len(p.lists) > 0 || p.unsubscribe != sweep.NoWay
		// An address that the criteria would refuse, such as one with a quoted local part, cannot be suggested.
		c, err := sweep.ParseCriteria([]byte(`{"from":` + strconv.Quote(s.Address) + `}`))
		if !list || err != nil || s.Unread*100 < s.Messages*bulkUnreadPercent {
			continue
		}
		out = append(out, sweep.Suggestion{Title: "Unread list mail from " + s.Address, Criteria: c, Action: sweep.Trash})
	}
	return out
}
