package mailindex

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
)

// chunk is how much a writer gathers before it hands it on.
const chunk = 64 << 10

// writer hands values on in chunks, and sums them up; the first error stays.
type writer struct {
	to     io.Writer
	b      []byte
	handed int // bytes
	sum    uint32
	err    error
}

// total is how many bytes were written.
func (w *writer) total() int { return w.handed + len(w.b) }

// flush hands on what was gathered.
func (w *writer) flush() {
	w.sum = crc32.Update(w.sum, crc32.IEEETable, w.b)
	if w.err == nil {
		_, w.err = w.to.Write(w.b)
	}
	w.handed += len(w.b)
	w.b = w.b[:0]
}

func (w *writer) spill() {
	if len(w.b) >= chunk {
		w.flush()
	}
}

func (w *writer) uint(v uint64) {
	w.b = binary.AppendUvarint(w.b, v)
	w.spill()
}

func (w *writer) int(v int64) { w.uint(zigzag(v)) }

func (w *writer) byte(v byte) {
	w.b = append(w.b, v)
	w.spill()
}

func (w *writer) bool(v bool) {
	if v {
		w.byte(1)
		return
	}
	w.byte(0)
}

func (w *writer) text(s string) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
	w.spill()
}

// bytes is text for what may be large: it is handed on as it is.
func (w *writer) bytes(b []byte) {
	w.uint(uint64(len(b)))
	w.flush()
	kept := w.b
	w.b = b
	w.flush()
	w.b = kept
}

func (w *writer) time(t time.Time) {
	w.int(t.Unix())
	w.uint(uint64(t.Nanosecond()))
}

func (w *writer) set(s *roaring.Bitmap) {
	s = s.Clone()
	s.RunOptimize()
	b, err := s.ToBytes()
	if err != nil && w.err == nil {
		w.err = err
	}
	w.bytes(b)
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// reader takes values off a payload. After the first mistake everything reads as zero and bad stays.
type reader struct {
	b       []byte
	bad     bool
	version byte // of the codec that wrote it
	first   bool // what comes is its segment's first record, and the segment its part's
	counts  *counts
}

func (r *reader) check(ok bool) { r.bad = r.bad || !ok }

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || r.bad {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 { return unzigzag(r.uint()) }

// count reads a number of at most limit.
func (r *reader) count(limit int) int {
	v := r.uint()
	if v > uint64(max(limit, 0)) {
		r.bad = true
		return 0
	}
	return int(v)
}

func (r *reader) bytes(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) bool() bool {
	b := r.bytes(1)
	return len(b) == 1 && b[0] != 0
}

func (r *reader) text() string { return string(r.bytes(r.count(len(r.b)))) }

func (r *reader) time() time.Time {
	sec, nsec := r.int(), r.count(999_999_999)
	return time.Unix(sec, int64(nsec)).UTC()
}

// set reads a set of rows below n.
func (r *reader) set(n int) *roaring.Bitmap {
	s, raw := roaring.New(), r.bytes(r.count(len(r.b)))
	if r.bad {
		return s
	}
	if err := s.UnmarshalBinary(raw); err != nil || s.Validate() != nil || !s.IsEmpty() && int(s.Maximum()) >= n {
		r.bad = true
		return roaring.New()
	}
	return s
}
