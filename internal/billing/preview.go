package billing

import (
	"context"
	"time"

	"github.com/stripe/stripe-go/v76"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Preview is what a change would cost, to the cent, if it is made as of At. Cents are US cents.
type Preview struct {
	Effect      Effect    `json:"effect" enum:"now,at_period_end" doc:"now: once it is paid"`
	At          time.Time `json:"at" doc:"When it takes effect. Send it with the change within 15 minutes, and exactly this is charged"`
	CreditCents int64     `json:"credit_cents" doc:"What is left of the plan so far; 0 or less"`
	ChargeCents int64     `json:"charge_cents" doc:"What is due of the new plan"`
	TotalCents  int64     `json:"total_cents" doc:"Of the invoice; below 0 it becomes credit for the next"`
	DueCents    int64     `json:"due_cents" doc:"What the card is charged, after credit from before"`
	ThenCents   int64     `json:"then_cents" doc:"What each period costs from then on"`
	LetGo       []Using   `json:"let_go,omitempty" doc:"What the plan has no room for: the change is refused while it is there"`
}

// Preview asks Stripe what a change would cost now. Nothing changes. As Change.
func (s *Service) Preview(ctx context.Context, a sweep.Actor, tier sweep.Tier, every sweep.Every) (p Preview, err error) {
	ctx, cancel, err := s.ready(ctx)
	if err != nil {
		return p, err
	}
	defer cancel()
	price, err := s.Prices.Sold(tier, every)
	if err != nil {
		return p, err
	}
	var stored store.Subscription
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if err := a.MayAs(sweep.Owner); err != nil {
			return err
		}
		if stored, err = tx.LiveSubscription(); err != nil {
			return err
		}
		if stored.ID == "" {
			return sweep.Errorf(sweep.Conflict, "there is no subscription: begin with a checkout")
		}
		if p.LetGo, err = s.letGo(tx, tier); err != nil {
			return err
		}
		p.At = tx.Now.Truncate(time.Second)
		return nil
	})
	if err != nil {
		return p, err
	}
	p.ThenCents = int64(s.Plans[tier].Price(every))
	if !up(stored, price) {
		p.Effect, p.At = AtPeriodEnd, stored.PeriodEnd
		return p, nil
	}
	p.Effect = AtOnce
	now, err := s.subscription(ctx, stored.ID)
	if err != nil {
		return p, err
	}
	invoice, err := s.Stripe.upcoming(ctx, now, price, p.At)
	if err != nil {
		return p, err
	}
	p.CreditCents, p.ChargeCents, p.TotalCents, p.DueCents = invoice.credit, invoice.charge, invoice.total, invoice.due
	return p, nil
}

// upcoming is an invoice that does not exist yet, in cents.
type upcoming struct{ credit, charge, total, due int64 }

// upcoming asks what moving a subscription to a price would be charged now.
func (s *Stripe) upcoming(ctx context.Context, x seen, to Price, at time.Time) (u upcoming, err error) {
	in, err := ask(ctx, s, "preview", func(ctx context.Context) (*stripe.Invoice, error) {
		return s.api.Invoices.Upcoming(&stripe.InvoiceUpcomingParams{Params: params(ctx, ""), Subscription: &x.ID, SubscriptionProrationDate: stripe.Int64(at.Unix()),
			SubscriptionProrationBehavior: stripe.String("always_invoice"), SubscriptionItems: []*stripe.SubscriptionItemsParams{{ID: &x.item, Price: &to.ID}}})
	})
	if err != nil {
		return u, err
	}
	for _, l := range in.Lines.Data {
		if l.Amount < 0 {
			u.credit += l.Amount
		} else {
			u.charge += l.Amount
		}
	}
	u.total, u.due = in.Total, in.AmountDue
	return u, nil
}
