package app

import "testing"

func TestALargeHeapGrowsByLittle(t *testing.T) {
	t.Parallel()
	for live, percent := range map[uint64]int{0: 100, 1: 100, 4 << 20: 100, 12 << 20: 100, 24 << 20: 50, 48 << 20: 25, 60 << 20: 20, 500 << 20: 20} {
		if got := growth(live); got != percent {
			t.Errorf("%d MiB may grow by %d %%, not %d", live>>20, got, percent)
		}
	}
}
