package mailindex

import (
	"cmp"
	"slices"

	"mailsweep/internal/sweep"
)

// Largest is the n largest messages outside spam and trash, as far as sizes are known: those that were read by their size, the others by the
// least that their class of the ladder lets them have. Of the smallest class nothing is told.
func (ix *Index) Largest(n int) []sweep.LargeMessage {
	size := ix.sizing()
	type weighed struct {
		row  uint32
		size int64
	}
	var heavy []weighed
	for it := ix.counted().Iterator(); it.HasNext(); {
		row := it.Next()
		at := int64(ix.sizes.at(row))
		if at == 0 {
			at = size.low[size.class[row]]
		}
		if at > 0 {
			heavy = append(heavy, weighed{row, at})
		}
	}
	slices.SortFunc(heavy, func(a, b weighed) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(ix.ids[a.row], ix.ids[b.row]))
	})
	out := []sweep.LargeMessage{}
	for _, w := range heavy[:min(n, len(heavy))] {
		out = append(out, sweep.LargeMessage{ID: ix.ids[w.row].String(), Sender: ix.people[ix.senders[w.row]].address, Date: ix.around(w.row), Size: w.size, Exact: ix.sizes.at(w.row) != 0})
	}
	return out
}
