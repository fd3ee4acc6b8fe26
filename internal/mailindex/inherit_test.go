package mailindex

import (
	"testing"

	"pgregory.net/rapid"
)

func TestARebuiltIndexKnowsOfMessagesWhatTheOldOneKnew(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBox(t)
		old := b.index(t)
		b.meet(t, old)
		ix := b.index(t)
		ix.Inherit(old)
		for _, l := range b.letters {
			was, _ := old.Message(l.id)
			is, _ := ix.Message(l.id)
			if is.Sender != was.Sender || is.SenderKnown != was.SenderKnown || is.SenderRead != was.SenderRead || is.DateExact != was.DateExact || is.SizeExact != was.SizeExact {
				t.Fatalf("%+v became %+v", was, is)
			}
			if was.SizeExact && is.Size != was.Size || was.DateExact && !is.Date.Equal(was.Date) {
				t.Fatalf("%+v became %+v", was, is)
			}
		}
	})
}

// Of two indexes of one mailbox each may have read what disproves the other's searches.
func TestWhatTwoIndexesKnowTogetherIsTrue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, mine, other := drawPair(t)
		both := [2]*Index{b.known(), b.known()}
		for i, l := range rapid.Permutation(b.letters).Draw(t, "reads")[:30] {
			ix := both[rapid.IntRange(0, 1).Draw(t, "reader")]
			if rapid.IntRange(0, 5).Draw(t, "sweep") == 0 {
				b.sweep(ix, rapid.SampledFrom([]string{mine, other}).Draw(t, "swept"))
			}
			if i > 0 {
				ix.Learn(l.id, Header{Address: l.from})
			}
		}
		for _, l := range []string{mine, other} { // each was met by one of the two at least
			first := b.letterFrom(l)
			both[rapid.IntRange(0, 1).Draw(t, "reader")].Learn(first.id, Header{Address: first.from})
		}
		both[0].Inherit(both[1])
		b.holdsOnlyTheirOwn(t, both[0], mine, other)
		again := b.known()
		again.Inherit(both[0])
		b.holdsOnlyTheirOwn(t, again, mine, other)
	})
}

func (b *box) letterFrom(address string) *letter {
	for _, l := range b.letters {
		if l.from == address {
			return l
		}
	}
	return nil
}
