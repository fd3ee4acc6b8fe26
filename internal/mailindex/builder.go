package mailindex

import (
	"container/heap"
	"fmt"
	"slices"
	"time"

	"mailsweep/internal/sweep"
)

// Builder gathers the listing of a whole mailbox, date slice by date slice.
type Builder struct {
	bounds []time.Time
	runs   []run
	torn   []sweep.MessageID
}

// run is results in the order of ids: the next one, and the rest.
type run struct {
	unpacker
	n     int
	slice uint16
	order int // of arrival: the first listing of an id wins
}

// NewBuilder starts an index of len(bounds)-1 date slices [bounds[i], bounds[i+1]). A zero first bound means "since ever".
func NewBuilder(bounds []time.Time) *Builder { return &Builder{bounds: utc(bounds)} }

func utc(times []time.Time) []time.Time {
	out := make([]time.Time, len(times))
	for i, t := range times {
		out[i] = t.UTC()
	}
	return out
}

// AddSlice adds results of listing slice i; pages may come in any order and the refs are copied. An id that two slices list
// (Gmail's seconds overlap at the edges) counts where it came first.
func (b *Builder) AddSlice(i int, refs []Ref) error {
	var p Packed
	p.Append(refs...)
	return b.AddPacked(i, p.Sorted())
}

// AddPacked is AddSlice for results in the order of ids.
func (b *Builder) AddPacked(i int, p Packed) error {
	if i < 0 || i >= len(b.bounds)-1 || i > maxSlice {
		return fmt.Errorf("mailindex: there is no date slice %d", i)
	}
	r := run{unpacker: unpacker{b: p.b}, n: p.n, slice: uint16(i), order: len(b.runs)}
	if r.next() {
		b.runs = append(b.runs, r)
	}
	return nil
}

// Finish makes the index. historyID must have been read before the listing began. SPAM and TRASH are known to be empty, as
// listings leave them out; every other dimension is unknown until it is set. Order of work: list, SetDimension, then Apply the
// history since historyID.
func (b *Builder) Finish(asOf time.Time, historyID uint64) *Index {
	total := 0
	for _, r := range b.runs {
		total += r.n
	}
	ix := newIndex(b.bounds, total)
	ix.AsOf, ix.HistoryID = asOf.UTC(), historyID
	b.merge(ix)
	n := len(ix.ids)
	ix.sorted = n
	ix.settleStrays()
	ix.senders = ix.senders[:n]
	ix.live.AddRange(0, uint64(n))
	b.runs = nil
	return ix
}

// Torn is, after Finish, the messages that two slices listed: to which of them they belong only their exact date tells.
func (b *Builder) Torn() []sweep.MessageID { return slices.Compact(b.torn) }

// merge walks all runs in the order of ids.
func (b *Builder) merge(ix *Index) {
	h := runHeap(b.runs)
	heap.Init(&h)
	for len(h) > 0 {
		top := &h[0]
		ref := top.head
		switch n := len(ix.ids); {
		case n == 0 || ix.ids[n-1] != ref.ID:
			ix.sorted = n
			ix.roots, ix.ids = append(ix.roots, ix.rootOf(uint32(n), ref.ID, ref.Thread)), append(ix.ids, ref.ID)
			ix.slices = append(ix.slices, top.slice)
		case ix.slices[n-1] != top.slice:
			b.torn = append(b.torn, ref.ID)
		}
		if top.next() {
			heap.Fix(&h, 0)
		} else {
			heap.Pop(&h)
		}
	}
}

type runHeap []run

func (h runHeap) Len() int { return len(h) }
func (h runHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	return a.head.ID < b.head.ID || a.head.ID == b.head.ID && a.order < b.order
}
func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)   { *h = append(*h, x.(run)) }
func (h *runHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
