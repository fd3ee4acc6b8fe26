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
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// Segment is a named part of a stored index.
type Segment struct {
	Name string
	Data []byte
}

// codecVersion is the first byte of every segment. Version 1 had no disputed messages and a sweep's extent as a mere yes or no.
const codecVersion = 2

// ErrCorrupt is in the chain of every error of Decode.
var ErrCorrupt = errors.New("mailindex: not a stored index of this version")

// The segments, in the order of decoding.
const (
	segmentHead   = "head"
	segmentIDs    = "ids"
	segmentRows   = "rows"
	segmentPeople = "people"
	segmentSets   = "sets"
)

// maxSegment bounds what a segment unpacks to.
const maxSegment = 256 << 20

// prefix is the bytes before what is compressed: the version and the checksum.
const prefix = 5

// Encode gives the storable form, segment by segment, so that whoever stores them holds one at a time: at most 1 MiB per 100,000 messages, the
// same bytes for the same index. It ends with an error.
func (ix *Index) Encode() iter.Seq2[Segment, error] {
	return func(yield func(Segment, error) bool) {
		level, z := 0, (*flate.Writer)(nil) // a compressor takes a megabyte: one serves all segments of a level
		for _, part := range []struct {
			name  string
			level int
			write func(*writer)
		}{
			{segmentHead, flate.DefaultCompression, ix.writeHead},
			{segmentRows, flate.DefaultCompression, ix.writeRows},
			{segmentPeople, flate.DefaultCompression, ix.writePeople},
			{segmentSets, flate.DefaultCompression, ix.writeSets},
			{segmentIDs, flate.HuffmanOnly, ix.writeIDs}, // nothing in ids repeats
		} {
			var err error
			if part.level != level {
				level = part.level
				z, err = flate.NewWriter(nil, level)
			}
			var data []byte
			if err == nil {
				data, err = pack(z, part.write)
			}
			if err != nil {
				yield(Segment{}, fmt.Errorf("encode %s: %w", part.name, err))
				return
			}
			if !yield(Segment{part.name, data}, nil) {
				return
			}
		}
	}
}

// Decode reads what Encode wrote. Anything else is an error, never a panic.
func Decode(segments []Segment) (*Index, error) {
	ix := newIndex(nil, 0)
	for _, part := range []struct {
		name string
		read func(*reader)
	}{
		{segmentHead, ix.readHead}, {segmentIDs, ix.readIDs}, {segmentPeople, ix.readPeople}, {segmentRows, ix.readRows}, {segmentSets, ix.readSets},
	} {
		i := slices.IndexFunc(segments, func(s Segment) bool { return s.Name == part.name })
		if i < 0 {
			return nil, fmt.Errorf("decode: no segment %s: %w", part.name, ErrCorrupt)
		}
		payload, err := unpack(segments[i].Data)
		if err != nil {
			return nil, fmt.Errorf("decode %s: %w", part.name, err)
		}
		r := reader{b: payload, version: segments[i].Data[0]}
		part.read(&r)
		if r.bad || len(r.b) > 0 {
			return nil, fmt.Errorf("decode %s: %w", part.name, ErrCorrupt)
		}
	}
	ix.learned = false
	return ix, nil
}

// pack compresses what is written behind its version and checksum.
func pack(z *flate.Writer, write func(*writer)) ([]byte, error) {
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
}

func (ix *Index) readHead(r *reader) {
	ix.AsOf, ix.HistoryID, ix.Categories, ix.labeled = r.time(), r.uint(), r.bool(), r.bool()
	for range r.count(maxSlice + 1) {
		ix.bounds = append(ix.bounds, r.time())
	}
	r.check(slices.IsSortedFunc(ix.bounds, time.Time.Compare))
	for range r.count(len(r.b)) {
		ix.labels = append(ix.labels, Label{ID: r.text(), Name: r.text(), User: r.bool(), Ours: r.bool()})
	}
}

var methods = [...]sweep.UnsubscribeMethod{sweep.NoWay, sweep.OneClick, sweep.Mailto, sweep.Link}

func (ix *Index) writePeople(w *writer) {
	w.uint(uint64(len(ix.people) - 1))
	for _, p := range ix.people[1:] {
		w.text(p.address)
		w.text(p.name)
		w.text(packLists(p.lists))
		w.uint(uint64(max(0, slices.Index(methods[:], p.unsubscribe))))
		w.uint(uint64(p.swept))
	}
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

func (ix *Index) writeSets(w *writer) {
	for _, s := range []*roaring.Bitmap{ix.live, ix.read, ix.fresh, ix.bare, ix.disputed} {
		w.set(s)
	}
	w.uint(uint64(len(ix.dims)))
	for _, name := range slices.Sorted(maps.Keys(ix.dims)) {
		w.text(name)
		w.set(ix.dims[name].yes)
		w.set(ix.dims[name].unknown)
	}
}

func (ix *Index) readSets(r *reader) {
	n := len(ix.ids)
	ix.live, ix.read, ix.fresh, ix.bare = r.set(n), r.set(n), r.set(n), r.set(n)
	if r.version >= 2 {
		ix.disputed = r.set(n)
	}
	for range r.count(len(r.b)) {
		ix.dims[r.text()] = &dimension{yes: r.set(n), unknown: r.set(n)}
	}
}
