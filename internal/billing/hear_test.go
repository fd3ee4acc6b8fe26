package billing_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76/webhook"

	"mailsweep/internal/billing"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// sign is the header that Stripe sends with a body.
func sign(at time.Time, body []byte, secrets ...string) string {
	header := fmt.Sprintf("t=%d", at.Unix())
	for _, secret := range secrets {
		header += ",v1=" + hex.EncodeToString(webhook.ComputeSignature(at, body, secret))
	}
	return header
}

// event is the body of one about a subscription.
func event(id, kind, customer string, change ...func(map[string]any)) []byte {
	e := map[string]any{"id": id, "object": "event", "type": kind, "api_version": "2023-10-16", "created": 1_800_000_000, "livemode": false,
		"data": map[string]any{"object": map[string]any{"id": "sub_1", "object": "subscription", "customer": customer}}}
	for _, c := range change {
		c(e)
	}
	body, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return body
}

func (r *rig) events(t *testing.T) int { return value[int](t, r, "SELECT count(*) FROM stripe_events") }

// trust: WHK-1, WHK-3: fifteen forgeries, and none leaves a row.
func TestTamperedWebhooksAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	now, secret := r.sim.Now(), r.Secrets[0]
	body := event("evt_1", "invoice.paid", "cus_1")
	good := sign(now, body, secret)
	flipped := bytes.Replace(bytes.Clone(body), []byte("cus_1"), []byte("cus_2"), 1)
	for name, forged := range map[string]heard{
		"no signature":          {body, ""},
		"nonsense":              {body, "let me in"},
		"another body":          {flipped, good},
		"a space more":          {append(bytes.Clone(body), ' '), good},
		"a body cut short":      {body[:len(body)-1], good},
		"no body":               {nil, good},
		"another secret":        {body, sign(now, body, "whsec_"+strings.Repeat("x", 32))},
		"an empty secret":       {body, sign(now, body, "")},
		"301 s old":             {body, sign(now.Add(-301*time.Second), body, secret)},
		"301 s ahead":           {body, sign(now.Add(301*time.Second), body, secret)},
		"a time of another":     {body, strings.Replace(good, fmt.Sprint(now.Unix()), fmt.Sprint(now.Unix()-1), 1)},
		"two times":             {body, fmt.Sprintf("t=%d,%s", now.Unix()-1, good)},
		"no time":               {body, good[strings.Index(good, "v1="):]},
		"the scheme of tests":   {body, strings.Replace(good, "v1=", "v0=", 1)},
		"a signature cut short": {body, good[:len(good)-2]},
		"signed, but no event":  {[]byte(`{"id":"evt_1"}`), sign(now, []byte(`{"id":"evt_1"}`), secret)},
		"signed, but no JSON":   {[]byte(`{`), sign(now, []byte(`{`), secret)},
	} {
		require.Equal(t, sweep.BadRequest, code(r.Hear(t.Context(), forged.body, forged.signature)), name)
	}
	require.Zero(t, r.events(t))
	for name, at := range map[string]time.Time{"299 s old": now.Add(-299 * time.Second), "299 s ahead": now.Add(299 * time.Second)} {
		b := event("evt_"+name, "invoice.paid", "cus_1")
		require.NoError(t, r.Hear(t.Context(), b, sign(at, b, secret)), name)
	}
	require.Equal(t, 2, r.events(t))
}

// trust: WHK-2: two secrets are good while one is rolled.
func TestTwoSecretsAreGoodWhileOneIsRolled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old, next := r.Secrets[0], "whsec_"+strings.Repeat("n", 32)
	s := r.service(t, "mailsweep_app")
	s.Secrets = []string{next, old}
	for i, secrets := range [][]string{{old}, {next}, {"whsec_of_another_endpoint", old}} {
		b := event(fmt.Sprint("evt_", i), "invoice.paid", "cus_1")
		require.NoError(t, s.Hear(t.Context(), b, sign(r.sim.Now(), b, secrets...)))
	}
	b := event("evt_late", "invoice.paid", "cus_1")
	s.Secrets = s.Secrets[:1]
	require.Equal(t, sweep.BadRequest, code(s.Hear(t.Context(), b, sign(r.sim.Now(), b, old))), "a secret that was taken out")
	s.Secrets = nil
	require.Equal(t, sweep.Unavailable, code(s.Hear(t.Context(), b, sign(r.sim.Now(), b, ""))), "no secret is no open door")
}

// trust: WHK-4, WHK-8, WHK-10, WHK-12: what is odd about an event is written down and told, and no plan changes by it.
func TestOddEventsAreKeptAndTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Pro, sweep.Month, "ok")
	mine := value[string](t, r, "SELECT stripe_customer_id FROM customers")
	before := r.events(t)
	hear := func(body []byte) error { return r.Hear(t.Context(), body, sign(r.sim.Now(), body, r.Secrets[0])) }
	for _, version := range []string{"2022-11-15", "2024-06-20", ""} {
		require.NoError(t, hear(event("evt_v"+version, "customer.subscription.updated", mine, func(e map[string]any) {
			e["api_version"] = version
			e["data"].(map[string]any)["object"].(map[string]any)["customer_email"] = "ada@example.com"
		})))
	}
	require.Equal(t, 3, r.counted("alarm version"))
	require.Equal(t, 3, value[int](t, r, "SELECT count(*) FROM stripe_events WHERE reason = 'version' AND raw LIKE '%customer_email%' AND raw NOT LIKE '%ada@%'"))
	require.NoError(t, hear(event("evt_unknown", "customer.subscription.updated", "cus_of_nobody")))
	require.NoError(t, hear(event("evt_dispute", "charge.dispute.created", "")))
	require.NoError(t, hear(event("evt_without", "invoice.paid", "")))
	require.NoError(t, hear(event("evt_other", "payout.paid", mine)))
	require.Equal(t, sweep.BadRequest, code(hear(event("evt_live", "invoice.paid", mine, func(e map[string]any) { e["livemode"] = true }))))
	require.Equal(t, 1, r.counted("alarm livemode"))
	r.quiet(t, before+7)
	require.Equal(t, []string{"evt_dispute quarantined dispute", "evt_other ignored ", "evt_unknown quarantined unknown_customer", "evt_without quarantined no_customer"},
		rows(t, r, "SELECT id || ' ' || state || ' ' || reason FROM stripe_events WHERE state IN ('quarantined','ignored') AND id LIKE 'evt\\_%' ORDER BY 1"))
	require.Equal(t, 3, value[int](t, r, "SELECT count(*) FROM stripe_events WHERE reason = 'version' AND state = 'done'"), "they led to a look")
	require.Equal(t, []int{1, 1, 1, 1}, []int{r.counted("alarm unknown_customer"), r.counted("alarm dispute"), r.counted("alarm no_customer"), r.counted("other ignored")})
	require.Equal(t, sweep.Subscription{Tier: sweep.Pro}, r.has(t, a))
}

func rows(t *testing.T, r *rig, query string) (all []string) {
	t.Helper()
	found, err := r.root.Query(t.Context(), query)
	require.NoError(t, err)
	for found.Next() {
		var one string
		require.NoError(t, found.Scan(&one))
		all = append(all, one)
	}
	require.NoError(t, found.Err())
	return all
}

// trust: BIL-1: a price that the settings do not know keeps the plan.
func TestAnUnknownPriceKeepsThePlan(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Pro, sweep.Month, "ok")
	r.quiet(t, 3)
	known := r.Prices
	for _, s := range []*billing.Service{r.Service, r.due} {
		s.Prices = nil
	}
	require.NoError(t, r.sim.Resend(r.sim.Books().Events[0]))
	body := event("evt_again", "customer.subscription.updated", value[string](t, r, "SELECT stripe_customer_id FROM customers"))
	require.NoError(t, r.Hear(t.Context(), body, sign(r.sim.Now(), body, r.Secrets[0])))
	r.quiet(t, 4)
	require.Equal(t, "quarantined price", value[string](t, r, "SELECT state || ' ' || reason FROM stripe_events WHERE id = 'evt_again'"))
	require.Positive(t, r.counted("alarm price"))
	require.Equal(t, sweep.Subscription{Tier: sweep.Pro}, r.has(t, a))
	_, err := r.Cancel(t.Context(), a)
	require.Equal(t, sweep.Conflict, code(err))
	r.due.Prices = known
	repaired, err := r.due.Reconcile(t.Context(), func() error { return nil })
	require.NoError(t, err)
	require.Zero(t, repaired, "nothing was lost meanwhile")
}

// trust: WHK-5, WHK-6: the same again, under its own id and another, fifty times, at once and one after the other.
func TestRepeatedEventsChangeNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Pro, sweep.Month, "ok")
	r.quiet(t, 3)
	books := func() string {
		return value[string](t, r, "SELECT (SELECT string_agg(s::text, '') FROM (SELECT customer_id, stripe_id, status, tier, period_end FROM subscriptions) s) || (SELECT plan || plan_version FROM customers) || (SELECT count(*) FROM audit_logs)")
	}
	before, known := books(), r.events(t)
	r.mu.Lock()
	first := r.heard
	r.mu.Unlock()
	var all sync.WaitGroup
	for _, h := range first {
		for range 50 {
			all.Go(func() {
				if err := r.Hear(t.Context(), h.body, h.signature); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	require.Equal(t, known, r.events(t))
	for i := range 50 {
		for j, h := range first {
			body := bytes.Replace(h.body, []byte(`"id":"evt_`), fmt.Appendf(nil, `"id":"evt_copy_%d_%d_`, i, j), 1)
			require.NotEqual(t, h.body, body)
			require.NoError(t, r.Hear(t.Context(), body, sign(r.sim.Now(), body, r.Secrets[0])))
		}
	}
	r.quiet(t, known+50*len(first))
	require.Equal(t, before, books())
	require.Equal(t, sweep.Subscription{Tier: sweep.Pro}, r.has(t, a))
}

// trust: WHK-7: every order of six events leads to the same row, and what is over stays over.
func TestEveryOrderOfEventsLeadsToTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Basic, sweep.Month, "later")
	_, err := r.Change(t.Context(), a, sweep.Pro, sweep.Month, time.Time{}) // declined
	require.NoError(t, err)
	r.sim.Advance(32 * 24 * time.Hour) // so is the renewal
	r.sim.Advance(16 * 24 * time.Hour) // and nobody pays
	r.settle(t, a, func(s sweep.Subscription) bool { return s.Tier == sweep.Free })
	customer := value[string](t, r, "SELECT stripe_customer_id FROM customers")
	kinds := []string{"customer.subscription.created", "invoice.paid", "customer.subscription.updated", "invoice.payment_failed", "checkout.session.completed", "customer.subscription.deleted"}
	final := ""
	orders := 0
	permute(len(kinds), func(order []int) {
		r.exec(t, "DELETE FROM stripe_events")
		r.exec(t, "DELETE FROM subscriptions")
		r.exec(t, "UPDATE customers SET plan = $1, plan_past_due_at = NULL", []string{"free", "basic", "pro"}[orders%3])
		for i, k := range order {
			b := event(fmt.Sprint("evt_", i), kinds[k], customer)
			require.NoError(t, r.Hear(t.Context(), b, sign(r.sim.Now(), b, r.Secrets[0])))
			if (orders>>(i%5))&1 == 0 || i == len(order)-1 { // by one, or several together
				_, err := r.Deal(t.Context())
				require.NoError(t, err)
			}
		}
		got := value[string](t, r, "SELECT (s.status, s.tier, s.period_start, s.period_end, s.ended_at, s.past_due_at, c.plan, c.plan_past_due_at, c.plan_ends_at)::text FROM subscriptions s JOIN customers c ON c.id = s.customer_id")
		if final == "" {
			final = got
		}
		require.Equal(t, final, got, "%v", order)
		orders++
	})
	require.Equal(t, 720, orders)
	require.Contains(t, final, "canceled,basic")
	require.Contains(t, final, ",free,")
}

// permute calls f with each order of n numbers.
func permute(n int, f func([]int)) {
	var step func(order []int, left []int)
	step = func(order, left []int) {
		if len(left) == 0 {
			f(order)
			return
		}
		for i := range left {
			rest := append(append([]int{}, left[:i]...), left[i+1:]...)
			step(append(append([]int{}, order...), left[i]), rest)
		}
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	step(nil, all)
}

// WHK-10: whom Stripe knows by our id is found, also where we had not noted it; who belongs to another is not.
func TestACustomerIsFoundByOurIDAtStripe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.bought(t, sweep.Pro, sweep.Month, "ok"), r.bought(t, sweep.Basic, sweep.Month, "ok")
	stripeID := value[string](t, r, "SELECT stripe_customer_id FROM customers WHERE id = $1", a.Customer.String())
	r.exec(t, "UPDATE customers SET stripe_customer_id = NULL, plan = 'free' WHERE id = $1", a.Customer.String())
	hear := func(id string) {
		body := event(id, "invoice.paid", stripeID)
		require.NoError(t, r.Hear(t.Context(), body, sign(r.sim.Now(), body, r.Secrets[0])))
	}
	hear("evt_found")
	r.settle(t, a, func(s sweep.Subscription) bool { return s.Tier == sweep.Pro })
	require.Equal(t, stripeID, value[string](t, r, "SELECT stripe_customer_id FROM customers WHERE id = $1", a.Customer.String()))
	r.exec(t, "UPDATE customers SET stripe_customer_id = 'cus_another' WHERE id = $1", a.Customer.String())
	hear("evt_taken")
	testkit.Eventually(t, 2*time.Minute, func() bool {
		_, err := r.Deal(t.Context())
		require.NoError(t, err)
		return value[bool](t, r, "SELECT state = 'quarantined' FROM stripe_events WHERE id = 'evt_taken'")
	}, "it is in quarantine")
	require.Equal(t, sweep.Basic, r.has(t, b).Tier)
}

// trust: WHK-8: each kind that concerns us, alone, brings what was paid: also the creation, which may be the only one that is told.
func TestEachKindOfEventAloneBringsWhatWasPaid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.bought(t, sweep.Pro, sweep.Month, "ok")
	r.quiet(t, 3)
	customer := value[string](t, r, "SELECT stripe_customer_id FROM customers")
	for _, kind := range billing.Kinds() {
		r.exec(t, "DELETE FROM stripe_events")
		r.exec(t, "DELETE FROM subscriptions")
		r.exec(t, "UPDATE customers SET plan = 'free'")
		body := event("evt_only", kind, customer)
		if kind == "customer.deleted" {
			body = event("evt_only", kind, "", func(e map[string]any) {
				e["data"] = map[string]any{"object": map[string]any{"id": customer, "object": "customer"}}
			})
		}
		require.NoError(t, r.Hear(t.Context(), body, sign(r.sim.Now(), body, r.Secrets[0])))
		_, err := r.Deal(t.Context())
		require.NoError(t, err)
		if kind == "charge.dispute.created" {
			require.Equal(t, sweep.Free, r.has(t, a).Tier, "a dispute wants a person and changes no plan")
			continue
		}
		require.Equal(t, sweep.Pro, r.has(t, a).Tier, kind)
		require.Equal(t, "done", value[string](t, r, "SELECT state FROM stripe_events"), kind)
	}
	for _, kind := range []string{"invoice.created", "payout.paid", "customer.created", "of.the.future"} {
		body := event("evt_"+kind, kind, customer)
		require.NoError(t, r.Hear(t.Context(), body, sign(r.sim.Now(), body, r.Secrets[0])))
		require.Equal(t, "ignored", value[string](t, r, "SELECT state FROM stripe_events WHERE kind = $1", kind))
	}
	require.Equal(t, 4, r.counted("other ignored"), "strangers choose no labels")
}
