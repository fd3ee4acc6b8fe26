package box

import (
	"slices"
	"sort"
)

// Record is one change of one message, as history.list tells it.
type Record struct {
	ID              uint64
	Message, Thread uint64
	*Change
}

// Change is what happened to a message. Records to whose messages the same happened share it, whatever page they are on.
type Change struct {
	Added, Deleted bool
	LabelsAdded    []string
	LabelsRemoved  []string
	Labels         []string // after the change; nil when deleted
}

// entry is a record as it is kept. before or after is setGone for an arrival or a deletion.
type entry struct {
	id            uint64
	row           uint32
	before, after uint32
}

type history struct {
	entries []entry
	floor   uint64 // records with this id and older are forgotten
	last    uint64
	limit   int
}

// record writes a change into the history; ids grow with random gaps, as Gmail's do.
func (b *Box) record(r, before, after uint32) {
	b.log.last += 1 + b.rng.Uint64N(40)
	b.hist[r] = b.log.last
	b.log.entries = append(b.log.entries, entry{id: b.log.last, row: r, before: before, after: after})
	if n := len(b.log.entries); n > b.log.limit {
		cut := n - b.log.limit*3/4
		b.log.floor = b.log.entries[cut-1].id
		b.log.entries = append([]entry(nil), b.log.entries[cut:]...)
	}
	if b.opt.Changed != nil {
		b.opt.Changed()
	}
}

// after gives the records behind an id.
func (h *history) after(id uint64) []entry {
	return h.entries[sort.Search(len(h.entries), func(i int) bool { return h.entries[i].id > id }):]
}

// HistoryID is the mailbox's newest history id.
func (b *Box) HistoryID() uint64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.log.last
}

// ExpireHistory forgets all records: every id handed out before is too old afterwards.
func (b *Box) ExpireHistory() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log.last += 1 + b.rng.Uint64N(40)
	b.log.floor = b.log.last
	b.log.entries = nil
}

// SetFloor forgets all records up to an id, which stays good to start from. One that is forgotten already, or not yet given out, changes nothing.
func (b *Box) SetFloor(id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id <= b.log.floor || id > b.log.last {
		return
	}
	b.log.floor = id
	b.log.entries = slices.Clone(b.log.after(id))
}

// HistoryQuery selects records after Start. Kinds empty means all; Label "" means any.
type HistoryQuery struct {
	Start, After uint64 // After: continue behind this record
	Kinds        map[string]bool
	Label        string
	Limit        int
}

// HistoryPage is one page of records, oldest first; More says that others follow the last one.
type HistoryPage struct {
	Records []Record
	Last    uint64 // the mailbox's newest history id
	More    bool
}

// History lists records; ok is false when Start is not known any more, or not yet.
func (b *Box) History(q HistoryQuery) (page HistoryPage, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	page.Last = b.log.last
	if q.Start < b.log.floor || q.Start > b.log.last {
		return page, false
	}
	want, any := b.historyLabel(q.Label)
	asked := asKinds(q.Kinds)
	for _, e := range b.log.after(max(q.Start, q.After)) {
		if !any && !want[e.before] && !want[e.after] {
			continue
		}
		change := b.told(e, asked)
		if change == nil {
			continue
		}
		if len(page.Records) == q.Limit {
			page.More = true
			break
		}
		page.Records = append(page.Records, Record{ID: e.id, Message: b.id[e.row], Thread: b.threadID(e.row), Change: change})
	}
	return page, true
}

// historyLabel: a record concerns a label if the message had it before or after the change.
func (b *Box) historyLabel(id string) (want []bool, any bool) {
	n, ok := b.labels.byID[id]
	if id == "" {
		return nil, true
	}
	return b.labels.where(func(s []uint16) bool { return ok && contains(s, n) }), false
}

// kinds are those of changes that are asked for.
type kinds struct{ added, deleted, labelAdded, labelRemoved bool }

func asKinds(names map[string]bool) kinds {
	if len(names) == 0 {
		return kinds{true, true, true, true}
	}
	return kinds{names["messageAdded"], names["messageDeleted"], names["labelAdded"], names["labelRemoved"]}
}

// tellKey is what the telling of an entry depends on. Label sets are for life.
type tellKey struct {
	before, after uint32
	kinds         kinds
}

// told is tell, said once for all entries of the same kind.
func (b *Box) told(e entry, k kinds) *Change {
	key := tellKey{e.before, e.after, k}
	c, known := b.tells.Load(key)
	if !known {
		c, _ = b.tells.LoadOrStore(key, b.tell(e, k))
	}
	return c.(*Change)
}

// tell says what an entry is about; nil when nobody wants to know.
func (b *Box) tell(e entry, k kinds) *Change {
	switch {
	case e.before == setGone && k.added:
		return &Change{Added: true, Labels: b.labels.names(e.after)}
	case e.after == setGone && k.deleted:
		return &Change{Deleted: true}
	case e.before == setGone || e.after == setGone:
		return nil
	}
	c := &Change{Labels: b.labels.names(e.after)}
	if k.labelAdded {
		c.LabelsAdded = b.labels.minus(e.after, e.before)
	}
	if k.labelRemoved {
		c.LabelsRemoved = b.labels.minus(e.before, e.after)
	}
	if len(c.LabelsAdded)+len(c.LabelsRemoved) == 0 {
		return nil
	}
	return c
}

// minus gives the ids of the labels in x that are not in y.
func (t *labelTable) minus(x, y uint32) []string {
	var out []string
	for _, l := range t.sets[x] {
		if !t.has(y, l) {
			out = append(out, t.all[l].ID)
		}
	}
	return out
}
