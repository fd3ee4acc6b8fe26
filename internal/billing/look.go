package billing

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/stripe/stripe-go/v76"

	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Looked is what a look at Stripe found.
type Looked struct {
	Changed bool     // what is stored was not as Stripe has it
	Odd     []string // what was not understood: the plan was kept

	payPage string // where the invoice is paid that something waits for
}

// oddMissing: Stripe does not know the customer.
const oddMissing = "customer_missing"

// Look writes down what a customer has at Stripe. However many look at the same time, and in whatever order their answers come, what stands in the end is
// the answer to who asked last. No transaction is open while Stripe is asked.
func (s *Service) Look(ctx context.Context, customer sweep.ID) (l Looked, err error) {
	var look int64
	var at store.AtStripe
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		if at, err = tx.AtStripe(); err != nil || at.ID == "" {
			return err
		}
		look, err = tx.BeginLook()
		return err
	})
	if err != nil || at.ID == "" {
		return l, err
	}
	all, err := s.subscriptions(ctx, at.ID, always)
	if errors.Is(err, errMissing) { // as with the key of another account: nobody loses a plan by that
		s.alarm(ctx, oddMissing, "customer", sweep.CustomerID.Show(customer))
		return Looked{Odd: []string{oddMissing}}, nil
	}
	if err != nil {
		return l, err
	}
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		l, err = s.write(tx, look, all)
		return err
	})
	if sweep.CodeOf(err) == sweep.NotFound {
		return l, s.stop(ctx, customer, all)
	}
	for _, odd := range l.Odd {
		s.alarm(ctx, odd, "customer", sweep.CustomerID.Show(customer))
	}
	return l, err
}

// write stores what a look saw, unless a younger one has.
func (s *Service) write(tx *store.Tx, look int64, all []seen) (l Looked, err error) {
	c, err := tx.LockCustomer()
	if err != nil {
		return l, err
	}
	before, err := tx.Subscriptions()
	if err != nil {
		return l, err
	}
	if stands, err := tx.EndLook(look); err != nil || !stands {
		return l, err
	}
	if err := vanish(tx, before, all); err != nil {
		return l, err
	}
	live, second, err := s.save(tx, all, &l)
	if err != nil {
		return l, err
	}
	if second {
		l.Odd = append(l.Odd, "second_subscription")
	}
	after, err := tx.Subscriptions()
	if err != nil {
		return l, err
	}
	l.Changed = !slices.Equal(before, after)
	if len(l.Odd) > 0 && live == nil {
		return l, nil // the plan is kept until a person has looked
	}
	bought := sweep.Subscription{Tier: sweep.Free}
	if live != nil {
		l.payPage = live.payPage
		bought = c.Subscription.Apply(live.purchase(), tx.Now)
	}
	if bought == c.Subscription {
		return l, nil
	}
	l.Changed = true
	if err := tx.SetBought(bought); err != nil {
		return l, err
	}
	if err := s.remind(tx, c, bought); err != nil {
		return l, err
	}
	return l, tx.Audit(store.AuditEntry{Actor: sweep.Actor{Kind: sweep.BySystem, Customer: tx.Customer}, Action: "plan.bought", Object: sweep.CustomerID.Show(tx.Customer),
		Data: told(c.Subscription, bought)})
}

// remind tells the owner by mail that a payment failed, once for each time that one is open.
func (s *Service) remind(tx *store.Tx, c store.Customer, bought sweep.Subscription) error {
	ends := bought.PastDueAt.Add(sweep.GraceLength)
	if s.Post == nil || bought.PastDueAt.IsZero() || !tx.Now.Before(ends) {
		return nil
	}
	first, err := tx.Notice(string(mail.PaymentFailed), bought.PastDueAt.Format(time.RFC3339))
	if err != nil || !first {
		return err
	}
	return s.Post(tx, mail.PaymentFailed, sweep.ID{}, mail.Data{Name: c.Name, Plan: string(bought.Tier), EndsAt: ends})
}

// vanish ends what Stripe does not have any more, and what is over under a price that is not ours any more: save leaves that alone.
func vanish(tx *store.Tx, stored []store.Subscription, all []seen) error {
	for _, old := range stored {
		if !old.Live() || slices.ContainsFunc(all, func(one seen) bool { return one.ID == old.ID && !(one.odd != "" && one.Payment.Final()) }) {
			continue
		}
		old.Payment, old.EndedAt = sweep.Ended, tx.Now
		if _, err := tx.SaveSubscription(old); err != nil {
			return err
		}
	}
	return nil
}

// save writes each subscription that is understood and gives the live one.
func (s *Service) save(tx *store.Tx, all []seen, l *Looked) (live *seen, second bool, err error) {
	for i, one := range all {
		if one.odd != "" {
			if !one.Payment.Final() {
				l.Odd = append(l.Odd, one.odd)
			}
			continue
		}
		another, err := tx.SaveSubscription(one.Subscription)
		if err != nil {
			return nil, false, err
		}
		second = second || another
		if one.Live() && !another {
			live = &all[i]
		}
	}
	return live, second, nil
}

func told(was, is sweep.Subscription) map[string]any {
	data := map[string]any{"plan": is.Tier, "was": was.Tier}
	if !is.PastDueAt.IsZero() {
		data["past_due_since"] = is.PastDueAt.Format(time.RFC3339)
	}
	if !is.EndsAt.IsZero() {
		data["ends_at"] = is.EndsAt.Format(time.RFC3339)
	}
	return data
}

// stop ends what a customer pays for who is not here any more.
func (s *Service) stop(ctx context.Context, customer sweep.ID, all []seen) error {
	for _, one := range all {
		if one.Payment.Final() {
			continue
		}
		_, err := ask(ctx, s.Stripe, "cancel_subscription", func(ctx context.Context) (*stripe.Subscription, error) {
			return s.Stripe.api.Subscriptions.Cancel(one.ID, &stripe.SubscriptionCancelParams{Params: params(ctx, "")})
		})
		if err != nil && !errors.Is(err, errMissing) {
			return err
		}
		s.Log.InfoContext(ctx, "the subscription of a deleted customer was ended", "customer", sweep.CustomerID.Show(customer))
	}
	return nil
}
