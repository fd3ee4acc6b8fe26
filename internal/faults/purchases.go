package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"mailsweep/internal/faults/wire"
)

// purchases are all steps of a purchase, of a change, and of what Stripe's events lead to, twice each: between what Stripe has done and what we write of it, between an
// event that is written down and one that was dealt with.
func purchases() (all []point) {
	for _, p := range []point{
		{name: "note what is about to be bought", program: "api", service: postgres, says: []string{"INSERT INTO billing_intents"}},
		{name: "make the customer at Stripe", program: "api", service: payments, says: []string{"POST /v1/customers HTTP"}},
		{name: "note the customer at Stripe", program: "api", service: postgres, says: []string{"UPDATE customers SET stripe_customer_id"}},
		{name: "make the checkout at Stripe", program: "api", service: payments, says: []string{"POST /v1/checkout/sessions HTTP"}},
		{name: "note the checkout", program: "api", service: postgres, says: []string{"UPDATE billing_intents SET session"}},
		{name: "write an event down", program: "api", service: postgres, says: []string{"INSERT INTO stripe_events"}},
		{name: "take an event", program: "leader", service: postgres, says: []string{"UPDATE stripe_events e SET attempts"}},
		{name: "look at Stripe", program: "leader", service: payments, says: []string{"GET /v1/subscriptions?"}},
		{name: "write what is bought", program: "leader", service: postgres, says: []string{"UPDATE customers SET plan = "}},
		{name: "settle an event", program: "leader", service: postgres, says: []string{"UPDATE stripe_events SET state"}},
		{name: "change at Stripe", program: "api", service: payments, says: []string{"POST /v1/subscriptions/"}},
		{name: "end a change", program: "api", service: postgres, says: []string{"DELETE FROM billing_intents"}},
	} {
		for _, p.moment = range []wire.Moment{wire.Before, wire.After} {
			all = append(all, p)
		}
	}
	return all
}

// killedBuying is J-07: somebody buys and changes the plan for each point, the program is killed there and started again. Each has then what was asked for, charged once.
func killedBuying(ctx context.Context, d *drill) error {
	all := purchases()
	order := d.rng.Perm(len(all))
	seen := map[string]bool{}
	for i := range d.n {
		p := all[order[i%len(order)]]
		if err := d.buyInto(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		seen[p.String()] = true
	}
	d.v.note("%d distinct points of %d", len(seen), len(all))
	return d.once(ctx)
}

// buyInto arms the point, buys pro and changes to enterprise.
func (d *drill) buyInto(ctx context.Context, p point) error {
	people, err := d.shoppers(ctx, 1)
	if err != nil {
		return err
	}
	who := people[0]
	reached := d.kills(p)
	if err := d.buy(ctx, who); err != nil {
		return err
	}
	if err := d.hasPlan(ctx, who, "pro"); err != nil {
		return err
	}
	if err := who.do(ctx, http.MethodPost, "/api/v1/billing/change", newKey(), map[string]string{"plan": "enterprise"}, nil); err != nil {
		return err
	}
	if err := d.hasPlan(ctx, who, "enterprise"); err != nil {
		return err
	}
	reached()
	books := d.Pay.Books()
	for _, at := range books.Names[who.ID] {
		if n := len(books.Charges[at]); n != 2 {
			d.v.Doubled += max(0, n-2)
			d.v.wrong("%s: %s was charged %d times, %v", p, who.Email, n, books.Paid[at])
		}
		if books.Open[at] > 0 {
			d.v.wrong("%s: %d other checkouts can be paid", p, books.Open[at])
		}
	}
	return d.calm(ctx)
}

// hasPlan waits until somebody has a plan that is paid. An event that nobody answered for may be lost: then the hourly comparison finds it, and its hour comes here.
func (d *drill) hasPlan(ctx context.Context, who *person, plan string) error {
	hour := time.Now().Add(20 * time.Second)
	return until(ctx, repeatLimit, who.Email+" has "+plan, func() bool {
		if time.Now().After(hour) {
			if _, err := d.judge.Exec(ctx, "UPDATE duties SET next_due = least(next_due, now()) WHERE name = 'billing' AND taken_until IS NULL"); err != nil {
				return false
			}
		}
		var view struct {
			Plan         string
			Subscription *struct{ Status, Plan string }
		}
		_, err := who.attempt(ctx, 0, http.MethodGet, "/api/v1/billing", "", nil, &view)
		return err == nil && view.Plan == plan && view.Subscription != nil && *view.Subscription == struct{ Status, Plan string }{"active", plan}
	})
}
