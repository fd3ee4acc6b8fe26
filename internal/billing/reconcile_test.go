package billing_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/billing"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// trust: WHK-11: without any webhook, right within one run.
func TestWithoutWebhooksReconcileRepairs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mu.Lock()
	r.deaf = true
	r.mu.Unlock()
	reconcile := func() int {
		n, err := r.due.Reconcile(t.Context(), func() error { return nil })
		require.NoError(t, err)
		return n
	}
	var all []sweep.Actor
	for i := range 5 {
		a := r.customer(t)
		all = append(all, a)
		page, err := r.Checkout(t.Context(), a, sweep.Pro, []sweep.Every{sweep.Month, sweep.Year}[i%2])
		require.NoError(t, err)
		_, err = r.sim.Pay(session(page), []string{"ok", "later"}[i%2])
		require.NoError(t, err)
	}
	require.Equal(t, sweep.Free, r.has(t, all[0]).Tier)
	require.Equal(t, 5, reconcile())
	for _, a := range all {
		require.Equal(t, sweep.Subscription{Tier: sweep.Pro}, r.has(t, a))
	}
	require.Equal(t, 0, reconcile(), "nothing is left to repair")
	r.sim.Advance(370 * 24 * time.Hour)
	require.Equal(t, 5, reconcile())
	require.Equal(t, 0, reconcile())
	for i, a := range all {
		require.Equal(t, i%2 == 1, !r.has(t, a).PastDueAt.IsZero(), "%d", i)
	}
	r.sim.Advance(30 * 24 * time.Hour)
	reconcile()
	require.Equal(t, sweep.Free, r.has(t, all[1]).Tier)
	require.Zero(t, r.counted("alarm unknown_customer"))
	r.exec(t, "UPDATE customers SET stripe_customer_id = NULL, plan = 'free' WHERE id = $1", all[0].Customer.String())
	reconcile()
	require.Equal(t, 1, r.counted("alarm unknown_customer"), "what belongs to nobody of ours is told")
	require.Positive(t, r.counted("drift"))
}

// Who deleted the account pays no more.
func TestADeletedCustomerPaysNoMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Pro, sweep.Month, "ok")
	r.exec(t, "UPDATE customers SET deleted_at = now()")
	_, err := r.due.Reconcile(t.Context(), func() error { return nil })
	require.NoError(t, err)
	require.Empty(t, r.sim.Books().Live, "%v", a)
}

// A customer that was deleted at Stripe is made anew with the next purchase, under another key.
func TestACustomerDeletedAtStripeIsMadeAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Pro, sweep.Month, "ok")
	old := value[string](t, r, "SELECT stripe_customer_id FROM customers")
	r.remove(t, "/v1/customers/"+old)
	r.settle(t, a, func(s sweep.Subscription) bool { return s.Tier == sweep.Free })
	testkit.Eventually(t, 2*time.Minute, func() bool {
		_, err := r.Deal(t.Context())
		require.NoError(t, err)
		return value[bool](t, r, "SELECT stripe_gone FROM customers")
	}, "its end is noted")
	_, err := r.Open(t.Context(), a)
	require.Equal(t, sweep.Conflict, code(err))
	r.buy(t, a, sweep.Basic, sweep.Month, "ok")
	require.NotEqual(t, old, value[string](t, r, "SELECT stripe_customer_id FROM customers"))
	require.Equal(t, []any{false, 1}, []any{value[bool](t, r, "SELECT stripe_gone FROM customers"), value[int](t, r, "SELECT stripe_generation FROM customers")})
}

// remove takes something away at Stripe, as somebody does in its dashboard.
func (r *rig) remove(t *testing.T, path string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, r.at+path, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+stripeKey)
	req.Header.Set("Stripe-Version", "2023-10-16")
	gone, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, gone.Body.Close())
	require.Equal(t, 200, gone.StatusCode)
}

// What ends under a price that the settings do not know any more is over here too, and another plan can be bought.
func TestWhatEndsUnderAForgottenPriceIsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Basic, sweep.Month, "ok")
	var left billing.Prices
	for _, p := range r.Prices {
		if p.Tier != sweep.Basic {
			left = append(left, p)
		}
	}
	r.Prices = left
	_, err := r.Look(t.Context(), a.Customer)
	require.NoError(t, err)
	require.Equal(t, sweep.Basic, r.has(t, a).Tier, "while it goes on its plan is kept")
	r.remove(t, "/v1/subscriptions/"+value[string](t, r, "SELECT stripe_id FROM subscriptions"))
	_, err = r.Look(t.Context(), a.Customer)
	require.NoError(t, err)
	require.Equal(t, sweep.Free, r.has(t, a).Tier)
	require.Equal(t, string(sweep.Ended), value[string](t, r, "SELECT status FROM subscriptions"))
	r.buy(t, a, sweep.Pro, sweep.Month, "ok")
}
