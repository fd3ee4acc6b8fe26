package sweep

import "time"

// DayBudget is how many of Gmail's units our Google project may spend in a day of Google's: what is beyond is billed. The nearer the day
// comes to it, the more new work is put off to the next: what is missed least first, undo never. Work that has begun goes on.
type DayBudget struct {
	Units  int64    // 0: no bound
	Shares Shedding // the zero value means DefaultShedding
}

// Shedding are the percents of the day's units from which on new work of a kind is put off.
type Shedding struct{ FreeAnalyze, Analyze, DryRun, Execute int }

// DefaultShedding leaves a fiftieth of the day to undo and to what has begun.
func DefaultShedding() Shedding {
	return Shedding{FreeAnalyze: 80, Analyze: 90, DryRun: 95, Execute: 98}
}

// PutsOff says whether a job of a kind waits for the next day when so many units of this one are booked. pays is whether its customer has
// a subscription in force.
func (b DayBudget) PutsOff(kind JobKind, pays bool, booked int64) bool {
	from, sheds := b.Shares.from(kind, pays)
	return b.Units > 0 && sheds && booked*100 >= b.Units*int64(from)
}

// First is how many booked units of a day put the first kind of new work off; 0: nothing is ever.
func (b DayBudget) First() int64 {
	least := 100
	for _, kind := range []JobKind{Analyze, DryRun, Execute} {
		for _, pays := range []bool{false, true} {
			from, _ := b.Shares.from(kind, pays)
			least = min(least, from)
		}
	}
	return b.Units * int64(least) / 100
}

func (s Shedding) from(kind JobKind, pays bool) (percent int, sheds bool) {
	if s == (Shedding{}) {
		s = DefaultShedding()
	}
	switch {
	case kind == Analyze && !pays:
		return s.FreeAnalyze, true
	case kind == Analyze:
		return s.Analyze, true
	case kind == DryRun:
		return s.DryRun, true
	case kind == Execute:
		return s.Execute, true
	}
	return 0, false
}

// Pays says whether a subscription is in force at now: a trial is none.
func (c Customer) Pays(now time.Time) bool { return c.Subscription.at(now) != Free }
