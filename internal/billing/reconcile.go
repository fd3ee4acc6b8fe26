package billing

import (
	"context"
	"fmt"
	"slices"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const reconcilePage = 200

// Reconcile compares what every customer has bought with what Stripe has, and repairs what differs: as when an event was never told. renew says whether to go
// on; it is asked after each page, each subscription and each repair. What of Stripe's belongs to no customer of ours is told, and left alone.
func (s *Service) Reconcile(ctx context.Context, renew func() error) (repaired int, err error) {
	if s == nil || s.Stripe == nil {
		return 0, nil
	}
	all, err := s.subscriptions(ctx, "", renew)
	if err != nil {
		return 0, fmt.Errorf("list subscriptions: %w", err)
	}
	by := map[string][]seen{}
	for _, one := range all {
		by[one.customer] = append(by[one.customer], one)
	}
	for after := (sweep.ID{}); ; {
		ids, err := s.DB.Customers(ctx, after, reconcilePage)
		if err != nil {
			return repaired, err
		}
		for _, id := range ids {
			changed, err := s.compare(ctx, id, by)
			if err != nil {
				return repaired, fmt.Errorf("customer %s: %w", sweep.CustomerID.Show(id), err)
			}
			if !changed {
				continue
			}
			repaired++
			if err := renew(); err != nil { // that took several calls
				return repaired, err
			}
		}
		if err := renew(); err != nil {
			return repaired, err
		}
		if len(ids) < reconcilePage {
			break
		}
		after = ids[len(ids)-1]
	}
	for stripeID := range by {
		s.alarm(ctx, "unknown_customer", "stripe_customer", stripeID)
	}
	return repaired, s.DB.ForgetStripeEvents(ctx)
}

// compare looks at one customer anew if its books differ from what was listed, and takes it off the list.
func (s *Service) compare(ctx context.Context, customer sweep.ID, by map[string][]seen) (changed bool, err error) {
	differs := false
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		c, err := tx.LoadCustomer()
		if err != nil {
			return err
		}
		at, err := tx.AtStripe()
		if err != nil || at.ID == "" {
			return err
		}
		listed := by[at.ID]
		delete(by, at.ID)
		live, err := tx.LiveSubscription()
		if err != nil {
			return err
		}
		switch {
		case !c.DeletedAt.IsZero():
			differs = len(listed) > 0 // what somebody pays for who is not here any more
		case live.ID == "":
			differs = len(listed) > 0 || c.Subscription.Tier != sweep.Free
		default:
			differs = !slices.ContainsFunc(listed, func(x seen) bool { return x.odd == "" && x.Subscription == live }) || c.Subscription != c.Subscription.Apply(purchaseOf(listed, live), tx.Now)
		}
		return nil
	})
	if err != nil || !differs {
		return false, err
	}
	looked, err := s.Look(ctx, customer)
	if looked.Changed {
		s.Log.WarnContext(ctx, "what was bought was not as Stripe has it", "customer", sweep.CustomerID.Show(customer))
		if s.Watch.Drift != nil {
			s.Watch.Drift()
		}
	}
	return looked.Changed, err
}

// purchaseOf is what was listed of a subscription.
func purchaseOf(listed []seen, live store.Subscription) sweep.Purchase {
	for _, x := range listed {
		if x.ID == live.ID {
			return x.purchase()
		}
	}
	return sweep.Purchase{}
}
