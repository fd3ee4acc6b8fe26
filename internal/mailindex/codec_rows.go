package mailindex

import (
	"iter"
	"math/bits"

	"mailsweep/internal/sweep"
)

// rowsBlock is how many messages are one record.
const rowsBlock = 1 << 15

func (ix *Index) idRecords() iter.Seq[func(*writer)] {
	return blocks(len(ix.ids), rowsBlock, ix.writeIDs)
}

// writeIDs stores the steps from id to id: their low bytes, which are chance, as they are, and the small rest.
func (ix *Index) writeIDs(w *writer, from, to int) {
	sum := uint64(0)
	for step := range ix.steps(from, to) {
		sum += step / uint64(to-from)
	}
	low := bits.Len64(sum) / 8
	w.uint(uint64(to - from))
	w.uint(uint64(max(0, min(ix.sorted, to)-from)))
	w.uint(uint64(low))
	for step := range ix.steps(from, to) {
		for i := range low {
			w.byte(byte(step >> (8 * i)))
		}
	}
	for step := range ix.steps(from, to) {
		w.uint(step >> (8 * low))
	}
}

// steps are the distances from id to id; those of rows out of order have a sign.
func (ix *Index) steps(from, to int) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		last := uint64(ix.idBefore(from))
		for row := from; row < to; row++ {
			id := uint64(ix.ids[row])
			step := id - last
			if row >= ix.sorted {
				step = zigzag(int64(step))
			}
			if last = id; !yield(step) {
				return
			}
		}
	}
}

func (ix *Index) idBefore(row int) sweep.MessageID {
	if row == 0 {
		return 0
	}
	return ix.ids[row-1]
}

func (ix *Index) readIDs(r *reader) {
	from, n := len(ix.ids), r.count(len(r.b))
	if r.first {
		rows := max(n, min(r.counts.rows, 1<<20))
		ix.ids, ix.senders, ix.roots, ix.slices = make([]sweep.MessageID, 0, rows), make([]uint32, 0, rows), make([]uint32, 0, rows), make([]uint16, 0, rows)
	}
	sorted, low := r.count(n), r.count(8)
	raw := r.bytes(n * low)
	if r.bad {
		return
	}
	r.check(sorted == 0 || ix.sorted == from)
	ix.sorted += sorted
	last := uint64(ix.idBefore(from))
	for i := range n {
		step := r.uint() << (8 * low)
		for k := range low {
			step |= uint64(raw[i*low+k]) << (8 * k)
		}
		if i >= sorted {
			step = uint64(unzigzag(step))
		}
		r.check(from+i == 0 || i >= sorted || last+step > last)
		last += step
		ix.ids = append(ix.ids, sweep.MessageID(last))
	}
	r.check(ix.indexTail(from))
}

// indexTail makes the lookup of the rows from one on that are not in the order of their ids; false when an id occurs twice.
func (ix *Index) indexTail(from int) bool {
	for row := max(from, ix.sorted); row < len(ix.ids); row++ {
		if _, twice := ix.anyRow(ix.ids[row]); twice {
			return false
		}
		ix.tail[ix.ids[row]] = uint32(row)
	}
	return true
}

func (ix *Index) rowRecords() iter.Seq[func(*writer)] {
	return blocks(len(ix.ids), rowsBlock, ix.writeRows)
}

func (ix *Index) writeRows(w *writer, from, to int) {
	for row := from; row < to; row++ {
		ix.writeRoot(w, row)
	}
	last := uint16(0)
	for _, s := range ix.slices[from:to] {
		w.int(int64(s) - int64(last))
		last = s
	}
	for _, n := range ix.senders[from:to] {
		w.byte(byte(n))
	}
	for _, n := range ix.senders[from:to] {
		w.uint(uint64(n >> 8))
	}
	writeColumn(w, &ix.dates, from, to, ix.arrived)
	writeColumn(w, &ix.sizes, from, to, func(int) int64 { return 0 })
}

// arrived is what is expected of a message's date, in epoch seconds.
func (ix *Index) arrived(row int) int64 { return ix.ids[row].Time().Unix() }

// writeRoot: 0 is a thread of its own, 1 one whose first message the index does not hold, spelled out; above, how many rows away it is.
func (ix *Index) writeRoot(w *writer, row int) {
	root := ix.roots[row]
	if root&stray != 0 {
		thread := ix.strays[root&^stray]
		first, ok := ix.anyRow(sweep.MessageID(thread))
		if !ok {
			w.uint(1)
			w.uint(uint64(thread))
			return
		}
		root = first
	}
	if int(root) == row {
		w.uint(0)
		return
	}
	w.uint(zigzag(int64(row)-int64(root)) + 1)
}

func (ix *Index) readRoot(r *reader, row int) uint32 {
	switch k := r.uint(); k {
	case 0:
		return uint32(row)
	case 1:
		return ix.newStray(sweep.ThreadID(r.uint()))
	default:
		first := int64(row) - unzigzag(k-1)
		if first < 0 || first >= int64(len(ix.ids)) {
			r.bad = true
			return 0
		}
		return uint32(first)
	}
}

// readRows reads a record. Until version 2 there was one for all.
func (ix *Index) readRows(r *reader) {
	from := len(ix.roots)
	to := min(from+rowsBlock, len(ix.ids))
	if r.version < 3 {
		to = len(ix.ids)
	}
	r.check(from < to || to == 0)
	for row := from; row < to && !r.bad; row++ {
		ix.roots = append(ix.roots, ix.readRoot(r, row))
	}
	last := int64(0)
	for row := from; row < to && !r.bad; row++ {
		last += r.int()
		r.check(last >= 0 && last < int64(len(ix.bounds)-1) || last == int64(noSlice))
		ix.slices = append(ix.slices, uint16(last))
	}
	low := r.bytes(to - from)
	for row := from; row < to && !r.bad; row++ {
		sender := r.uint()<<8 | uint64(low[row-from])
		r.check(sender < uint64(len(ix.people)))
		ix.senders = append(ix.senders, uint32(sender))
	}
	readColumn(r, &ix.dates, from, to, ix.arrived)
	readColumn(r, &ix.sizes, from, to, func(int) int64 { return 0 })
}

// writeColumn stores the values of the rows [from, to) that have one, each as its distance from what is expected of its row.
func writeColumn(w *writer, c *column, from, to int, expect func(row int) int64) {
	count := 0
	for range c.within(from, to) {
		count++
	}
	w.uint(uint64(count))
	last := from
	for row, v := range c.within(from, to) {
		w.uint(uint64(row - last))
		w.int(int64(v) - expect(row))
		last = row
	}
}

func readColumn(r *reader, c *column, from, to int, expect func(row int) int64) {
	row := from
	for range r.count(to - from) {
		row += r.count(to - row)
		if row >= to {
			r.bad = true
			return
		}
		v := r.int() + expect(row)
		r.check(v > 0 && v < 1<<32)
		c.set(uint32(row), uint32(v))
	}
}
