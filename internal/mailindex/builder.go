package mailindex

import (
	"cmp"
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
}

// run is one page of results, in the order of ids.
type run struct {
	refs  []Ref
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
	if i < 0 || i >= len(b.bounds)-1 || i > maxSlice {
		return fmt.Errorf("mailindex: there is no date slice %d", i)
	}
	if len(refs) == 0 {
		return nil
	}
	refs = slices.Clone(refs)
	slices.SortStableFunc(refs, func(a, b Ref) int { return cmp.Compare(a.ID, b.ID) })
	b.runs = append(b.runs, run{refs: refs, slice: uint16(i), order: len(b.runs)})
	return nil
}

// Finish makes the index. historyID must have been read before the listing began. SPAM and TRASH are known to be empty, as
// listings leave them out; every other dimension is unknown until it is set. Order of work: list, SetDimension, then Apply the
// history since historyID.
func (b *Builder) Finish(asOf time.Time, historyID uint64) *Index {
	total := 0
	for _, r := range b.runs {
		total += len(r.refs)
	}
	ix := newIndex(b.bounds, total)
	ix.AsOf, ix.HistoryID = asOf.UTC(), historyID
	b.merge(ix)
	n := len(ix.ids)
	ix.sorted = n
	ix.dates, ix.sizes, ix.senders = ix.dates[:n], ix.sizes[:n], ix.senders[:n]
	ix.live.AddRange(0, uint64(n))
	b.runs = nil
	return ix
}

// merge walks all runs in the order of ids.
func (b *Builder) merge(ix *Index) {
	h := runHeap(b.runs)
	heap.Init(&h)
	for len(h) > 0 {
		top := &h[0]
		ref := top.refs[0]
		if n := len(ix.ids); n == 0 || ix.ids[n-1] != ref.ID {
			ix.ids, ix.threads = append(ix.ids, ref.ID), append(ix.threads, ref.Thread)
			ix.slices = append(ix.slices, top.slice)
		}
		if top.refs = top.refs[1:]; len(top.refs) == 0 {
			heap.Pop(&h)
			continue
		}
		heap.Fix(&h, 0)
	}
}

type runHeap []run

func (h runHeap) Len() int { return len(h) }
func (h runHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	return a.refs0() < b.refs0() || a.refs0() == b.refs0() && a.order < b.order
}
func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)   { *h = append(*h, x.(run)) }
func (h *runHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// refs0 is the id at the head of the run; an emptied run is on its way out and sorts last.
func (r run) refs0() sweep.MessageID {
	if len(r.refs) == 0 {
		return ^sweep.MessageID(0)
	}
	return r.refs[0].ID
}

// Extend adds the listing of the time from the last bound to until: messages not seen before join, fresh ones get their date
// slice. Their labels stay as history told them. It says how many were not known before.
func (ix *Index) Extend(until time.Time, refs []Ref) (added int, err error) {
	until = until.UTC()
	older := make([]sweep.MessageID, len(refs))
	for i, r := range refs {
		older[i] = r.ID
		if _, known := ix.anyRow(r.ID); !known {
			ix.add(r.ID, r.Thread)
			added++
		}
	}
	if n := len(ix.bounds); n == 0 || until.After(ix.bounds[n-1]) {
		if n > maxSlice {
			return added, fmt.Errorf("mailindex: too many date slices")
		}
		ix.bounds = append(ix.bounds, until)
		ix.place(n-1, older)
		return added, nil
	}
	return added, ix.Split(until, older)
}

// place gives fresh rows among ids the date slice.
func (ix *Index) place(slice int, ids []sweep.MessageID) {
	for _, id := range ids {
		if row, ok := ix.anyRow(id); ok && slice >= 0 && ix.slices[row] == noSlice && ix.dates[row] == 0 {
			ix.slices[row] = uint16(slice)
			ix.fresh.Remove(row)
		}
	}
}

// Split makes at a bound; older is the listing from the start of the slice that holds it up to at. Messages of the slice that are
// not in it lie in [at, end). Fresh messages in it get their slice.
func (ix *Index) Split(at time.Time, older []sweep.MessageID) error {
	at = at.UTC()
	i, ok := ix.sliceOf(at)
	if !ok {
		return fmt.Errorf("mailindex: %s lies outside the listed dates", at.Format(time.RFC3339))
	}
	if len(ix.bounds) > maxSlice {
		return fmt.Errorf("mailindex: too many date slices")
	}
	if ix.bounds[i].Equal(at) {
		return nil
	}
	ix.bounds = slices.Insert(ix.bounds, i+1, at)
	before := flat(ix.Rows(older))
	for row, s := range ix.slices {
		moved := int(s) > i || int(s) == i && !ix.isBefore(uint32(row), at, before)
		if s != noSlice && moved {
			ix.slices[row]++
		}
	}
	ix.place(i, older)
	return nil
}

func (ix *Index) isBefore(row uint32, at time.Time, older words) bool {
	if d := ix.dates[row]; d != 0 {
		return int64(d) < at.Unix()
	}
	return older.has(row)
}
