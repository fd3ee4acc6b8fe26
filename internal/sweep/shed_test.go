package sweep

import (
	"testing"
	"time"
)

func TestWhatIsMissedLeastIsPutOffFirstAndUndoNever(t *testing.T) {
	t.Parallel()
	b := DayBudget{Units: 1000}
	putOff := func(booked int64) (names string) {
		for _, c := range []struct {
			kind JobKind
			pays bool
			name string
		}{{Analyze, false, "free "}, {Analyze, true, "paid "}, {DryRun, false, "dry "}, {Execute, false, "execute "}, {Undo, false, "undo "}} {
			if b.PutsOff(c.kind, c.pays, booked) {
				names += c.name
			}
		}
		return names
	}
	for booked, want := range map[int64]string{
		0: "", 799: "", 800: "free ", 899: "free ", 900: "free paid ", 950: "free paid dry ", 979: "free paid dry ", 980: "free paid dry execute ", 1 << 40: "free paid dry execute ",
	} {
		if got := putOff(booked); got != want {
			t.Errorf("at %d: %q, want %q", booked, got, want)
		}
	}
	b.Units = 0
	if got := putOff(1 << 40); got != "" {
		t.Errorf("without a bound: %q", got)
	}
}

func TestATrialDoesNotPay(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)
	for want, c := range map[bool]Customer{
		false: {TrialEndsAt: now.Add(time.Hour)},
		true:  {Subscription: Subscription{Tier: Basic}},
	} {
		if c.Pays(now) != want {
			t.Errorf("%+v pays: %v", c, !want)
		}
	}
	if (Customer{Subscription: Subscription{Tier: Pro, EndsAt: now}}).Pays(now) {
		t.Error("a subscription that has ended pays")
	}
}

func TestTheFirstWorkIsPutOffAtTheLeastShare(t *testing.T) {
	t.Parallel()
	for _, b := range []DayBudget{{}, {Units: 1000}, {Units: 80_000_000}, {Units: 333, Shares: Shedding{FreeAnalyze: 90, Analyze: 95, DryRun: 71, Execute: 98}}} {
		at := func(booked int64) bool {
			return b.PutsOff(Analyze, false, booked) || b.PutsOff(DryRun, true, booked)
		}
		first := b.First()
		if b.Units == 0 && first != 0 || b.Units > 0 && (at(first-1) || !at(first+1)) {
			t.Errorf("%+v: %d", b, first)
		}
	}
}
