package billing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/billing"
	"mailsweep/internal/sweep"
)

// trust: WHK-9: the page after the payment is never opened here.
func TestACheckoutThatIsPaidIsInForceByItsEventAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.customer(t)
	page, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.NoError(t, err)
	require.Equal(t, sweep.Free, r.has(t, a).Tier, "asked for is not paid")
	again, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.NoError(t, err)
	require.Equal(t, page, again)
	_, err = r.sim.Pay(session(page), "declined")
	require.Error(t, err)
	_, err = r.sim.Pay(session(page), "ok")
	require.NoError(t, err)
	r.settle(t, a, func(s sweep.Subscription) bool { return s.Tier == sweep.Pro })
	v := r.state(t, a)
	require.Equal(t, []any{sweep.Pro, sweep.Paid, sweep.Month, int64(2900)}, []any{v.Plan, v.Subscription.Status, v.Subscription.Every, v.Subscription.PriceCents})
	require.Nil(t, v.Banner)
	require.Equal(t, 1, value[int](t, r, "SELECT count(*) FROM audit_logs WHERE action = 'plan.bought'"))
	portal, err := r.Checkout(t.Context(), a, sweep.Enterprise, sweep.Month)
	require.NoError(t, err)
	require.Equal(t, "portal", portal.Kind, "who has a subscription buys no second one")
}

func TestAnUpgradeIsInForceWhenPaidAndADowngradeAtThePeriodsEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Basic, sweep.Month, "ok")
	p, err := r.Preview(t.Context(), a, sweep.Pro, sweep.Month)
	require.NoError(t, err)
	require.Equal(t, billing.AtOnce, p.Effect)
	require.Equal(t, []int64{-900, 2900, 2000, 2000, 2900}, []int64{p.CreditCents, p.ChargeCents, p.TotalCents, p.DueCents, p.ThenCents}, "just after the purchase")
	up, err := r.Change(t.Context(), a, sweep.Pro, sweep.Month, p.At)
	require.NoError(t, err)
	require.Equal(t, []any{billing.AtOnce, sweep.Pro}, []any{up.Effect, up.Subscription.Plan})
	require.Equal(t, sweep.Pro, r.has(t, a).Tier)
	down, err := r.Change(t.Context(), a, sweep.Basic, sweep.Year, time.Time{})
	require.NoError(t, err)
	require.Equal(t, []any{billing.AtPeriodEnd, sweep.Pro, sweep.Basic, sweep.Year}, []any{down.Effect, down.Subscription.Plan, down.Subscription.NextPlan, down.Subscription.NextEvery})
	back, err := r.Change(t.Context(), a, sweep.Pro, sweep.Month, time.Time{})
	require.NoError(t, err)
	require.Equal(t, []any{billing.AtOnce, sweep.Pro, sweep.Tier("")}, []any{back.Effect, back.Subscription.Plan, back.Subscription.NextPlan}, "what was planned is taken back")
	_, err = r.Change(t.Context(), a, sweep.Basic, sweep.Month, time.Time{})
	require.NoError(t, err)
	resumed, err := r.Resume(t.Context(), a)
	require.NoError(t, err)
	require.Empty(t, resumed.Subscription.NextPlan)
	_, err = r.Change(t.Context(), a, sweep.Basic, sweep.Month, time.Time{})
	require.NoError(t, err)
	r.sim.Advance(29 * 24 * time.Hour)
	require.Equal(t, sweep.Pro, r.has(t, a).Tier)
	r.sim.Advance(3 * 24 * time.Hour)
	r.settle(t, a, func(s sweep.Subscription) bool { return s.Tier == sweep.Basic })
	require.Empty(t, r.state(t, a).Subscription.NextPlan)
}

// trust: BIL-8
func TestACancellationKeepsThePlanToItsEndAndCanBeTakenBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Pro, sweep.Month, "ok")
	for range 2 {
		gone, err := r.Cancel(t.Context(), a)
		require.NoError(t, err)
		end := gone.Subscription.PeriodEnd
		require.Equal(t, []any{billing.AtPeriodEnd, end}, []any{gone.Effect, *gone.Subscription.EndsAt})
		c := r.loaded(t, a).Customer
		require.Equal(t, []sweep.Tier{sweep.Pro, sweep.Free}, []sweep.Tier{r.Plans.PlanAt(c, end.Add(-1)).Tier, r.Plans.PlanAt(c, end).Tier}, "also if no event comes")
		require.Equal(t, "ending", r.state(t, a).Banner.Kind)
		_, err = r.Change(t.Context(), a, sweep.Enterprise, sweep.Month, time.Time{})
		require.Equal(t, sweep.Conflict, code(err))
		back, err := r.Resume(t.Context(), a)
		require.NoError(t, err)
		require.Nil(t, back.Subscription.EndsAt)
		require.Nil(t, r.state(t, a).Banner)
	}
	_, err := r.Cancel(t.Context(), a)
	require.NoError(t, err)
	r.sim.Advance(32 * 24 * time.Hour)
	r.settle(t, a, func(s sweep.Subscription) bool { return s.Tier == sweep.Free })
	_, err = r.Resume(t.Context(), a)
	require.Equal(t, sweep.Conflict, code(err), "it is over")
	require.Equal(t, sweep.Ended, r.state(t, a).Subscription.Status)
	r.buy(t, a, sweep.Basic, sweep.Year, "ok")
	require.Equal(t, []any{sweep.Basic, int64(9000)}, []any{r.state(t, a).Plan, r.state(t, a).Subscription.PriceCents})
}

// trust: BIL-7
func TestADeclinedUpgradeLeavesThePlanUntilItIsPaid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Basic, sweep.Month, "later")
	up, err := r.Change(t.Context(), a, sweep.Pro, sweep.Month, time.Time{})
	require.NoError(t, err)
	require.Equal(t, []any{billing.WhenPaid, sweep.Basic, true}, []any{up.Effect, up.Subscription.Plan, up.Subscription.WaitsForPay})
	require.NotEmpty(t, up.PayURL)
	require.Equal(t, sweep.Basic, r.has(t, a).Tier)
	_, err = r.Change(t.Context(), a, sweep.Enterprise, sweep.Month, time.Time{})
	require.Equal(t, sweep.Conflict, code(err), "while something is open")
	require.Equal(t, "waits_for_payment", r.state(t, a).Banner.Kind)
	portal, err := r.Open(t.Context(), a)
	require.NoError(t, err)
	require.NoError(t, r.sim.Act(session(portal), "card", "ok"))
	require.NoError(t, r.sim.Act(session(portal), "pay", ""))
	r.settle(t, a, func(s sweep.Subscription) bool { return s.Tier == sweep.Pro })
}

func TestAFailedRenewalHasSevenDaysOfGraceAndRecovers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Pro, sweep.Month, "later")
	end := r.state(t, a).Subscription.PeriodEnd
	r.sim.Advance(end.Sub(r.sim.Now()) + time.Hour)
	r.settle(t, a, func(s sweep.Subscription) bool { return !s.PastDueAt.IsZero() })
	require.Equal(t, end, r.has(t, a).PastDueAt, "since the invoice, not since its event")
	c := r.loaded(t, a).Customer
	require.Equal(t, []sweep.Tier{sweep.Pro, sweep.Free}, []sweep.Tier{r.Plans.PlanAt(c, end.Add(sweep.GraceLength-1)).Tier, r.Plans.PlanAt(c, end.Add(sweep.GraceLength)).Tier})
	_, err := r.Change(t.Context(), a, sweep.Enterprise, sweep.Month, time.Time{})
	require.Equal(t, sweep.Conflict, code(err))
	portal, err := r.Open(t.Context(), a)
	require.NoError(t, err)
	require.NoError(t, r.sim.Act(session(portal), "card", "ok"))
	require.NoError(t, r.sim.Act(session(portal), "pay", ""))
	r.settle(t, a, func(s sweep.Subscription) bool { return s == sweep.Subscription{Tier: sweep.Pro} })
}
