package mailindex

import (
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

// truth is the messages of the index that really match.
func (b *box) truth(ix *Index, c sweep.Criteria) *roaring.Bitmap {
	return ix.Rows(b.ids(func(l *letter) bool { return b.matches(c, l) }))
}

// listSome answers what is missing, all of it or what chance leaves.
func (b *box) list(ix *Index, needs []Need, listed Listed, keep func() bool) {
	for _, n := range needs {
		if !keep() {
			continue
		}
		c := n.Leaf
		if n.Leaf.Op == sweep.Before || n.Leaf.Op == sweep.After {
			c = sweep.Criteria{Op: sweep.All, Kids: []sweep.Criteria{
				{Op: sweep.After, Time: n.After}, {Op: sweep.Before, Time: n.Before},
			}}
		}
		l := ix.NewListing(b.search(c), n.Leaf.Op == sweep.ByFrom)
		l.Rest = n.Rest
		listed[n.Key] = l
	}
}

func subset(a, b *roaring.Bitmap) bool { return roaring.AndNot(a, b).IsEmpty() }

// Yes is within the truth and the truth within Yes and Maybe, whatever is known and whatever was listed.
func TestUnknownNeverMatchesAndNoMatchIsLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBox(t)
		ix := b.index(t)
		b.meet(t, ix)
		ix.Apply(b.drawChanges(t))
		c := drawCriteria(t, 3)
		listed := Listed{}
		b.list(ix, ix.Missing(c, listed), listed, func() bool { return rapid.Bool().Draw(t, "listed") })
		v, truth := ix.Evaluate(c, listed), b.truth(ix, c)
		if !subset(v.Yes, truth) {
			t.Fatalf("%s: %s match but should not", Key(c), ix.show(roaring.AndNot(v.Yes, truth)))
		}
		if possible := roaring.Or(v.Yes, v.Maybe); !subset(truth, possible) {
			t.Fatalf("%s: %s should match and are lost", Key(c), ix.show(roaring.AndNot(truth, possible)))
		}
		if v.Yes.Intersects(v.Maybe) || !subset(roaring.Or(v.Yes, v.Maybe), ix.Live()) {
			t.Fatal("Yes and Maybe overlap or reach beyond the mailbox")
		}
	})
}

// Once everything missing is listed nothing is missing any more, and without sender leaves nothing stays open.
func TestMissingIsEnough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBox(t)
		ix := b.index(t)
		b.meet(t, ix)
		c := drawCriteria(t, 3)
		listed := Listed{}
		b.list(ix, ix.Missing(c, listed), listed, func() bool { return true })
		if again := ix.Missing(c, listed); len(again) > 0 {
			t.Fatalf("%s: still missing %v", Key(c), again)
		}
		selectable := ix.evaluator(nil).selectable().Yes
		v := ix.Evaluate(c, listed)
		if open := roaring.And(v.Maybe, selectable); !open.IsEmpty() && !c.Uses(sweep.ByFrom) {
			t.Fatalf("%s: %s stay open", Key(c), ix.show(open))
		}
		if !c.Uses(sweep.ByFrom) && !roaring.And(v.Yes, selectable).Equals(roaring.And(b.truth(ix, c), selectable)) {
			t.Fatalf("%s: not the truth", Key(c))
		}
	})
}

func TestMissingAsksForNothingThatTheIndexKnows(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix := b.known()
	leaf := func(op sweep.Op, text string) sweep.Criteria { return sweep.Criteria{Op: op, Text: text} }
	promo, sale := leaf(sweep.ByCategory, "promotions"), leaf(sweep.BySubject, "sale")
	for name, c := range map[string]sweep.Criteria{
		"category":              promo,
		"a cut that is a bound": {Op: sweep.Before, Time: day(30)},
		"ruled out":             all(leaf(sweep.ByCategory, "forums"), sale),
		"settled":               {Op: sweep.Any, Kids: []sweep.Criteria{leaf(sweep.In, "anywhere"), sale}},
	} {
		if needs := ix.Missing(c, nil); len(needs) > 0 {
			t.Errorf("%s: %v", name, needs)
		}
	}
	needs := ix.Missing(all(promo, sale, sweep.Criteria{Op: sweep.Before, Time: day(20)}), nil)
	if len(needs) != 2 || needs[0].Leaf.Op != sweep.BySubject {
		t.Fatalf("needs %v", needs)
	}
	if cut := needs[1]; !cut.After.Equal(day(20)) || !cut.Before.Equal(day(7)) || !cut.Rest {
		t.Fatalf("the cut asks for [%s, %s), not for the part without mail", cut.After, cut.Before)
	}
}

// threeLetters is a small box that the tests of single rules share: a promotion of 40 days, a letter of 25 days, one of today.
func threeLetters() *box {
	b := &box{now: modelNow, labels: modelLabels, bounds: []time.Time{{}, day(30), day(7), day(-1)}}
	for i, days := range []int{40, 25, 0} {
		l := &letter{
			id: sweep.MessageID(uint64(day(days).UnixMilli())<<20 | uint64(i)), date: day(days), size: 5_000,
			from: modelSenders[i], subject: "sale", labels: map[string]bool{sweep.LabelInbox: true, sweep.LabelUnread: true},
		}
		l.thread = sweep.ThreadID(l.id)
		l.labels["CATEGORY_PROMOTIONS"] = i < 2
		b.letters = append(b.letters, l)
	}
	return b
}

// known is the index of a box with every label listed and nothing read.
func (b *box) known() *Index {
	builder := NewBuilder(b.bounds)
	for _, l := range b.letters {
		for i := range len(b.bounds) - 1 {
			if !l.date.Before(b.bounds[i]) && l.date.Before(b.bounds[i+1]) {
				if err := builder.AddSlice(i, []Ref{{l.id, l.thread}}); err != nil {
					panic(err)
				}
			}
		}
	}
	ix := builder.Finish(b.now, 7)
	b.listLabels(ix)
	return ix
}

func TestSearchThatOverMatchesIsNoProofOfASender(t *testing.T) {
	t.Parallel()
	b := threeLetters() // from a@b.example, x.a@b.example, a@b.example.net: a search for the first lists all three
	ix := b.known()
	c := sweep.Criteria{Op: sweep.ByFrom, Text: "a@b.example"}
	listed := Listed{}
	b.list(ix, ix.Missing(c, nil), listed, func() bool { return true })
	if v := ix.Evaluate(c, listed); !v.Yes.IsEmpty() || v.Maybe.GetCardinality() != 3 {
		t.Fatalf("unread: %d yes, %d maybe", v.Yes.GetCardinality(), v.Maybe.GetCardinality())
	}
	for _, l := range b.letters[1:] {
		ix.Learn(l.id, Header{Address: l.from})
	}
	if !b.sweep(ix, "a@b.example") {
		t.Fatal("the senders whose mail the search lists too are known and can be swept")
	}
	v := ix.Evaluate(c, listed)
	if got := ix.IDs(v.Yes, OldestFirst); len(got) != 1 || got[0] != b.letters[0].id || !v.Maybe.IsEmpty() {
		t.Fatalf("after sweeps and a read: yes %s, maybe %s", ix.show(v.Yes), ix.show(v.Maybe))
	}
}

func TestCategoryIsUndecidedWithoutCategories(t *testing.T) {
	t.Parallel()
	ix := threeLetters().known()
	ix.Categories = false
	not := sweep.Criteria{Op: sweep.Not, Kids: []sweep.Criteria{{Op: sweep.ByCategory, Text: "promotions"}}}
	if v := ix.Evaluate(not, nil); !v.Yes.IsEmpty() || v.Maybe.GetCardinality() != 3 {
		t.Fatal("a category leaf was answered in a mailbox without categories")
	}
}
