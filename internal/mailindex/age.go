package mailindex

import (
	"time"

	"mailsweep/internal/sweep"
)

// aging puts rows into the classes of sweep.Ages: exactly by the date of what was read or by a date slice that lies within a class,
// else by the arrival time that the id carries.
type aging struct {
	ix      *Index
	cuts    []int64 // epoch seconds, youngest first
	bySlice []int   // class, -1: the slice lies across a cut
}

func (ix *Index) aging(now time.Time) aging {
	a := aging{ix: ix}
	for _, age := range sweep.Ages() {
		if age.Days > 0 {
			a.cuts = append(a.cuts, now.UTC().Truncate(time.Second).AddDate(0, 0, -age.Days).Unix())
		}
	}
	for i := 0; i+1 < len(ix.bounds); i++ {
		from, to := a.class(ix.bounds[i].Unix()), a.class(ix.bounds[i+1].Unix()-1)
		if from != to {
			from = -1
		}
		a.bySlice = append(a.bySlice, from)
	}
	return a
}

func (a aging) class(at int64) int {
	for k, cut := range a.cuts {
		if at >= cut {
			return k
		}
	}
	return len(a.cuts)
}

func (a aging) of(row uint32) (class int, exact bool) {
	ix := a.ix
	if d := ix.dates.at(row); d != 0 {
		return a.class(int64(d)), true
	}
	if s := ix.slices[row]; s != noSlice && a.bySlice[s] >= 0 {
		return a.bySlice[s], true
	}
	return a.class(ix.around(row).Unix()), false
}

// around is the best guess at a message's date: the exact one, else the id's time held within the date slice.
func (ix *Index) around(row uint32) time.Time {
	if d := ix.dates.at(row); d != 0 {
		return time.Unix(int64(d), 0).UTC()
	}
	t := ix.ids[row].Time()
	if s := ix.slices[row]; s != noSlice {
		if from := ix.bounds[s]; t.Before(from) {
			return from
		}
		if to := ix.bounds[s+1]; !t.Before(to) {
			return to.Add(-time.Second)
		}
	}
	return t
}
