package mailindex

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Of a mailbox that was read whole, the largest are the largest.
func TestTheLargestOfAMailboxReadWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, ix := full(t)
		var want []int64
		for _, l := range b.letters {
			want = append(want, l.size)
		}
		slices.Sort(want)
		slices.Reverse(want)
		n := rapid.IntRange(0, len(want)).Draw(t, "n")
		var got []int64
		for _, m := range ix.Largest(n) {
			if !m.Exact {
				t.Fatalf("%+v", m)
			}
			got = append(got, m.Size)
		}
		if !slices.Equal(got, want[:n]) {
			t.Fatalf("%v, want %v", got, want[:n])
		}
	})
}

// Whatever is known, no message is said to have more than it has, and what is said to be exact is.
func TestTheLargestAreHonest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBox(t)
		ix := b.index(t)
		b.meet(t, ix)
		sizes := map[string]int64{}
		for _, l := range b.letters {
			sizes[l.id.String()] = l.size
		}
		last := int64(1 << 62)
		for _, m := range ix.Largest(len(b.letters)) {
			if size := sizes[m.ID]; m.Size > size || m.Exact && m.Size != size || m.Size > last || m.Size <= 0 {
				t.Fatalf("%+v has %d, behind %d", m, size, last)
			}
			last = m.Size
		}
	})
}
