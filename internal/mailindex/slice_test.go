package mailindex

import (
	"testing"

	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

func TestMergedSlicesStillAnswerTheBoundsThatAreKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBox(t)
		ix := b.index(t)
		for _, d := range rapid.SliceOfNDistinct(rapid.IntRange(1, 499), 0, 8, rapid.ID[int]).Draw(t, "cuts") {
			if err := ix.Split(day(d), b.ids(func(l *letter) bool { return l.date.Before(day(d)) })); err != nil {
				t.Fatal(err)
			}
		}
		keep := day(90)
		if err := ix.Split(keep, b.ids(func(l *letter) bool { return l.date.Before(keep) })); err != nil {
			t.Fatal(err)
		}
		c := sweep.Criteria{Op: sweep.Before, Time: keep}
		before := ix.Evaluate(c, nil)
		ix.Merge(append(b.bounds[:0:0], keep))
		if n := len(ix.Bounds()); n != 3 {
			t.Fatalf("%d bounds are left", n)
		}
		if after := ix.Evaluate(c, nil); !after.Yes.Equals(before.Yes) || !after.Maybe.Equals(before.Maybe) || !after.Maybe.IsEmpty() {
			t.Fatalf("before %s: yes %s, then %s", keep, ix.show(before.Yes), ix.show(after.Yes))
		}
	})
}
