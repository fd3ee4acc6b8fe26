package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/sim/stripe"
)

// told is F-18: Stripe's events come fifty times, in any order, again after they were dealt with, or not at all. Each customer has what it
// paid for, once, and what no event told is repaired by the hourly comparison.
func told(ctx context.Context, d *drill) error {
	for range d.n {
		for _, how := range []stripe.Webhooks{{Copies: 49}, {Copies: 4, Shuffle: 15}, {Drop: true}} {
			d.Pay.Strike(stripe.Faults{Webhooks: how})
			people, err := d.shoppers(ctx, 3)
			if err != nil {
				return err
			}
			begun := time.Now()
			for _, p := range people {
				if err := d.buy(ctx, p); err != nil {
					return err
				}
				d.v.Strikes++
			}
			if how.Drop {
				d.Pay.Strike(stripe.Faults{})
				if _, err := d.judge.Exec(ctx, "UPDATE duties SET next_due = now() WHERE name = 'billing'"); err != nil { // its hour has come
					return fmt.Errorf("call the comparison: %w", err)
				}
			}
			if err := d.haveOnce(ctx, people, begun); err != nil {
				return err
			}
		}
		d.Pay.Strike(stripe.Faults{})
		for _, id := range d.Pay.Books().Events { // a day later all is told again
			if err := d.Pay.Resend(id); err != nil {
				return fmt.Errorf("tell %s again: %w", id, err)
			}
		}
	}
	return d.settledEvents(ctx)
}

// crossed is F-19: Stripe answers with errors, too late, or not at all, also after it has done what was asked. Callers hear unavailable or the result, and
// each has one customer there and one subscription.
func crossed(ctx context.Context, d *drill) error {
	faults := []stripe.Faults{{Lose: true, Share: .5}, {Refuse: http.StatusTooManyRequests, Share: .6}, {Refuse: http.StatusInternalServerError, Share: .6}, {Hang: 7 * time.Second, Share: .3}}
	people, err := d.shoppers(ctx, 4)
	if err != nil {
		return err
	}
	answers := map[int]int{}
	for i := range d.n {
		d.Pay.Strike(faults[i%len(faults)])
		for _, p := range people {
			_, err := p.attempt(ctx, i, http.MethodPost, "/api/v1/billing/checkout", "", map[string]string{"plan": "pro"}, &struct{}{})
			var problem *customer.Problem
			switch {
			case err == nil:
				answers[http.StatusOK]++
			case errors.As(err, &problem):
				answers[problem.Status]++
			default:
				answers[0]++ // it waited longer than the caller
			}
			d.v.Strikes++
		}
	}
	d.Pay.Strike(stripe.Faults{})
	d.v.note("answers to checkouts by status: %v", answers)
	if bad := answers[0] + answers[http.StatusOK] + answers[http.StatusServiceUnavailable] - d.v.Strikes; bad != 0 {
		d.v.wrong("checkouts were answered with something else than 200 and 503: %v", answers)
	}
	begun := time.Now()
	for _, p := range people {
		if err := d.buy(ctx, p); err != nil {
			return err
		}
	}
	return d.haveOnce(ctx, people, begun)
}

// shoppers are people without mailboxes.
func (d *drill) shoppers(ctx context.Context, n int) (people []*person, err error) {
	for range n {
		p := &person{rig: d.rig, home: d.joined, Client: d.client(d.joined)}
		if err := p.SignUp(ctx, d.Sink, password); err != nil {
			return nil, err
		}
		d.people, people, d.joined = append(d.people, p), append(people, p), d.joined+1
	}
	return people, nil
}

// buy goes through a checkout and pays.
func (d *drill) buy(ctx context.Context, p *person) error {
	var page struct{ URL string }
	if err := p.do(ctx, http.MethodPost, "/api/v1/billing/checkout", newKey(), map[string]string{"plan": "pro"}, &page); err != nil {
		return err
	}
	if _, err := d.Pay.Pay(page.URL[strings.LastIndex(page.URL, "/")+1:], "ok"); err != nil {
		return fmt.Errorf("pay: %w", err)
	}
	return nil
}

// haveOnce waits until each has what it paid for, and compares our books with Stripe's.
func (d *drill) haveOnce(ctx context.Context, people []*person, since time.Time) error {
	for _, p := range people {
		err := until(ctx, repeatLimit, p.Email+" has what it paid for", func() bool {
			var view struct {
				Subscription *struct{ Status, Plan string }
			}
			_, err := p.attempt(ctx, 0, http.MethodGet, "/api/v1/billing", "", nil, &view)
			return err == nil && view.Subscription != nil && *view.Subscription == struct{ Status, Plan string }{"active", "pro"}
		})
		if err != nil {
			d.v.lost("%s", err)
			return nil
		}
	}
	d.v.recovered(since)
	return d.once(ctx)
}

// once compares our books with Stripe's: one customer there and one live subscription of each who bought, granted once.
func (d *drill) once(ctx context.Context) error {
	books := d.Pay.Books()
	for name, ids := range books.Names {
		if len(ids) != 1 || books.Live[ids[0]] > 1 || books.Open[ids[0]] > 1 {
			d.v.Doubled++
			d.v.wrong("%s is %d customers at Stripe, with %d subscriptions and %d open checkouts", name, len(ids), books.Live[ids[0]], books.Open[ids[0]])
		}
	}
	var twice, strays int
	err := d.judge.QueryRow(ctx, `SELECT (SELECT count(*) FROM (SELECT FROM audit_logs WHERE action = 'plan.bought' GROUP BY customer_id, data->>'plan' HAVING count(*) > 1) t),
		(SELECT count(*) FROM subscriptions s JOIN customers c ON c.id = s.customer_id WHERE c.plan <> s.tier)`).Scan(&twice, &strays)
	if err != nil {
		return fmt.Errorf("compare the books: %w", err)
	}
	d.v.Doubled += twice
	if strays > 0 {
		d.v.wrong("%d customers have another plan than they bought", strays)
	}
	return nil
}

// settledEvents waits until every event was dealt with; none may want a person.
func (d *drill) settledEvents(ctx context.Context) error {
	err := until(ctx, repeatLimit, "every event is dealt with", func() bool {
		var waiting int
		return d.judge.QueryRow(ctx, "SELECT count(*) FROM stripe_events WHERE state <> 'done'").Scan(&waiting) == nil && waiting == 0
	})
	if err != nil {
		d.v.lost("%s", err)
		return nil
	}
	return d.once(ctx)
}
