package billing_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/billing"
	"mailsweep/internal/sim/stripe"
	"mailsweep/internal/sweep"
)

// payable counts the pages that a customer can pay.
func (r *rig) payable(a sweep.Actor) (n int) {
	books := r.sim.Books()
	for _, id := range books.Names[sweep.CustomerID.Show(a.Customer)] {
		n += books.Open[id]
	}
	return n
}

// trust: BIL-4: while a page cannot be closed no other is made beside it, however often that is tried.
func TestNoPageIsMadeBesideOneThatCannotBeClosed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.customer(t)
	basic, err := r.Checkout(t.Context(), a, sweep.Basic, sweep.Month)
	require.NoError(t, err)
	r.sim.Strike(stripe.Faults{Refuse: 500, Path: "/v1/checkout/sessions/"}) // of one that is there
	_, err = r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.Equal(t, sweep.Unavailable, code(err))
	r.sim.Strike(stripe.Faults{})
	pro, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.NoError(t, err)
	require.Equal(t, 1, r.payable(a))
	_, err = r.sim.Pay(session(basic), "ok")
	require.Error(t, err)
	_, err = r.sim.Pay(session(pro), "ok")
	require.NoError(t, err)
}

// trust: BIL-4: a purchase in place of another that dies behind any statement or call is gone on with: one page can be paid.
func TestAnotherCheckoutGoesOnWhereverItsProcessDied(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var basic billing.Page
	r.diesAnywhere(t, func(a sweep.Actor) {
		page, err := r.Checkout(t.Context(), a, sweep.Basic, sweep.Month)
		require.NoError(t, err)
		basic = page
	}, func(a sweep.Actor, dies int64) {
		require.Equal(t, 1, r.payable(a), "%d", dies)
		_, err := r.sim.Pay(session(basic), "ok")
		require.Error(t, err, "%d", dies)
	})
}

// trust: BIL-3, BIL-4: who has paid one plan and asks for another before that is known here gets the portal, and no second page.
func TestWhoHasPaidGetsNoOtherPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.customer(t)
	basic, err := r.Checkout(t.Context(), a, sweep.Basic, sweep.Month)
	require.NoError(t, err)
	_, err = r.sim.Pay(session(basic), "ok")
	require.NoError(t, err)
	page, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.NoError(t, err)
	require.Equal(t, "portal", page.Kind)
	require.Zero(t, r.payable(a))
	require.Equal(t, sweep.Basic, r.has(t, a).Tier)
}

// What was paid and is not understood, as under a price that the settings do not know, is not sold a second time.
func TestWhatWasPaidAndNotUnderstoodIsNotSoldAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.customer(t)
	basic, err := r.Checkout(t.Context(), a, sweep.Basic, sweep.Month)
	require.NoError(t, err)
	_, err = r.sim.Pay(session(basic), "ok")
	require.NoError(t, err)
	known := r.Prices
	pro, err := known.Sold(sweep.Pro, sweep.Month)
	require.NoError(t, err)
	r.Prices = billing.Prices{pro}
	for range 2 {
		_, err = r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
		require.Equal(t, sweep.Conflict, code(err))
		require.Zero(t, r.payable(a))
	}
	require.Positive(t, r.counted("alarm price"))
	r.Prices = known
	page, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.NoError(t, err)
	require.Equal(t, "portal", page.Kind)
}

// trust: BIL-4: of two plans that are asked for at once one gets a page; the other's is closed before anybody has seen it.
func TestOfTwoPlansAtOnceOneCanBePaid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.customer(t)
	asked, on := make(chan bool), make(chan bool)
	slow := r.gate(t, func(req *http.Request, answer func()) {
		if req.Method == http.MethodPost && req.URL.Path == "/v1/checkout/sessions" {
			asked <- true
			<-on
		}
		answer()
	})
	done := make(chan error)
	go func() {
		_, err := slow.Checkout(t.Context(), a, sweep.Basic, sweep.Month)
		done <- err
	}()
	<-asked // its page is made, and not noted
	pro, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.NoError(t, err)
	close(on)
	require.Equal(t, sweep.Conflict, code(<-done))
	require.Equal(t, 1, r.payable(a))
	again, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.NoError(t, err)
	require.Equal(t, pro, again)
	_, err = r.sim.Pay(session(pro), "ok")
	require.NoError(t, err)
}
