package sweep

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func drawTime(t *rapid.T, name string) time.Time {
	at := time.Unix(rapid.Int64Range(0, 4_102_444_800).Draw(t, name), int64(rapid.IntRange(0, 999_999_999).Draw(t, "ns")))
	return at.In(time.FixedZone("", rapid.IntRange(-14*3600, 14*3600).Draw(t, "zone")))
}

func TestPeriodsTileTheTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := drawTime(t, "at")
		p := PeriodAt(at)
		n := p.Next()
		if !p.Contains(at) || n.Contains(at) || !n.Start.Equal(p.End) || p.Contains(p.End) || !p.Contains(p.End.Add(-1)) {
			t.Fatalf("%s lies in %v, then %v", at, p, n)
		}
		if PeriodAt(p.Start) != p || PeriodAt(p.End.Add(-1)) != p || PeriodAt(p.End) != n {
			t.Fatalf("%v is another period at its ends", p)
		}
		if s := p.Start; s.Location() != time.UTC || s.Day() != 1 || !s.Equal(s.Truncate(24*time.Hour)) {
			t.Fatalf("a period starts at %s", s)
		}
	})
}

func TestPlanTableIsThatOfThePricing(t *testing.T) {
	t.Parallel()
	for tier, want := range map[Tier][5]int{
		Free: {0, 500, 1, 1, 60}, Basic: {900, 5_000, 1, 1, 120}, Pro: {2_900, 50_000, 5, 3, 600}, Enterprise: {9_900, 500_000, 50, 50, 3_000},
	} {
		p := DefaultPlans()[tier]
		if got := [5]int{p.PriceCents, p.Emails, p.Mailboxes, p.People, p.RequestsPerMinute}; got != want || p.Tier != tier {
			t.Errorf("%s: %v, want %v", tier, got, want)
		}
	}
	for i, tier := range Tiers() {
		for _, dearer := range Tiers()[i:] {
			for _, f := range DefaultPlans()[tier].Features {
				if DefaultPlans()[dearer].Require(f) != nil {
					t.Errorf("%s lacks %s of %s", dearer, f, tier)
				}
			}
		}
	}
	if err := DefaultPlans()[Basic].Require(APIKeys); CodeOf(err) != FeatureNotInPlan {
		t.Errorf("basic has API keys: %v", err)
	}
}

func drawCustomer(t *rapid.T, now time.Time) Customer {
	around := func(name string) time.Time {
		if rapid.Bool().Draw(t, name+" unset") {
			return time.Time{}
		}
		return now.Add(time.Duration(rapid.Int64Range(-20, 20).Draw(t, name)) * 12 * time.Hour)
	}
	tier := rapid.SampledFrom([]Tier{"", Free, Basic, Pro, Enterprise}).Draw(t, "tier")
	granted := Subscription{Tier: rapid.SampledFrom([]Tier{"", Basic, Pro, Enterprise}).Draw(t, "granted"), EndsAt: around("granted until")}
	return Customer{Subscription: Subscription{Tier: tier, PastDueAt: around("past due"), EndsAt: around("ends")}, Granted: granted, TrialEndsAt: around("trial")}
}

// The plan in force is never worse than the subscription's, the grant's or, in the trial, the trial's: pro's features, basic's quota.
func TestPlanAtIsTheBetterOfSubscriptionGrantAndTrial(t *testing.T) {
	t.Parallel()
	plans := DefaultPlans()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCustomer(t, noon)
		got, paid := plans.PlanAt(c, noon), plans[Free]
		s := c.Subscription
		if s.Tier != "" && (s.EndsAt.IsZero() || noon.Before(s.EndsAt)) && (s.PastDueAt.IsZero() || noon.Before(s.PastDueAt.Add(7*24*time.Hour))) {
			paid = plans[s.Tier]
		}
		if g := c.Granted; g.Tier.Rank() > paid.Tier.Rank() && (g.EndsAt.IsZero() || noon.Before(g.EndsAt)) {
			paid = plans[g.Tier]
		}
		emails, features := paid.Emails, slices.Clone(paid.Features)
		if c.InTrial(noon) {
			emails, features = max(emails, plans[Basic].Emails), append(features, plans[Pro].Features...)
		}
		if got.Emails != emails {
			t.Fatalf("%+v: %d emails, want %d", c, got.Emails, emails)
		}
		for f := range map[Feature]bool{Schedules: true, Unsubscribe: true, APIKeys: true, Webhooks: true, IPAllowlist: true, Enforce2FA: true, AuditExport: true} {
			if got.Has(f) != slices.Contains(features, f) {
				t.Fatalf("%+v: %s %v", c, f, got.Has(f))
			}
		}
		if len(plans[Free].Features) != 0 || len(plans[Basic].Features) != 2 {
			t.Fatal("the plan table changed")
		}
	})
}

// trust: BIL-6
func TestTrialAndGraceEndToTheInstant(t *testing.T) {
	t.Parallel()
	plans := DefaultPlans()
	trial := Customer{TrialEndsAt: noon}
	if !plans.PlanAt(trial, noon.Add(-1)).Has(APIKeys) || plans.PlanAt(trial, noon).Has(APIKeys) {
		t.Error("the trial does not end at its end")
	}
	if got := plans.PlanAt(trial, noon.Add(-1)); got.Emails != 5_000 || got.Mailboxes != 5 {
		t.Errorf("trial: %+v", got)
	}
	late := Customer{Subscription: Subscription{Tier: Pro, PastDueAt: noon}}
	if plans.PlanAt(late, noon.Add(GraceLength-1)).Tier != Pro || plans.PlanAt(late, noon.Add(GraceLength)).Tier != Free {
		t.Error("grace does not end after its length")
	}
}

func TestRemainingIsNeverNegativeAndNothingMoreFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, math.MaxInt32)
		q := Quota{Limit: n.Draw(t, "limit"), Used: n.Draw(t, "used"), Reserved: n.Draw(t, "reserved"), Period: PeriodAt(noon)}
		ask := rapid.IntRange(-3, math.MaxInt32).Draw(t, "ask")
		if q.Remaining() < 0 {
			t.Fatalf("%+v: %d remain", q, q.Remaining())
		}
		if fits := ask == 0 || ask > 0 && q.Used+q.Reserved+ask <= q.Limit; q.Fits(ask) != fits {
			t.Fatalf("%+v: %d fits %v", q, ask, q.Fits(ask))
		}
		v := q.View()
		if v.Remaining != q.Remaining() || v.PartialPossible != q.Fits(1) || !v.ResetsAt.Equal(q.Period.End) {
			t.Fatalf("%+v is shown as %+v", q, v)
		}
		if q.Warn() != (q.Limit > 0 && float64(q.Used+q.Reserved) >= 0.8*float64(q.Limit)-1e-6) {
			t.Fatalf("%+v: warning %v", q, q.Warn())
		}
	})
}

// Who has bought what the trial gives, and more, is told of no trial.
func TestATrialCountsWhileItGivesMore(t *testing.T) {
	t.Parallel()
	plans, now := DefaultPlans(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for tier, counts := range map[Tier]bool{Free: true, Basic: true, Pro: false, Enterprise: false} {
		bought := Customer{Subscription: Subscription{Tier: tier}, TrialEndsAt: now.Add(time.Hour)}
		granted := Customer{Granted: Subscription{Tier: tier}, TrialEndsAt: now.Add(time.Hour)}
		require.Equal(t, counts, plans.TrialCounts(bought, now), "%s bought", tier)
		require.Equal(t, counts, plans.TrialCounts(granted, now), "%s granted", tier)
		require.False(t, plans.TrialCounts(bought, now.Add(time.Hour)), "%s, when it is over", tier)
	}
	require.False(t, plans.TrialCounts(Customer{Subscription: Subscription{Tier: Basic}}, now), "never had one")
}
