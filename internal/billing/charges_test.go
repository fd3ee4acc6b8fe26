package billing_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/billing"
	"mailsweep/internal/sim/stripe"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// chargeLines are the audit log's about charges, oldest first.
func (r *rig) chargeLines(t *testing.T) []string {
	return rows(t, r, "SELECT action || ' ' || coalesce(data->>'refunded_cents', data->>'disputed_cents', '') FROM audit_logs WHERE action LIKE 'billing.%ed' ORDER BY id")
}

// A refund and a dispute stand in the customer's audit log, each once however often and by whomever it is dealt with; neither changes a plan, and a dispute is left to a person.
func TestARefundAndADisputeAreInTheAuditLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Pro, sweep.Month, "ok")
	r.bought(t, sweep.Basic, sweep.Month, "ok") // somebody else
	books := r.sim.Books()
	mine := value[string](t, r, "SELECT stripe_customer_id FROM customers WHERE id = $1", a.Customer.String())
	charge := books.Charges[mine][0]
	r.quiet(t, 6)
	for _, cents := range []int64{1000, 1900} {
		require.NoError(t, r.sim.Refund(charge, cents))
		r.quiet(t, r.sim.Sent()) // what Stripe says of the second is no more what it said of the first
	}
	require.Error(t, r.sim.Refund(charge, 1), "all of it was given back")
	r.sim.Strike(stripe.Faults{Webhooks: stripe.Webhooks{Copies: 9}})
	require.NoError(t, r.sim.Dispute(charge))
	r.sim.Strike(stripe.Faults{})
	dealt := func() bool {
		for _, s := range []*billing.Service{r.Service, r.due} {
			_, err := s.Deal(t.Context())
			require.NoError(t, err)
		}
		return value[bool](t, r, "SELECT count(*) = 9 AND bool_and(state <> 'waiting') FROM stripe_events")
	}
	testkit.Eventually(t, 2*time.Minute, dealt, "every event is dealt with")
	want := []string{"billing.refunded 1000", "billing.refunded 2900", "billing.disputed 2900"}
	require.Equal(t, want, r.chargeLines(t))
	require.Equal(t, 3, value[int](t, r, "SELECT count(*) FROM audit_logs WHERE action LIKE 'billing.%ed' AND customer_id = $1 AND data->>'charge' = $2", a.Customer.String(), charge))
	require.Equal(t, "quarantined dispute", value[string](t, r, "SELECT state || ' ' || reason FROM stripe_events WHERE kind = 'charge.dispute.created'"))
	require.Equal(t, 1, r.counted("alarm dispute"))
	require.Equal(t, sweep.Subscription{Tier: sweep.Pro}, r.has(t, a))

	for _, id := range r.sim.Books().Events { // all again
		require.NoError(t, r.sim.Resend(id))
	}
	testkit.Eventually(t, 2*time.Minute, func() bool { return r.counted("heard") >= r.sim.Sent() && dealt() }, "all was told again")
	require.Equal(t, want, r.chargeLines(t))
}

// A dispute that Stripe does not answer about waits, and is written down when it does.
func TestADisputeWaitsForStripe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bought(t, sweep.Pro, sweep.Month, "ok")
	r.quiet(t, 3)
	for _, charges := range r.sim.Books().Charges {
		require.NoError(t, r.sim.Dispute(charges[0]))
	}
	r.sim.Strike(stripe.Faults{Refuse: http.StatusConflict})
	testkit.Eventually(t, 2*time.Minute, func() bool {
		return value[int](t, r, "SELECT count(*) FROM stripe_events WHERE kind LIKE '%dispute%'") == 1
	}, "it was told")
	_, err := r.Deal(t.Context())
	require.Equal(t, sweep.Unavailable, code(err))
	require.Empty(t, r.chargeLines(t))
	r.sim.Strike(stripe.Faults{})
	r.exec(t, "UPDATE stripe_events SET run_at = now()")
	r.quiet(t, 4)
	require.Equal(t, []string{"billing.disputed 2900"}, r.chargeLines(t))
}

// Stripe that is busy with the same request, as when somebody clicks twice, is there: nobody else is told to come back for that.
func TestStripeThatIsBusyIsNotAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	one, other := r.customer(t), r.customer(t)
	r.sim.Strike(stripe.Faults{Refuse: http.StatusConflict})
	for range 2 { // of three tries each
		_, err := r.Checkout(t.Context(), one, sweep.Pro, sweep.Month)
		require.Equal(t, sweep.Unavailable, code(err))
	}
	r.sim.Strike(stripe.Faults{})
	_, err := r.Checkout(t.Context(), other, sweep.Pro, sweep.Month)
	require.NoError(t, err)
}
