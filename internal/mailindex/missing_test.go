package mailindex

import (
	"testing"

	"mailsweep/internal/sweep"
)

func TestOfADividedSliceTheSmallerPartIsListed(t *testing.T) {
	t.Parallel()
	b := &box{now: modelNow, labels: modelLabels, bounds: threeLetters().bounds}
	for n := range 100 {
		l := &letter{id: sweep.MessageID(uint64(day(100+n).UnixMilli()) << 20), from: "a@b.example", date: day(100 + n), labels: map[string]bool{}}
		l.thread = sweep.ThreadID(l.id)
		b.letters = append(b.letters, l)
	}
	ix := b.known()
	for _, c := range []sweep.Criteria{
		{Op: sweep.Before, Time: day(105)}, {Op: sweep.After, Time: day(105)}, {Op: sweep.Before, Time: day(195)}, {Op: sweep.After, Time: day(195)},
	} {
		needs, listed := ix.Missing(c, nil), Listed{}
		b.list(ix, needs, listed, func() bool { return true })
		if l := listed[Key(c)]; len(needs) != 1 || l.Rows.GetCardinality() > 6 {
			t.Fatalf("%s: %d needs, %d messages listed", Key(c), len(needs), l.Rows.GetCardinality())
		}
		if v := ix.Evaluate(c, listed); !v.Yes.Equals(b.truth(ix, c)) || !v.Maybe.IsEmpty() {
			t.Fatalf("%s: %s match", Key(c), ix.show(v.Yes))
		}
	}
}
