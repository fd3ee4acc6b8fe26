package mailindex

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

// differences names the parts in which two indexes differ.
func differences(a, b *Index) (out []string) {
	check := func(name string, same bool) {
		if !same {
			out = append(out, name)
		}
	}
	sets := func(x *Index) []*roaring.Bitmap {
		return []*roaring.Bitmap{x.live, x.read, x.fresh, x.bare, x.disputed}
	}
	check("head", a.AsOf.Equal(b.AsOf) && a.HistoryID == b.HistoryID && a.Categories == b.Categories && a.labeled == b.labeled)
	check("bounds", slices.EqualFunc(a.bounds, b.bounds, time.Time.Equal))
	check("ids", slices.Equal(a.ids, b.ids) && a.sorted == b.sorted && maps.Equal(a.tail, b.tail))
	check("threads", slices.Equal(threadsOfAll(a), threadsOfAll(b)))
	check("slices", slices.Equal(a.slices, b.slices))
	check("dates", maps.Equal(maps.Collect(a.dates.all()), maps.Collect(b.dates.all())))
	check("sizes", maps.Equal(maps.Collect(a.sizes.all()), maps.Collect(b.sizes.all())))
	check("senders", slices.Equal(a.senders, b.senders) && reflect.DeepEqual(a.people, b.people) && maps.Equal(a.byAddr, b.byAddr))
	check("sets", slices.EqualFunc(sets(a), sets(b), func(x, y *roaring.Bitmap) bool { return x.Equals(y) }))
	check("dimensions", maps.EqualFunc(a.dims, b.dims, func(x, y *dimension) bool { return x.yes.Equals(y.yes) && x.unknown.Equals(y.unknown) }))
	check("labels", slices.Equal(a.labels, b.labels))
	return out
}

func threadsOfAll(ix *Index) (list []sweep.ThreadID) {
	for row := range ix.ids {
		list = append(list, ix.thread(uint32(row)))
	}
	return list
}

// decode is Decode of segments that are all at hand.
func decode(segments []Segment) (*Index, error) {
	return Decode(func(yield func(Segment, error) bool) {
		for _, s := range segments {
			if !yield(s, nil) {
				return
			}
		}
	})
}

// stored is all segments of an index.
func stored(ix *Index) (segments []Segment, err error) {
	for s, err := range ix.Encode() {
		if err != nil {
			return nil, err
		}
		segments = append(segments, s)
	}
	return segments, nil
}

// restored is the index as it comes back when it was stored, and in what it was.
func restored(t interface{ Fatal(args ...any) }, ix *Index) (*Index, []Segment) {
	segments, err := stored(ix)
	if err != nil {
		t.Fatal(err)
	}
	back, err := decode(segments)
	if err != nil {
		t.Fatal(err)
	}
	return back, segments
}

func TestDecodeGivesBackWhatWasEncoded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBox(t)
		ix := b.index(t)
		b.meet(t, ix)
		ix.Apply(b.drawChanges(t))
		back, segments := restored(t, ix)
		if d := differences(ix, back); len(d) > 0 {
			t.Fatalf("differs in %v", d)
		}
		again, err := stored(back)
		if err != nil || !slices.EqualFunc(segments, again, func(x, y Segment) bool { return bytes.Equal(x.Data, y.Data) }) {
			t.Fatalf("encoded again it is not the same: %v", err)
		}
	})
}

func TestCorruptSegmentsAreErrors(t *testing.T) {
	t.Parallel()
	good, err := stored(threeLetters().known())
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		missing := slices.Delete(slices.Clone(good), i, i+1)
		if _, err := decode(missing); !errors.Is(err, ErrCorrupt) {
			t.Errorf("without %s: %v", good[i].Name, err)
		}
		for at := range good[i].Data {
			bad := slices.Clone(good)
			bad[i].Data = slices.Clone(bad[i].Data)
			bad[i].Data[at] ^= 0x10
			if ix, err := decode(bad); err == nil && len(differences(ix, threeLetters().known())) > 0 {
				t.Errorf("%s: a flipped bit at %d went unseen", good[i].Name, at)
			}
		}
	}
	if _, err := decode(nil); err == nil {
		t.Error("nothing was decoded")
	}
}

// FuzzDecode feeds payloads behind a right checksum, so that the decoders themselves are tried.
func FuzzDecode(f *testing.F) {
	good, err := stored(threeLetters().known())
	if err != nil {
		f.Fatal(err)
	}
	for i, s := range good {
		payload, err := unpack(s.Data)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, payload)
	}
	f.Fuzz(func(t *testing.T, i int, payload []byte) {
		bad := slices.Clone(good)
		i = int(uint(i) % uint(len(bad)))
		data, err := (packer{map[int]*flate.Writer{}}).pack(1, func(w *writer) { w.b = slices.Clone(payload) })
		if err != nil {
			t.Fatal(err)
		}
		bad[i].Data = data
		ix, err := decode(bad)
		if err != nil {
			return
		}
		// What was taken in must be usable.
		ix.Analysis(SelectOptions{Now: modelNow})
		if _, err := stored(ix); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStoredIndexIsSmall(t *testing.T) {
	t.Parallel()
	ix := bigIndex(100_000, 3_000)
	segments, err := stored(ix)
	if err != nil {
		t.Fatal(err)
	}
	total, parts := 0, ""
	for _, s := range segments {
		total += len(s.Data)
		parts += fmt.Sprintf(" %s %d", s.Name, len(s.Data))
	}
	t.Logf("%d bytes:%s", total, parts)
	if total > 1<<20 {
		t.Errorf("%d bytes for 100,000 messages", total)
	}
	back, err := decode(segments)
	if err != nil || len(differences(ix, back)) > 0 {
		t.Fatalf("not the same: %v", err)
	}
	if back.Len() != ix.Len() || sweep.MessageID(0) == back.ids[0] {
		t.Fatal("rows lost")
	}
}
