package mailindex

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

// pairs are addresses the second of which a search for the first lists too.
var pairs = [][2]string{
	{"news.1@x.example", "re.news.1@x.example.test"}, {"a@b.example", "a@b.example.net"}, {"a@b.example", "x.a@b.example"}, {"a.b@c.example", "a-b@c.example"},
}

// drawPair makes a mailbox of one sender's mail and, at some rate, another's that the search for the first lists too.
func drawPair(t *rapid.T) (b *box, mine, other string) {
	pair := rapid.SampledFrom(pairs).Draw(t, "pair")
	percent := rapid.SampledFrom([]int{1, 10, 35, 60}).Draw(t, "percent")
	b = &box{now: modelNow, labels: modelLabels, bounds: threeLetters().bounds}
	for n := range 100 {
		l := &letter{id: sweep.MessageID(uint64(day(10+n).UnixMilli()) << 20), from: pair[0], date: day(10 + n), labels: map[string]bool{}, size: 1_000}
		l.thread = sweep.ThreadID(l.id)
		if n*7%100 < percent {
			l.from = pair[1]
		}
		b.letters = append(b.letters, l)
	}
	return b, pair[0], pair[1]
}

// However much of a search's result is another sender's: as soon as one message of each was read, none of the rest is acted on.
func TestOneReadThatDisprovesASearchTakesItsMailFromTheSender(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, mine, other := drawPair(t)
		ix := b.known()
		reads := rapid.Permutation(b.letters).Draw(t, "reads")
		first := func(from string) int { return slices.IndexFunc(reads, func(l *letter) bool { return l.from == from }) }
		at := max(first(mine), first(other))
		sweeps := rapid.SliceOfNDistinct(rapid.IntRange(0, at+3), 0, 3, rapid.ID[int]).Draw(t, "sweeps")
		for i, l := range reads[:min(at+3, len(reads))] {
			if slices.Contains(sweeps, i) {
				b.sweep(ix, rapid.SampledFrom([]string{mine, other}).Draw(t, "swept"))
			}
			ix.Learn(l.id, Header{Address: l.from, Date: l.date})
			if i >= at {
				b.holdsOnlyTheirOwn(t, ix, mine, other)
			}
		}
		b.sweep(ix, mine)
		b.sweep(ix, other)
		b.holdsOnlyTheirOwn(t, ix, mine, other)
	})
}

// holdsOnlyTheirOwn wants of each sender that a cleanup of its mail holds no message of the other.
func (b *box) holdsOnlyTheirOwn(t *rapid.T, ix *Index, addresses ...string) {
	for _, address := range addresses {
		s := ix.Select(sweep.CleanupSpec{Action: sweep.Trash, Criteria: sweep.Criteria{Op: sweep.ByFrom, Text: address}}, SelectOptions{Now: modelNow})
		for _, id := range ix.IDs(s.ToClean, OldestFirst) {
			if l := b.letter(id); l.from != address {
				t.Fatalf("a message of %s in a cleanup of %s", l.from, address)
			}
		}
	}
}

func (b *box) letter(id sweep.MessageID) *letter {
	return b.letters[slices.IndexFunc(b.letters, func(l *letter) bool { return l.id == id })]
}

func TestASweepAfterItsStrangersGivesEachItsOwn(t *testing.T) {
	t.Parallel()
	for _, pair := range pairs[:3] {
		b := &box{now: modelNow, labels: modelLabels, bounds: threeLetters().bounds}
		for n := range 30 {
			l := &letter{id: sweep.MessageID(n + 1), thread: sweep.ThreadID(n + 1), from: pair[min(n%3, 1)], date: day(20), labels: map[string]bool{}}
			b.letters = append(b.letters, l)
		}
		ix := b.known()
		b.sweep(ix, pair[0])
		ix.Learn(b.letters[1].id, Header{Address: pair[1]})
		if n := ix.Unattributed(); n != 29 {
			t.Fatalf("%v: %d without a sender, not all but the one that was read", pair, n)
		}
		if !b.sweep(ix, pair[0]) || ix.Unattributed() != 0 {
			t.Fatalf("%v: %d without a sender", pair, ix.Unattributed())
		}
		for _, l := range b.letters {
			if m, _ := ix.Message(l.id); m.Sender != l.from {
				t.Fatalf("%s is of %s, not of %s", m.ID, l.from, m.Sender)
			}
		}
	}
}

func TestWhatTwoSearchesClaimIsNobodysUntilItIsRead(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix := b.known()
	id := b.letters[0].id // as if its display name held the other's address
	for range 2 {
		for _, address := range []string{"a@b.example", "list@d.example"} {
			ix.Sweep(address, []sweep.MessageID{id}, true)
		}
	}
	if ix.Attributed(id) {
		t.Fatal("one of the two got it")
	}
	ix.Learn(id, Header{Address: "list@d.example"})
	if m, _ := ix.Message(id); m.Sender != "list@d.example" {
		t.Fatal(fmt.Sprint(m))
	}
}
