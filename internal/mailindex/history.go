package mailindex

import (
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// ChangeKind is what happened to a message.
type ChangeKind string

// The kinds of changes in Gmail's history.
const (
	Added    ChangeKind = "added"
	Deleted  ChangeKind = "deleted"
	Labelled ChangeKind = "labelled"
)

// Change is one entry of Gmail's history.
type Change struct {
	At      uint64 // the history id of its record; 0: unknown
	Kind    ChangeKind
	ID      sweep.MessageID
	Thread  sweep.ThreadID
	Labels  []string // the full set after the change; nil: unknown
	Added   []string
	Removed []string
}

// Touched is what changes were about.
type Touched struct {
	IDs     []sweep.MessageID
	Threads []sweep.ThreadID
}

// Apply takes in history, oldest first. Replaying history from an older id converges, as long as it goes on to the newest. The caller
// sets HistoryID. What is touched is listed once each, ascending.
func (ix *Index) Apply(changes []Change) Touched {
	ix.learned = ix.learned || len(changes) > 0
	ids, threads := map[sweep.MessageID]struct{}{}, map[sweep.ThreadID]struct{}{}
	for _, c := range changes {
		ix.apply(c)
		ids[c.ID] = struct{}{}
		if row, ok := ix.anyRow(c.ID); ok {
			threads[ix.thread(row)] = struct{}{}
		} else {
			threads[c.Thread] = struct{}{}
		}
	}
	return Touched{IDs: slices.Sorted(maps.Keys(ids)), Threads: slices.Sorted(maps.Keys(threads))}
}

// Changed is the rows that t is about: its messages, and everything in its threads.
func (ix *Index) Changed(t Touched) *roaring.Bitmap {
	s := ix.threadSet()
	for _, id := range t.Threads {
		s.add(id)
	}
	return roaring.Or(ix.Rows(t.IDs), s.rows())
}

func (ix *Index) apply(c Change) {
	row, known := ix.anyRow(c.ID)
	if c.Kind == Deleted {
		if known {
			ix.bury(row)
		}
		return
	}
	if !known {
		row = ix.add(c.ID, c.Thread)
	}
	if ix.live.CheckedAdd(row) && ix.slices[row] == noSlice && ix.dates.at(row) == 0 {
		ix.fresh.Add(row)
	}
	if c.Labels != nil {
		ix.setLabels(row, c.Labels)
		return
	}
	for _, l := range c.Added {
		ix.mark(row, l, true)
	}
	for _, l := range c.Removed {
		ix.mark(row, l, false)
	}
}

// bury takes a message out of every set. Its row stays, so that the others keep their numbers.
func (ix *Index) bury(row uint32) {
	for _, s := range []*roaring.Bitmap{ix.live, ix.read, ix.fresh, ix.disputed} {
		s.Remove(row)
	}
	for _, d := range ix.dims {
		d.yes.Remove(row)
		d.unknown.Add(row)
	}
	ix.bare.Add(row)
	ix.senders[row] = 0
	ix.sizes.set(row, 0)
}

// setLabels sets all labels of a message.
func (ix *Index) setLabels(row uint32, labels []string) {
	if ix.bare.Contains(row) {
		ix.bare.Remove(row)
	}
	for _, l := range labels {
		ix.mark(row, l, true)
	}
	for name, d := range ix.dims {
		if label, ok := labelOf(name); ok && !slices.Contains(labels, label) {
			d.put(row, false)
		}
	}
	if d := ix.dims[UserLabelsDimension]; d != nil {
		d.put(row, slices.ContainsFunc(labels, func(l string) bool { return !isSystemLabel(l) }))
	}
}

// mark adds a label to a message or takes it away. A label that the table does not have was made after the listing, so its set is known.
func (ix *Index) mark(row uint32, label string, on bool) {
	if ix.labeled && !isSystemLabel(label) && !slices.ContainsFunc(ix.labels, func(l Label) bool { return l.ID == label }) {
		ix.newLabel(label)
		ix.labels = append(ix.labels, Label{ID: label, Name: label, User: true})
	}
	d := ix.dims[LabelDimension(label)]
	if user := ix.dims[UserLabelsDimension]; user != nil && !isSystemLabel(label) {
		// Of what is left after a removal only the single labels could tell.
		if on {
			user.put(row, true)
		}
	}
	if d != nil {
		d.put(row, on)
	}
}

// put makes it known whether row is in the set. Most changes leave most sets as they are, and looking is far cheaper than writing into
// a run of rows.
func (d *dimension) put(row uint32, on bool) {
	if d.unknown.Contains(row) {
		d.unknown.Remove(row)
	}
	if d.yes.Contains(row) == on {
		return
	}
	if on {
		d.yes.Add(row)
	} else {
		d.yes.Remove(row)
	}
}

func labelOf(dimension string) (string, bool) {
	if len(dimension) < len(labelPrefix) || dimension[:len(labelPrefix)] != labelPrefix {
		return "", false
	}
	return dimension[len(labelPrefix):], true
}
