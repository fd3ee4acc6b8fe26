package billing_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/billing"
	"mailsweep/internal/sweep"
)

// What Stripe has decides over a change, and not what is stored: an event may still be on its way. Nobody is charged, and no end is put off.
func TestAChangeIsJudgedByWhatStripeHas(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Pro, sweep.Month, "ok")
	portal, err := r.Open(t.Context(), a)
	require.NoError(t, err)
	require.NoError(t, r.sim.Act(session(portal), "cancel", ""))
	for _, tier := range []sweep.Tier{sweep.Basic, sweep.Enterprise} {
		_, err = r.Change(t.Context(), a, tier, sweep.Month, time.Time{})
		require.Equal(t, sweep.Conflict, code(err), tier)
	}
	_, err = r.Look(t.Context(), a.Customer)
	require.NoError(t, err)
	require.False(t, r.has(t, a).EndsAt.IsZero(), "it ends as before")
	require.Empty(t, r.state(t, a).Subscription.NextPlan)

	late := r.bought(t, sweep.Basic, sweep.Month, "later")
	r.sim.Advance(32 * 24 * time.Hour) // its renewal is declined
	require.True(t, r.has(t, late).PastDueAt.IsZero(), "which is not known here")
	paid := r.sim.Books().Paid
	_, err = r.Change(t.Context(), late, sweep.Pro, sweep.Month, time.Time{})
	require.Equal(t, sweep.Conflict, code(err))
	require.Equal(t, paid, r.sim.Books().Paid)
	_, err = r.Cancel(t.Context(), late)
	require.NoError(t, err, "who does not pay can still leave")
}

// trust: BIL-7: a change that waits to be paid keeps another one out; the same one, whose answer was lost, is gone on with.
func TestAChangeThatWaitsKeepsAnotherOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Basic, sweep.Month, "later")
	ctx, kill := context.WithCancel(t.Context())
	mortal := r.gate(t, func(req *http.Request, answer func()) {
		if req.Method == http.MethodPost {
			kill()
			return
		}
		answer()
	})
	_, err := mortal.Change(ctx, a, sweep.Pro, sweep.Month, time.Time{}) // declined, and nobody hears it
	require.Error(t, err)
	require.False(t, r.state(t, a).Subscription.WaitsForPay, "which is not known here")
	up, err := r.Change(t.Context(), a, sweep.Pro, sweep.Month, time.Time{})
	require.NoError(t, err)
	require.Equal(t, billing.WhenPaid, up.Effect)
	require.NotEmpty(t, up.PayURL)
	r.exec(t, "UPDATE subscriptions SET waits_for_pay = false") // as if that were not known
	for range 2 {
		_, err = r.Change(t.Context(), a, sweep.Enterprise, sweep.Month, time.Time{})
		require.Equal(t, sweep.Conflict, code(err))
	}
	_, err = r.Look(t.Context(), a.Customer)
	require.NoError(t, err)
	require.True(t, r.state(t, a).Subscription.WaitsForPay)
	portal, err := r.Open(t.Context(), a)
	require.NoError(t, err)
	require.NoError(t, r.sim.Act(session(portal), "card", "ok"))
	require.NoError(t, r.sim.Act(session(portal), "pay", ""))
	r.settle(t, a, func(s sweep.Subscription) bool { return s.Tier == sweep.Pro })
}
