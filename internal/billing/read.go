package billing

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stripe/stripe-go/v76"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// seen is a subscription as Stripe shows it, in our words. odd says what we do not understand of it: it is not to be written down.
type seen struct {
	store.Subscription
	customer, item, schedule string // Stripe's ids
	payPage                  string // where the open invoice is paid
	unpaid                   bool   // what is open is the invoice of a change
	odd                      string
}

func (s seen) purchase() sweep.Purchase {
	return sweep.Purchase{Payment: s.Payment, Tier: s.Tier, PastDueAt: s.PastDueAt, EndsAt: s.EndsAt, Unpaid: s.unpaid}
}

// subscriptions lists those of a customer of Stripe's, or with "" the live ones of all: what is over first, then the oldest. renew says whether to go on;
// it is asked after each page and each subscription.
func (s *Service) subscriptions(ctx context.Context, customer string, renew func() error) (all []seen, err error) {
	var raw []*stripe.Subscription
	for more := true; more; {
		var page []*stripe.Subscription
		if page, more, err = s.page(ctx, customer, raw); err != nil {
			return nil, err
		}
		raw = append(raw, page...)
		if err := renew(); err != nil {
			return nil, err
		}
	}
	for _, x := range raw {
		one, err := s.read(ctx, x)
		if err == nil {
			err = renew()
		}
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b seen) int {
		return cmp.Or(order(b.Payment.Final())-order(a.Payment.Final()), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// page lists what comes after what was listed before. Each page is a call with a time of its own: all together can take minutes.
func (s *Service) page(ctx context.Context, customer string, before []*stripe.Subscription) (page []*stripe.Subscription, more bool, err error) {
	page, err = ask(ctx, s.Stripe, "list_subscriptions", func(ctx context.Context) (page []*stripe.Subscription, err error) {
		p := &stripe.SubscriptionListParams{ListParams: listing(ctx)}
		p.Single = true
		if customer != "" {
			p.Customer, p.Status = &customer, stripe.String("all")
		}
		if len(before) > 0 {
			p.StartingAfter = &before[len(before)-1].ID
		}
		i := s.Stripe.api.Subscriptions.List(p)
		for i.Next() {
			page = append(page, i.Subscription())
		}
		more = i.Meta().HasMore && len(page) > 0
		return page, i.Err()
	})
	return page, more, err
}

// always goes on: of one customer there is little to list.
func always() error { return nil }

func order(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// subscription fetches one.
func (s *Service) subscription(ctx context.Context, id string) (seen, error) {
	x, err := ask(ctx, s.Stripe, "get_subscription", func(ctx context.Context) (*stripe.Subscription, error) {
		return s.Stripe.api.Subscriptions.Get(id, &stripe.SubscriptionParams{Params: params(ctx, "")})
	})
	if err != nil {
		return seen{}, err
	}
	return s.read(ctx, x)
}

// read puts a subscription into our words. What hangs on it is fetched where it matters.
func (s *Service) read(ctx context.Context, x *stripe.Subscription) (out seen, err error) {
	out = seen{Subscription: store.Subscription{ID: x.ID, Payment: sweep.Payment(x.Status), PeriodStart: instant(x.CurrentPeriodStart), PeriodEnd: instant(x.CurrentPeriodEnd),
		EndsAt: instant(x.CancelAt), EndedAt: instant(x.EndedAt), CreatedAt: instant(x.Created), WaitsForPay: x.PendingUpdate != nil}}
	if x.Customer != nil {
		out.customer = x.Customer.ID
	}
	if x.CancelAtPeriodEnd && out.EndsAt.IsZero() {
		out.EndsAt = out.PeriodEnd
	}
	switch {
	case !slices.Contains(sweep.Payments(), out.Payment):
		out.odd = "status"
	case x.Livemode != s.Stripe.live:
		out.odd = "livemode"
	case x.Items == nil || len(x.Items.Data) != 1 || x.Items.Data[0].Price == nil:
		out.odd = "items"
	}
	if out.odd != "" {
		return out, nil
	}
	item := x.Items.Data[0]
	price, known := s.Prices.Of(item.Price.ID)
	if !known {
		out.odd = "price"
		return out, nil
	}
	out.item, out.PriceID, out.Tier, out.Every, out.Cents = item.ID, price.ID, price.Tier, price.Every, item.Price.UnitAmount*max(1, item.Quantity)
	if out.Payment.Final() {
		return out, nil
	}
	if out.Payment == sweep.PastDue || out.WaitsForPay {
		if err := s.readOpen(ctx, &out); err != nil {
			return out, err
		}
	}
	if x.Schedule != nil {
		err = s.readSchedule(ctx, &out, x.Schedule.ID)
	}
	return out, err
}

// readOpen finds since when an invoice is open: that of a change does not make what was paid for before overdue.
func (s *Service) readOpen(ctx context.Context, out *seen) error {
	open, err := ask(ctx, s.Stripe, "list_invoices", func(ctx context.Context) (open []*stripe.Invoice, err error) {
		i := s.Stripe.api.Invoices.List(&stripe.InvoiceListParams{ListParams: listing(ctx), Subscription: &out.ID, Status: stripe.String("open")})
		for i.Next() {
			if in := i.Invoice(); in.Status == stripe.InvoiceStatusOpen {
				open = append(open, in)
			}
		}
		return open, i.Err()
	})
	if err != nil || len(open) == 0 {
		return err
	}
	oldest := slices.MinFunc(open, func(a, b *stripe.Invoice) int { return cmp.Compare(a.Created, b.Created) })
	out.payPage = oldest.HostedInvoiceURL
	if out.Payment == sweep.PastDue {
		out.PastDueAt, out.unpaid = instant(oldest.Created), oldest.BillingReason == stripe.InvoiceBillingReasonSubscriptionUpdate
	}
	return nil
}

// readSchedule finds what the subscription becomes.
func (s *Service) readSchedule(ctx context.Context, out *seen, id string) error {
	x, err := ask(ctx, s.Stripe, "get_schedule", func(ctx context.Context) (*stripe.SubscriptionSchedule, error) {
		return s.Stripe.api.SubscriptionSchedules.Get(id, &stripe.SubscriptionScheduleParams{Params: params(ctx, "")})
	})
	if err != nil {
		return fmt.Errorf("read schedule: %w", err)
	}
	out.schedule = x.ID
	for _, phase := range x.Phases {
		if phase.StartDate < out.PeriodEnd.Unix() || len(phase.Items) != 1 || phase.Items[0].Price == nil {
			continue
		}
		if price, known := s.Prices.Of(phase.Items[0].Price.ID); known && price.ID != out.PriceID {
			out.NextTier, out.NextEvery = price.Tier, price.Every
		}
		break
	}
	return nil
}

// instant reads Stripe's seconds; 0 is the zero time.
func instant(unix int64) time.Time {
	if unix == 0 {
		return time.Time{}
	}
	return time.Unix(unix, 0).UTC()
}
