package mailindex

import (
	"maps"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

// sameLabels compares what two indexes know of messages outside spam and trash, which a listing leaves out.
func sameLabels(t *rapid.T, ix, rebuilt *Index) {
	counted := func(x *Index) []sweep.MessageID { return x.IDs(x.counted(), OldestFirst) }
	a, b := counted(ix), counted(rebuilt)
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		t.Fatalf("messages %v, rebuilt %v", a, b)
	}
	for name := range maps.Keys(rebuilt.dims) {
		if _, ok := labelOf(name); !ok {
			continue
		}
		in := func(x *Index) []sweep.MessageID {
			ids := []sweep.MessageID{}
			if d := x.Dimension(name); d != nil {
				ids = x.IDs(roaring.And(d, x.counted()), OldestFirst)
			}
			slices.Sort(ids)
			return ids
		}
		if !slices.Equal(in(ix), in(rebuilt)) {
			t.Fatalf("%s: %v, rebuilt %v", name, in(ix), in(rebuilt))
		}
	}
}

// Applying history gives what a new listing gives; applying it once more changes nothing.
func TestApplyEqualsRebuild(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBox(t)
		ix := b.index(t)
		changes := b.drawChanges(t)
		touched := ix.Apply(changes)
		visible := &box{now: b.now, bounds: b.bounds, labels: b.labels}
		for _, l := range b.letters {
			if !l.labels[sweep.LabelSpam] && !l.labels[sweep.LabelTrash] {
				visible.letters = append(visible.letters, l)
			}
		}
		rebuilt := visible.known()
		sameLabels(t, ix, rebuilt)
		if ix.Len() != len(b.letters) {
			t.Fatalf("%d messages, the mailbox has %d", ix.Len(), len(b.letters))
		}
		ix.Apply(changes)
		sameLabels(t, ix, rebuilt)
		for _, c := range changes {
			if !slices.Contains(touched.IDs, c.ID) || !slices.Contains(touched.Threads, c.Thread) {
				t.Fatalf("%v is not told as touched", c)
			}
		}
	})
}

func TestFreshMailIsPlacedByAListing(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix := b.known()
	ix.Apply([]Change{{Kind: Added, ID: 1, Thread: 1, Labels: []string{sweep.LabelInbox}}, {Kind: Added, ID: 2, Thread: 2, Labels: []string{}}})
	newer := sweep.Criteria{Op: sweep.After, Time: day(-1)}
	if v := ix.Evaluate(newer, nil); ix.Fresh().GetCardinality() != 2 || v.Maybe.GetCardinality() != 2 {
		t.Fatalf("%d fresh, %d open", ix.Fresh().GetCardinality(), v.Maybe.GetCardinality())
	}
	added, err := ix.Extend(day(-2), []Ref{{1, 1}, {3, 3}})
	if err != nil || added != 1 {
		t.Fatalf("added %d: %v", added, err)
	}
	v := ix.Evaluate(newer, nil)
	if got := ix.IDs(v.Yes, OldestFirst); !slices.Equal(got, []sweep.MessageID{1, 3}) || v.Maybe.GetCardinality() != 1 {
		t.Fatalf("placed %v, open %d", got, v.Maybe.GetCardinality())
	}
	ix.Learn(2, Header{Address: "a@b.example", Date: day(40)})
	if v := ix.Evaluate(newer, nil); !v.Maybe.IsEmpty() || !ix.Fresh().IsEmpty() {
		t.Fatal("a read date leaves nothing open")
	}
}

func TestSplitMakesACutExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBox(t)
		ix := b.index(t)
		for _, d := range rapid.SliceOfN(rapid.IntRange(1, 400), 1, 4).Draw(t, "cuts") {
			cut := day(d)
			i, ok := ix.sliceOf(cut)
			if !ok {
				t.Fatal("no slice")
			}
			from := ix.Bounds()[i]
			if err := ix.Split(cut, b.ids(func(l *letter) bool { return !l.date.Before(from) && l.date.Before(cut) })); err != nil {
				t.Fatal(err)
			}
			c := sweep.Criteria{Op: sweep.Before, Time: cut}
			if v := ix.Evaluate(c, nil); !v.Yes.Equals(b.truth(ix, c)) || !v.Maybe.IsEmpty() {
				t.Fatalf("%d days: %s, open %s", d, ix.show(v.Yes), ix.show(v.Maybe))
			}
		}
	})
}

func TestBuilderKeepsTheFirstOfAnIDListedTwice(t *testing.T) {
	t.Parallel()
	b := NewBuilder(threeLetters().bounds)
	for i, refs := range [][]Ref{{{5, 5}, {1, 1}}, {{5, 5}, {7, 1}}, {{2, 2}}} {
		if err := b.AddSlice(i, refs); err != nil {
			t.Fatal(err)
		}
	}
	if b.AddSlice(3, nil) == nil {
		t.Error("a fourth slice of three was taken")
	}
	ix := b.Finish(modelNow, 1)
	row, ok := ix.Row(5)
	if ix.Len() != 4 || !ok || ix.slices[row] != 0 {
		t.Fatalf("%d messages, 5 in slice %d", ix.Len(), ix.slices[row])
	}
	if got := ix.IDs(ix.Live(), NewestFirst); !slices.Equal(got, []sweep.MessageID{2, 7, 5, 1}) {
		t.Fatalf("newest first: %v", got)
	}
	if ignored := ix.SetDimension(AttachmentDimension, []sweep.MessageID{1, 99}); ignored != 1 {
		t.Fatalf("%d ignored", ignored)
	}
}
