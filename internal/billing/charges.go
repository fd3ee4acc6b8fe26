package billing

import (
	"context"
	"errors"

	"github.com/stripe/stripe-go/v76"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// oddDispute: a customer disputes a charge at its bank. That wants a person.
const oddDispute = "dispute"

// refund writes into the customer's audit log what a charge has been refunded by now, as Stripe has it, once for each event. A refund changes no plan.
func (s *Service) refund(ctx context.Context, customer sweep.ID, e store.StripeEvent) error {
	x, err := s.charge(ctx, e.Object)
	if err != nil && !errors.Is(err, errMissing) {
		return err
	}
	data := map[string]any{"charge": e.Object}
	if err == nil {
		data["refunded_cents"], data["charged_cents"] = x.AmountRefunded, x.Amount
	}
	return s.settle(ctx, customer, e, store.EventDone, "billing.refunded", data)
}

// dispute writes a dispute into the audit log of whose charge it is about, once, and leaves the event to a person: no plan changes. Of an event that Stripe
// tells nothing about, or of a charge of nobody's, nothing is written.
func (s *Service) dispute(ctx context.Context, e store.StripeEvent) error {
	customer, data, err := s.disputes(ctx, e.Object)
	if err != nil {
		return errors.Join(err, s.putOff(ctx, e))
	}
	return s.settle(ctx, customer, e, store.EventQuarantined, "billing.disputed", data)
}

// disputes reads a dispute; the zero id when it is nobody's.
func (s *Service) disputes(ctx context.Context, id string) (customer sweep.ID, data map[string]any, err error) {
	ctx, cancel, err := s.ready(ctx)
	if err != nil {
		return customer, nil, err
	}
	defer cancel()
	d, err := ask(ctx, s.Stripe, "get_dispute", func(ctx context.Context) (*stripe.Dispute, error) {
		return s.Stripe.api.Disputes.Get(id, &stripe.DisputeParams{Params: params(ctx, "")})
	})
	if err == nil && d.Charge == nil || errors.Is(err, errMissing) {
		return customer, nil, nil
	}
	if err != nil {
		return customer, nil, err
	}
	x, err := s.charge(ctx, d.Charge.ID)
	if err == nil && x.Customer == nil || errors.Is(err, errMissing) {
		return customer, nil, nil
	}
	if err != nil {
		return customer, nil, err
	}
	customer, err = s.whose(ctx, x.Customer.ID)
	return customer, map[string]any{"charge": x.ID, "dispute": d.ID, "disputed_cents": d.Amount, "bank_says": d.Reason}, err
}

func (s *Service) charge(ctx context.Context, id string) (*stripe.Charge, error) {
	return ask(ctx, s.Stripe, "get_charge", func(ctx context.Context) (*stripe.Charge, error) {
		return s.Stripe.api.Charges.Get(id, &stripe.ChargeParams{Params: params(ctx, "")})
	})
}

// settle ends an event together with its line in the customer's audit log. Who is gone, or nobody of ours, has none.
func (s *Service) settle(ctx context.Context, customer sweep.ID, e store.StripeEvent, state, action string, data map[string]any) (err error) {
	ours := !customer.IsZero()
	if ours {
		err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
			if _, err := tx.LockCustomer(); err != nil {
				return err
			}
			first, err := tx.SettleStripeEvent(e.ID, state, e.Reason)
			if err != nil || !first {
				return err
			}
			return tx.Audit(store.AuditEntry{Actor: sweep.Actor{Kind: sweep.BySystem, Customer: customer}, Action: action, Object: sweep.CustomerID.Show(customer), Data: data})
		})
	}
	if !ours || sweep.CodeOf(err) == sweep.NotFound {
		err = s.DB.SettleStripeEvent(ctx, e.ID, state, e.Reason)
	}
	if err == nil {
		s.count(known(e.Kind), state)
	}
	return err
}
