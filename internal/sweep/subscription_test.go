package sweep

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// trust: BIL-5, every state on every plan, to the instant.
func TestWhatAStateOfPaymentMeansForThePlan(t *testing.T) {
	t.Parallel()
	plans, now := DefaultPlans(), noon
	due := now.Add(-time.Hour)
	for _, payment := range Payments() {
		for _, tier := range Tiers() {
			for _, was := range []Tier{Free, tier} {
				s := Subscription{Tier: was}.Apply(Purchase{Payment: payment, Tier: tier, PastDueAt: due}, now)
				at := func(at time.Time) Tier { return plans.PlanAt(Customer{Subscription: s}, at).Tier }
				want, later := tier, tier
				switch payment {
				case PastDue:
					later = Free
				case Unpaid, Ended, IncompleteExpired, OnPause:
					want, later = Free, Free
				case Incomplete:
					want, later = was, was
				}
				if at(now) != want || at(due.Add(GraceLength-1)) != want || at(due.Add(GraceLength)) != later {
					t.Errorf("%s on %s, which was %s: %s, then %s", payment, tier, was, at(now), at(due.Add(GraceLength)))
				}
			}
		}
	}
}

func drawPurchase(t *rapid.T) Purchase {
	when := func(name string) time.Time {
		if rapid.Bool().Draw(t, name+" unset") {
			return time.Time{}
		}
		return noon.Add(time.Duration(rapid.Int64Range(-40, 40).Draw(t, name)) * 12 * time.Hour)
	}
	return Purchase{Payment: rapid.SampledFrom(append(Payments(), "of_the_future")).Draw(t, "payment"), Tier: rapid.SampledFrom(Tiers()[1:]).Draw(t, "tier"), PastDueAt: when("due"), EndsAt: when("ends"),
		Unpaid: rapid.Bool().Draw(t, "unpaid")}
}

func TestApplyingAgainChangesNothingMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPurchase(t)
		once := Subscription{Tier: rapid.SampledFrom(Tiers()).Draw(t, "was")}.Apply(p, noon)
		if again := once.Apply(p, noon.Add(time.Hour)); again != once {
			t.Fatalf("%+v: %+v, then %+v", p, once, again)
		}
	})
}

// trust: BIL-7: what was not paid for is not in force, whatever came before.
func TestNothingUnpaidIsInForce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		was, p := Subscription{Tier: rapid.SampledFrom(Tiers()).Draw(t, "was")}, drawPurchase(t)
		s := was.Apply(p, noon)
		paid := p.Payment == Paid || p.Payment == Trialing
		if !paid && s.Tier.Rank() > was.Tier.Rank() && (p.Payment != PastDue || p.Unpaid) {
			t.Fatalf("%+v after %+v is %+v", p, was, s)
		}
		if paid && !s.PastDueAt.IsZero() || p.Payment == PastDue && s.PastDueAt.IsZero() {
			t.Fatalf("%+v is past due since %s", p, s.PastDueAt)
		}
	})
}

func TestAYearCostsTenMonths(t *testing.T) {
	t.Parallel()
	for tier, want := range map[Tier][2]int{Free: {0, 0}, Basic: {900, 9_000}, Pro: {2_900, 29_000}, Enterprise: {9_900, 99_000}} {
		if p := DefaultPlans()[tier]; p.Price(Month) != want[0] || p.Price(Year) != want[1] {
			t.Errorf("%s: %d a month, %d a year", tier, p.Price(Month), p.Price(Year))
		}
	}
}
