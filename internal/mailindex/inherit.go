package mailindex

import "time"

// Inherit takes over from another index of the same mailbox what it knows of messages that both hold and what never changes: sender, size,
// date, and what of it was read. Labels, dates' slices and history stay as they are. Where the two disagree, a read outweighs a search, and
// a search that one of them disproves is not believed.
func (ix *Index) Inherit(old *Index) {
	if old == nil {
		return
	}
	ix.learned = true
	h := heir{ix: ix, old: old, rows: old.rowsIn(ix), people: map[uint32]uint32{0: 0}, distrusted: map[uint32]bool{0: true}}
	h.doubts()
	h.reads()
	h.searches()
}

// heir is an index on its way to take over from an older one.
type heir struct {
	ix, old    *Index
	rows       []int64           // of each old row the new one, -1: none
	people     map[uint32]uint32 // of each old number the new one
	distrusted map[uint32]bool   // old numbers whose search the new index disproves
}

// rowsIn gives for each row the one that holds the same message in another index, -1 where none does.
func (ix *Index) rowsIn(other *Index) []int64 {
	rows := make([]int64, len(ix.ids))
	for row, id := range ix.ids {
		rows[row] = -1
		if there, ok := other.Row(id); ok && ix.live.Contains(uint32(row)) {
			rows[row] = int64(there)
		}
	}
	return rows
}

// doubts finds the searches of the old index that the new one knows better: a message that it read is another's, or somebody the old one had
// not met has mail that the search must find.
func (h *heir) doubts() {
	for row, to := range h.rows {
		n := h.old.senders[row]
		if to >= 0 && n != 0 && !h.old.read.Contains(uint32(row)) && h.ix.read.Contains(uint32(to)) &&
			h.ix.people[h.ix.senders[to]].address != h.old.people[n].address {
			h.distrusted[n] = true
		}
	}
	for _, p := range h.ix.people[1:] {
		if _, met := h.old.byAddr[p.address]; met {
			continue
		}
		for _, n := range h.old.finders(p.address) {
			h.distrusted[n] = true
		}
	}
}

// person is the new number of one of the old index.
func (h *heir) person(n uint32) uint32 {
	if to, ok := h.people[n]; ok {
		return to
	}
	was := h.old.people[n]
	to := h.ix.person(was.address)
	h.ix.describe(to, Header{Name: was.name, Unsubscribe: was.unsubscribe})
	for _, l := range was.lists {
		h.ix.people[to].describeList(l.ID, l.Unsubscribe)
	}
	h.people[n] = to
	return to
}

func (h *heir) reads() {
	met := map[uint32]bool{}
	for it := h.old.read.Iterator(); it.HasNext(); {
		row := it.Next()
		to := h.rows[row]
		if to < 0 || h.ix.read.Contains(uint32(to)) {
			continue
		}
		n := h.person(h.old.senders[row])
		if !met[n] {
			h.ix.meet(n)
			met[n] = true
		}
		h.ix.settle(uint32(to), n)
		h.ix.sizes.set(uint32(to), h.old.sizes.at(row))
		if d := h.old.dates.at(row); d != 0 {
			h.ix.learnDate(uint32(to), time.Unix(int64(d), 0))
		}
	}
}

// searches hands over what only a search gave to a sender. What the two give to different ones is nobody's until it is read.
func (h *heir) searches() {
	for row, to := range h.rows {
		n := h.old.senders[row]
		if to < 0 || h.ix.read.Contains(uint32(to)) || h.ix.disputed.Contains(uint32(to)) {
			continue
		}
		mine := h.ix.senders[to]
		switch {
		case h.old.disputed.Contains(uint32(row)):
			h.ix.dispute(uint32(to))
		case h.distrusted[n]:
		case mine == 0:
			h.ix.senders[to] = h.person(n)
		case mine != h.person(n):
			h.ix.dispute(uint32(to))
		}
	}
}
