package billing

import (
	"context"

	"github.com/stripe/stripe-go/v76"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Open gives the page at Stripe where a customer sees invoices, changes the card, pays what is open, and cancels. Forbidden but for owners; Conflict for who
// never bought anything; Unavailable.
func (s *Service) Open(ctx context.Context, a sweep.Actor) (page Page, err error) {
	ctx, cancel, err := s.ready(ctx)
	if err != nil {
		return page, err
	}
	defer cancel()
	var at store.AtStripe
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if err := mayBuy(tx, a); err != nil {
			return err
		}
		at, err = tx.AtStripe()
		return err
	})
	if err == nil && (at.ID == "" || at.Gone) {
		err = sweep.Errorf(sweep.Conflict, "nothing was bought yet: begin with a checkout")
	}
	if err != nil {
		return page, err
	}
	portal, err := ask(ctx, s.Stripe, "make_portal", func(ctx context.Context) (*stripe.BillingPortalSession, error) {
		p := &stripe.BillingPortalSessionParams{Params: params(ctx, ""), Customer: &at.ID, ReturnURL: stripe.String(s.Pages + "/billing")}
		if s.Portal != "" {
			p.Configuration = &s.Portal
		}
		return s.Stripe.api.BillingPortalSessions.New(p)
	})
	if err != nil {
		return page, err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		return tx.Once(&page, func() error {
			page = Page{URL: portal.URL, Kind: "portal"}
			return tx.Audit(store.AuditEntry{Actor: a, Action: "billing.portal", Object: sweep.CustomerID.Show(a.Customer)})
		})
	})
	return page, err
}
