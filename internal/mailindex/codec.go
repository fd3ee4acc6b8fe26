package mailindex

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// Segment is a piece of a stored index.
type Segment struct {
	Name string
	Data []byte
}

// codecVersion is the first byte of every segment. Version 1 had no disputed messages and a sweep's extent as a mere yes or no; up to version 2
// each part was one segment of one record, and the head did not count.
const codecVersion = 3

// ErrCorrupt is in the chain of every error of Decode that is not the segments' own.
var ErrCorrupt = errors.New("mailindex: not a stored index of this version")

const (
	maxSegment  = 256 << 20 // what a segment unpacks to at most
	fullSegment = 256 << 10 // what it holds, packed as it is, before the next is begun
	prefix      = 5         // the bytes before what is compressed: the version and the checksum
)

// part is a kind of records. They go into as few segments as hold them, so that nobody who stores or reads a large index has more of it than
// a segment in hand.
type part struct {
	name  string
	level int
	write func(*Index) iter.Seq[func(*writer)]
	read  func(*Index, *reader)
}

// parts are in the order of decoding.
var parts = []part{
	{"head", flate.DefaultCompression, (*Index).headRecords, (*Index).readHead},
	{"ids", flate.HuffmanOnly, (*Index).idRecords, (*Index).readIDs}, // nothing in ids repeats
	{"people", flate.DefaultCompression, (*Index).peopleRecords, (*Index).readPeople},
	{"rows", flate.DefaultCompression, (*Index).rowRecords, (*Index).readRows},
	{"sets", flate.DefaultCompression, (*Index).setRecords, (*Index).readSets},
}

// Encode gives the storable form, segment by segment in the order that Decode wants, which is that of their names too: at most 1 MiB per
// 100,000 messages, the same bytes for the same index. It ends with an error.
func (ix *Index) Encode() iter.Seq2[Segment, error] {
	return func(yield func(Segment, error) bool) {
		pack := packer{by: map[int]*flate.Writer{}}
		for _, p := range parts {
			for s, err := range pack.segments(p, p.write(ix)) {
				if err != nil {
					err = fmt.Errorf("encode %s: %w", p.name, err)
				}
				if !yield(s, err) || err != nil {
					return
				}
			}
		}
	}
}

// packer compresses. A compressor takes a megabyte: one serves all segments of a level.
type packer struct{ by map[int]*flate.Writer }

// segments packs a part's records.
func (p packer) segments(of part, records iter.Seq[func(*writer)]) iter.Seq2[Segment, error] {
	return func(yield func(Segment, error) bool) {
		next, stop := iter.Pull(records)
		defer stop()
		record, more := next()
		for n := 0; more; n++ {
			data, err := p.pack(of.level, func(w *writer) {
				for ; more && w.total() < fullSegment; record, more = next() {
					record(w)
				}
			})
			if !yield(Segment{segmentName(of.name, n), data}, err) || err != nil {
				return
			}
		}
	}
}

func segmentName(part string, n int) string {
	if n == 0 {
		return part
	}
	return fmt.Sprintf("%s.%03d", part, n)
}

// pack compresses what is written behind its version and checksum.
func (p packer) pack(level int, write func(*writer)) ([]byte, error) {
	z := p.by[level]
	if z == nil {
		var err error
		if z, err = flate.NewWriter(nil, level); err != nil {
			return nil, err
		}
		p.by[level] = z
	}
	b := bytes.NewBuffer(make([]byte, prefix))
	z.Reset(b)
	w := writer{to: z}
	write(&w)
	w.flush()
	if w.err == nil {
		w.err = z.Close()
	}
	b.Bytes()[0] = codecVersion
	binary.BigEndian.PutUint32(b.Bytes()[1:], w.sum)
	return b.Bytes(), w.err
}

// Decode reads what Encode gave, in its order; an error among the segments ends it. Anything else is ErrCorrupt, never a panic.
func Decode(segments iter.Seq2[Segment, error]) (*Index, error) {
	d := decoder{ix: newIndex(nil, 0)}
	for s, err := range segments {
		if err == nil {
			err = d.take(s)
		}
		if err != nil {
			return nil, err
		}
	}
	if !d.whole() {
		return nil, fmt.Errorf("decode: segments are missing: %w", ErrCorrupt)
	}
	d.ix.learned = false
	return d.ix, nil
}

// decoder has read so and so many segments of the last part, and all of those before it.
type decoder struct {
	ix       *Index
	part     int
	segments int
	counts   counts // by the head
}

func (d *decoder) take(s Segment) error {
	if d.segments > 0 && d.part+1 < len(parts) && s.Name == parts[d.part+1].name {
		d.part, d.segments = d.part+1, 0
	}
	if s.Name != segmentName(parts[d.part].name, d.segments) {
		return fmt.Errorf("decode %s: not in its place: %w", s.Name, ErrCorrupt)
	}
	payload, err := unpack(s.Data)
	if err != nil {
		return fmt.Errorf("decode %s: %w", s.Name, err)
	}
	r := reader{b: payload, version: s.Data[0], first: d.segments == 0, counts: &d.counts}
	for begun := false; !begun || len(r.b) > 0 && !r.bad; begun, r.first = true, false {
		parts[d.part].read(d.ix, &r)
	}
	if r.bad {
		return fmt.Errorf("decode %s: %w", s.Name, ErrCorrupt)
	}
	d.segments++
	return nil
}

// whole says whether all was there that the head counts.
func (d *decoder) whole() bool {
	if d.part != len(parts)-1 || d.segments == 0 || len(d.ix.roots) != len(d.ix.ids) {
		return false
	}
	return d.counts == (counts{}) || d.counts == d.ix.counts()
}

func unpack(data []byte) ([]byte, error) {
	if len(data) < prefix || data[0] == 0 || data[0] > codecVersion {
		return nil, ErrCorrupt
	}
	payload, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data[prefix:])), maxSegment))
	if err != nil || crc32.ChecksumIEEE(payload) != binary.BigEndian.Uint32(data[1:]) {
		return nil, ErrCorrupt
	}
	return payload, nil
}

// counts is how much an index holds.
type counts struct{ rows, people, dims int }

func (ix *Index) counts() counts { return counts{len(ix.ids), len(ix.people) - 1, len(ix.dims)} }

func one(write func(*writer)) iter.Seq[func(*writer)] {
	return func(yield func(func(*writer)) bool) { yield(write) }
}

// blocks are records of at most size of n things each, at least one.
func blocks(n, size int, write func(w *writer, from, to int)) iter.Seq[func(*writer)] {
	return func(yield func(func(*writer)) bool) {
		for from := 0; from == 0 || from < n; from += size {
			if !yield(func(w *writer) { write(w, from, min(from+size, n)) }) {
				return
			}
		}
	}
}

func (ix *Index) headRecords() iter.Seq[func(*writer)] { return one(ix.writeHead) }

func (ix *Index) writeHead(w *writer) {
	w.time(ix.AsOf)
	w.uint(ix.HistoryID)
	w.bool(ix.Categories)
	w.bool(ix.labeled)
	w.uint(uint64(len(ix.bounds)))
	for _, t := range ix.bounds {
		w.time(t)
	}
	w.uint(uint64(len(ix.labels)))
	for _, l := range ix.labels {
		w.text(l.ID)
		w.text(l.Name)
		w.bool(l.User)
		w.bool(l.Ours)
	}
	has := ix.counts()
	w.uint(uint64(has.rows))
	w.uint(uint64(has.people))
	w.uint(uint64(has.dims))
}

func (ix *Index) readHead(r *reader) {
	r.check(r.first)
	ix.AsOf, ix.HistoryID, ix.Categories, ix.labeled = r.time(), r.uint(), r.bool(), r.bool()
	for range r.count(maxSlice + 1) {
		ix.bounds = append(ix.bounds, r.time())
	}
	r.check(slices.IsSortedFunc(ix.bounds, time.Time.Compare))
	for range r.count(len(r.b)) {
		ix.labels = append(ix.labels, Label{ID: r.text(), Name: r.text(), User: r.bool(), Ours: r.bool()})
	}
	if r.version >= 3 {
		*r.counts = counts{r.count(math.MaxInt32), r.count(math.MaxInt32), r.count(math.MaxInt32)}
	}
}

var methods = [...]sweep.UnsubscribeMethod{sweep.NoWay, sweep.OneClick, sweep.Mailto, sweep.Link}

// peopleBlock is how many senders are one record.
const peopleBlock = 1 << 10

func (ix *Index) peopleRecords() iter.Seq[func(*writer)] {
	return blocks(len(ix.people)-1, peopleBlock, func(w *writer, from, to int) {
		w.uint(uint64(to - from))
		for _, p := range ix.people[1+from : 1+to] {
			w.text(p.address)
			w.text(p.name)
			w.text(packLists(p.lists))
			w.uint(uint64(max(0, slices.Index(methods[:], p.unsubscribe))))
			w.uint(uint64(p.swept))
		}
	})
}

func (ix *Index) readPeople(r *reader) {
	for range r.count(len(r.b)) {
		p, lists := person{address: r.text(), name: r.text()}, r.text()
		p.unsubscribe, p.swept = methods[r.count(len(methods)-1)], uint32(r.count(len(ix.ids)))
		p.lists = unpackLists(lists, p.unsubscribe)
		if r.version < 2 {
			p.swept = 0 // it was a yes or no: swept again before it is believed
		}
		ix.name(p)
	}
	r.check(len(ix.byAddr) == len(ix.people)-1)
}

// setRecords are one record for what every index has, then each dimension's.
func (ix *Index) setRecords() iter.Seq[func(*writer)] {
	return func(yield func(func(*writer)) bool) {
		more := yield(func(w *writer) {
			for _, s := range []*roaring.Bitmap{ix.live, ix.read, ix.fresh, ix.bare, ix.disputed} {
				w.set(s)
			}
			w.uint(0)
		})
		for _, name := range slices.Sorted(maps.Keys(ix.dims)) {
			more = more && yield(func(w *writer) {
				w.uint(1)
				w.text(name)
				w.set(ix.dims[name].yes)
				w.set(ix.dims[name].unknown)
			})
		}
	}
}

func (ix *Index) readSets(r *reader) {
	n := len(ix.ids)
	if r.first {
		ix.live, ix.read, ix.fresh, ix.bare = r.set(n), r.set(n), r.set(n), r.set(n)
		if r.version >= 2 {
			ix.disputed = r.set(n)
		}
	}
	for range r.count(len(r.b)) {
		ix.dims[r.text()] = &dimension{yes: r.set(n), unknown: r.set(n)}
	}
}
