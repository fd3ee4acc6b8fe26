package billing_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/billing"
	"mailsweep/internal/sim/stripe"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// trust: BIL-2, BIL-3: fifty checkouts at once are one customer at Stripe and one page; paid, it is one subscription.
func TestFiftyCheckoutsAtOnceAreOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.customer(t)
	pages := make([]string, 50)
	var all sync.WaitGroup
	for i := range pages {
		all.Go(func() {
			page, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
			if err != nil {
				t.Error(err)
			}
			pages[i] = page.URL
		})
	}
	all.Wait()
	for _, p := range pages {
		require.Equal(t, pages[0], p)
	}
	books := r.sim.Books()
	require.Len(t, books.Customers, 1)
	require.Equal(t, map[string]int{books.Customers[0]: 1}, books.Open)
	require.Equal(t, books.Customers, books.Names[sweep.CustomerID.Show(a.Customer)])
	require.Equal(t, 1, value[int](t, r, "SELECT count(*) FROM audit_logs WHERE action = 'billing.checkout'"))
	_, err := r.sim.Pay(session(billing.Page{URL: pages[0]}), "ok")
	require.NoError(t, err)
	kinds := make([]string, 20)
	for i := range kinds { // before any event was dealt with
		all.Go(func() {
			page, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
			if err != nil {
				t.Error(err)
			}
			kinds[i] = page.Kind
		})
	}
	all.Wait()
	for _, k := range kinds {
		require.Equal(t, "portal", k)
	}
	require.Equal(t, map[string]int{books.Customers[0]: 1}, r.sim.Books().Live)
	require.Equal(t, sweep.Pro, r.has(t, a).Tier)
}

// trust: BIL-4: another intent has another key, and closes the page of the one before.
func TestAnotherPlanIsAnotherCheckout(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.customer(t)
	pro, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.NoError(t, err)
	basic, err := r.Checkout(t.Context(), a, sweep.Basic, sweep.Year)
	require.NoError(t, err)
	require.NotEqual(t, pro.URL, basic.URL)
	_, err = r.sim.Pay(session(pro), "ok")
	require.Error(t, err, "only one page can be paid")
	_, err = r.sim.Pay(session(basic), "ok")
	require.NoError(t, err)
	r.settle(t, a, func(s sweep.Subscription) bool { return s.Tier == sweep.Basic })
	require.Len(t, r.sim.Books().Customers, 1)
}

// A checkout that was made and not noted, by a process that died and that had another address of our pages, cannot be paid beside the next one.
func TestACheckoutOfAnotherAddressIsClosed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.customer(t)
	first, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.NoError(t, err)
	r.exec(t, "UPDATE billing_intents SET session = ''") // as if the process had died before it was noted
	r.Pages = "https://moved.example"
	second, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.NoError(t, err)
	require.NotEqual(t, first.URL, second.URL)
	_, err = r.sim.Pay(session(first), "ok")
	require.Error(t, err, "only one page can be paid")
	_, err = r.sim.Pay(session(second), "ok")
	require.NoError(t, err)
}

// A second subscription, as somebody makes in Stripe's dashboard, changes nothing and is told.
func TestASecondSubscriptionIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.customer(t)
	first, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.NoError(t, err)
	r.exec(t, "DELETE FROM billing_intents") // as if its page had been forgotten
	second, err := r.Checkout(t.Context(), a, sweep.Enterprise, sweep.Month)
	require.NoError(t, err)
	for _, p := range []billing.Page{first, second} {
		_, err = r.sim.Pay(session(p), "ok")
		require.NoError(t, err)
	}
	r.quiet(t, 6)
	require.Equal(t, sweep.Pro, r.has(t, a).Tier, "the first stays")
	require.Positive(t, r.counted("alarm second_subscription"))
	require.Equal(t, 1, value[int](t, r, "SELECT count(*) FROM subscriptions"))
}

// gate stands before the simulated Stripe and holds back answers.
func (r *rig) gate(t *testing.T, hold func(req *http.Request, answer func())) *billing.Service {
	to, err := url.Parse(r.at)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		held := httptest.NewRecorder()
		proxy.ServeHTTP(held, req)
		hold(req, func() {
			for name, values := range held.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(held.Code)
			_, _ = w.Write(held.Body.Bytes())
		})
	}))
	t.Cleanup(s.Close)
	other := r.service(t, "mailsweep_app")
	other.Prices, other.Portal, other.Secrets = r.Prices, r.Portal, r.Secrets
	other.Stripe = billing.Connect(billing.Options{Key: stripeKey, URL: s.URL, Timeout: unhurried})
	return other
}

// trust: WHK-7: an answer that was asked for before another and comes after it changes nothing.
func TestAnOlderAnswerChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Basic, sweep.Month, "ok")
	asked, on := make(chan bool), make(chan bool)
	slow := r.gate(t, func(_ *http.Request, answer func()) {
		asked <- true
		<-on
		answer()
	})
	done := make(chan error)
	go func() {
		_, err := slow.Look(t.Context(), a.Customer)
		done <- err
	}()
	<-asked // it has seen basic
	_, err := r.Change(t.Context(), a, sweep.Pro, sweep.Month, time.Time{})
	require.NoError(t, err)
	require.Equal(t, sweep.Pro, r.has(t, a).Tier)
	close(on)
	require.NoError(t, <-done)
	require.Equal(t, sweep.Pro, r.has(t, a).Tier)
	require.Equal(t, sweep.Pro, r.state(t, a).Subscription.Plan)
}

// trust: WHK-5: killed behind any statement, and done again, an event has its effect once.
func TestAnEventHasItsEffectOnceWhereverItsProcessDies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Pro, sweep.Month, "ok")
	r.quiet(t, 3)
	customer := value[string](t, r, "SELECT stripe_customer_id FROM customers")
	for dies := int64(1); ; dies++ {
		r.exec(t, "DELETE FROM stripe_events")
		r.exec(t, "DELETE FROM subscriptions")
		r.exec(t, "UPDATE customers SET plan = 'free'")
		before := value[int](t, r, "SELECT count(*) FROM audit_logs")
		ctx, kill := context.WithCancel(t.Context())
		var done atomic.Int64
		mortal := r.mortal(t, func() {
			if done.Add(1) == dies {
				kill()
			}
		})
		body := event("evt_once", "invoice.paid", customer)
		heard := mortal.Hear(ctx, body, sign(r.sim.Now(), body, r.Secrets[0]))
		_, dealt := mortal.Deal(ctx)
		lived := done.Load() < dies
		kill()
		require.True(t, !lived || heard == nil && dealt == nil)
		require.NoError(t, r.Hear(t.Context(), body, sign(r.sim.Now(), body, r.Secrets[0]))) // Stripe sends what was not answered again
		r.exec(t, "UPDATE stripe_events SET run_at = now() WHERE state = 'waiting'")         // a minute later
		_, err := r.Deal(t.Context())
		require.NoError(t, err)
		require.Equal(t, "done", value[string](t, r, "SELECT state FROM stripe_events"), "%d", dies)
		require.Equal(t, sweep.Subscription{Tier: sweep.Pro}, r.has(t, a), "%d", dies)
		require.Equal(t, 1, value[int](t, r, "SELECT count(*) FROM subscriptions"))
		require.Equal(t, before+1, value[int](t, r, "SELECT count(*) FROM audit_logs"), "%d: granted once", dies)
		if lived {
			require.Greater(t, dies, int64(15), "there were steps to die behind")
			return
		}
	}
}

// mortal is the service with something that happens behind each of its statements.
func (r *rig) mortal(t *testing.T, behind func()) *billing.Service {
	s := r.service(t, "mailsweep_app")
	db, err := store.Open(t.Context(), store.Options{URL: r.database.URL("mailsweep_app", rolePassword), Process: "test", Told: func(context.Context, store.Statement) { behind() }})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	s.DB, s.Prices, s.Portal, s.Secrets = db, r.Prices, r.Portal, r.Secrets
	return s
}

// diesAnywhere buys pro for one new customer after another in a process that dies one statement or call later each time, until one lives; then
// another process is asked for the same.
func (r *rig) diesAnywhere(t *testing.T, before func(sweep.Actor), then func(a sweep.Actor, dies int64)) {
	t.Helper()
	for dies := int64(1); ; dies++ {
		a := r.customer(t)
		before(a)
		ctx, kill := context.WithCancel(t.Context())
		var done atomic.Int64
		behind := func() {
			if done.Add(1) == dies {
				kill()
			}
		}
		mortal := r.mortal(t, behind)
		mortal.Stripe = r.gate(t, func(_ *http.Request, answer func()) { behind(); answer() }).Stripe
		_, err := mortal.Checkout(ctx, a, sweep.Pro, sweep.Month)
		lived := done.Load() < dies
		kill()
		require.True(t, !lived || err == nil, "%v", err)
		page, err := r.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
		require.NoError(t, err)
		require.Equal(t, "checkout", page.Kind)
		then(a, dies)
		if lived {
			require.Greater(t, dies, int64(15))
			return
		}
	}
}

// trust: BIL-2, BIL-3: a purchase that dies behind any statement or call is gone on with: one customer, one page.
func TestACheckoutGoesOnWhereverItsProcessDied(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.diesAnywhere(t, func(sweep.Actor) {}, func(a sweep.Actor, dies int64) {
		books := r.sim.Books()
		require.Len(t, books.Names[sweep.CustomerID.Show(a.Customer)], 1, "%d", dies)
		require.Equal(t, 1, books.Open[books.Names[sweep.CustomerID.Show(a.Customer)][0]], "%d", dies)
	})
}

// trust: F-19: whatever Stripe does, a customer has one customer there and one subscription, and hears unavailable or the result.
func TestWhateverStripeDoesOneCustomerIsOneThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var actors []sweep.Actor
	for range 10 {
		actors = append(actors, r.customer(t))
	}
	for _, f := range []stripe.Faults{{Lose: true, Share: .5, Path: "/v1/c"}, {Refuse: 429, Share: .5}, {Refuse: 500, Share: .5}, {Hang: 150 * time.Millisecond, Share: .3}} {
		r.sim.Strike(f)
		hasty := r.service(t, "mailsweep_app")
		hasty.Prices, hasty.Portal = r.Prices, r.Portal
		hasty.Stripe = billing.Connect(billing.Options{Key: stripeKey, URL: r.at, Timeout: 100 * time.Millisecond})
		var all sync.WaitGroup
		for i := range 125 {
			all.Go(func() {
				_, err := hasty.Checkout(t.Context(), actors[i%len(actors)], sweep.Pro, sweep.Month)
				if err != nil && code(err) != sweep.Unavailable {
					t.Errorf("%+v: %v", f, err)
				}
			})
			if i%25 == 24 {
				all.Wait()
			}
		}
		all.Wait()
	}
	r.sim.Strike(stripe.Faults{})
	for _, a := range actors {
		r.buy(t, a, sweep.Pro, sweep.Month, "ok")
	}
	books := r.sim.Books()
	require.Len(t, books.Customers, len(actors))
	for _, id := range books.Customers {
		require.Equal(t, 1, books.Live[id])
	}
}

// trust: BIL-10: while Stripe is a black hole callers wait for a bounded time, then not at all; what needs no Stripe goes on.
func TestWhileStripeIsAwayNobodyWaitsForIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Pro, sweep.Month, "ok")
	var calls atomic.Int64
	over := make(chan bool)
	hole := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		calls.Add(1)
		<-over
	}))
	t.Cleanup(hole.Close)
	t.Cleanup(func() { close(over) })
	s := r.service(t, "mailsweep_app")
	s.Prices, s.Secrets, s.Stripe = r.Prices, r.Secrets, billing.Connect(billing.Options{Key: stripeKey, URL: hole.URL, Timeout: 50 * time.Millisecond})
	for range 20 {
		_, err := s.Open(t.Context(), a)
		require.Equal(t, sweep.Unavailable, code(err))
		var e *sweep.Error
		require.ErrorAs(t, err, &e)
		require.Positive(t, e.Data["retry_after"])
		require.False(t, strings.Contains(e.Detail, "127.0.0.1"))
	}
	require.LessOrEqual(t, calls.Load(), int64(6), "then nobody is let through")
	v, err := s.State(t.Context(), a.Customer)
	require.NoError(t, err)
	require.Equal(t, sweep.Pro, v.Plan)
	body := event("evt_meanwhile", "invoice.paid", value[string](t, r, "SELECT stripe_customer_id FROM customers"))
	require.NoError(t, s.Hear(t.Context(), body, sign(r.sim.Now(), body, r.Secrets[0])))
	_, err = s.Deal(t.Context())
	require.Error(t, err)
	require.Equal(t, "waiting", value[string](t, r, "SELECT state FROM stripe_events WHERE id = 'evt_meanwhile'"), "it is dealt with when Stripe is back")
	none := r.service(t, "mailsweep_app")
	none.Stripe = nil
	_, err = none.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.Equal(t, sweep.Unavailable, code(err), "payments are not set up")
}
