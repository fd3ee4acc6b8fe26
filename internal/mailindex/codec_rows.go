package mailindex

import (
	"iter"
	"math/bits"

	"mailsweep/internal/sweep"
)

// writeIDs stores the steps from id to id: their low bytes, which are chance, as they are, and the small rest.
func (ix *Index) writeIDs(w *writer) {
	sum := uint64(0)
	for step := range ix.steps() {
		sum += step / uint64(len(ix.ids))
	}
	low := bits.Len64(sum) / 8
	w.uint(uint64(len(ix.ids)))
	w.uint(uint64(ix.sorted))
	w.uint(uint64(low))
	for step := range ix.steps() {
		for i := range low {
			w.byte(byte(step >> (8 * i)))
		}
	}
	for step := range ix.steps() {
		w.uint(step >> (8 * low))
	}
}

// steps are the distances from id to id; those of rows out of order have a sign.
func (ix *Index) steps() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		last := uint64(0)
		for row, id := range ix.ids {
			step := uint64(id) - last
			if row >= ix.sorted {
				step = zigzag(int64(step))
			}
			if last = uint64(id); !yield(step) {
				return
			}
		}
	}
}

func (ix *Index) readIDs(r *reader) {
	n := r.count(len(r.b))
	sorted, low := r.count(n), r.count(8)
	raw := r.bytes(n * low)
	if r.bad {
		return
	}
	ix.sorted, ix.ids = sorted, make([]sweep.MessageID, n)
	last := uint64(0)
	for row := range n {
		step := r.uint() << (8 * low)
		for i := range low {
			step |= uint64(raw[row*low+i]) << (8 * i)
		}
		if row >= sorted {
			step = uint64(unzigzag(step))
		}
		r.check(row == 0 || row >= sorted || last+step > last)
		last += step
		ix.ids[row] = sweep.MessageID(last)
	}
	r.check(ix.indexTail())
}

// indexTail makes the lookup of the rows that are not in the order of their ids; false when an id occurs twice.
func (ix *Index) indexTail() bool {
	for row := ix.sorted; row < len(ix.ids); row++ {
		if _, twice := ix.anyRow(ix.ids[row]); twice {
			return false
		}
		ix.tail[ix.ids[row]] = uint32(row)
	}
	return true
}

func (ix *Index) writeRows(w *writer) {
	for row := range ix.ids {
		ix.writeThread(w, row)
	}
	last := uint16(0)
	for _, s := range ix.slices {
		w.int(int64(s) - int64(last))
		last = s
	}
	for _, n := range ix.senders {
		w.byte(byte(n))
	}
	for _, n := range ix.senders {
		w.uint(uint64(n >> 8))
	}
	ix.writeSparse(w, ix.dates, func(row int) int64 { return ix.ids[row].Time().Unix() })
	ix.writeSparse(w, ix.sizes, func(int) int64 { return 0 })
}

// writeThread: 0 is a thread of its own, 1 one whose first message the index does not hold, spelled out; above, how many rows away it is.
func (ix *Index) writeThread(w *writer, row int) {
	thread := sweep.MessageID(ix.threads[row])
	if thread == ix.ids[row] {
		w.uint(0)
		return
	}
	if first, ok := ix.anyRow(thread); ok {
		w.uint(zigzag(int64(row)-int64(first)) + 1)
		return
	}
	w.uint(1)
	w.uint(uint64(thread))
}

func (ix *Index) readThread(r *reader, row int) sweep.ThreadID {
	switch k := r.uint(); k {
	case 0:
		return sweep.ThreadID(ix.ids[row])
	case 1:
		return sweep.ThreadID(r.uint())
	default:
		first := int64(row) - unzigzag(k-1)
		if first < 0 || first >= int64(len(ix.ids)) {
			r.bad = true
			return 0
		}
		return sweep.ThreadID(ix.ids[first])
	}
}

func (ix *Index) readRows(r *reader) {
	n := len(ix.ids)
	ix.threads, ix.slices, ix.senders = make([]sweep.ThreadID, n), make([]uint16, n), make([]uint32, n)
	for row := range n {
		ix.threads[row] = ix.readThread(r, row)
	}
	last := int64(0)
	for row := range n {
		last += r.int()
		r.check(last >= 0 && last < int64(len(ix.bounds)-1) || last == int64(noSlice))
		ix.slices[row] = uint16(last)
	}
	low := r.bytes(n)
	if r.bad {
		return
	}
	for row := range n {
		sender := r.uint()<<8 | uint64(low[row])
		r.check(sender < uint64(len(ix.people)))
		ix.senders[row] = uint32(sender)
	}
	ix.dates = ix.readSparse(r, func(row int) int64 { return ix.ids[row].Time().Unix() })
	ix.sizes = ix.readSparse(r, func(int) int64 { return 0 })
}

// writeSparse stores the values that are not 0, each as its distance from what is expected of its row.
func (ix *Index) writeSparse(w *writer, values []uint32, expect func(row int) int64) {
	count := 0
	for _, v := range values {
		if v != 0 {
			count++
		}
	}
	w.uint(uint64(count))
	last := 0
	for row, v := range values {
		if v != 0 {
			w.uint(uint64(row - last))
			w.int(int64(v) - expect(row))
			last = row
		}
	}
}

func (ix *Index) readSparse(r *reader, expect func(row int) int64) []uint32 {
	values, row := make([]uint32, len(ix.ids)), 0
	for range r.count(len(ix.ids)) {
		row += r.count(len(ix.ids) - row)
		if row >= len(values) {
			r.bad = true
			return values
		}
		v := r.int() + expect(row)
		r.check(v > 0 && v < 1<<32)
		values[row] = uint32(v)
	}
	return values
}
