package sweep

import (
	"testing"
	"time"
)

// FuzzPeriod: periods tile time. Every instant lies in one, in whatever zone it is written, and the next begins where it ends.
func FuzzPeriod(f *testing.F) {
	for _, unix := range []int64{0, 951_782_399, 951_782_400, 1_709_164_800, 1_798_761_599, -1} {
		f.Add(unix, int64(0), 0)
	}
	f.Fuzz(func(t *testing.T, unix, nanos int64, zone int) {
		if unix < -62_135_596_800 || unix > 253_402_300_799 { // the years 1 to 9999
			return
		}
		at := time.Unix(unix, nanos%1e9)
		p := PeriodAt(at.In(time.FixedZone("", zone%86_400)))
		if p != PeriodAt(at) || !p.Contains(at) || p.Start.Day() != 1 || p.Start.Location() != time.UTC || !p.Start.Before(p.End) {
			t.Fatalf("%s lies in %+v", at, p)
		}
		if next, before := p.Next(), PeriodAt(p.Start.Add(-1)); next.Start != p.End || p.Contains(next.Start) || before.End != p.Start || before.Contains(p.Start) {
			t.Fatalf("%+v stands between %+v and %+v", p, before, next)
		}
	})
}
