package stripe

import (
	"fmt"
	"slices"
)

type span struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"`
}

type line struct {
	ID          string `json:"id"`
	Object      string `json:"object"`
	Amount      int64  `json:"amount"`
	Currency    string `json:"currency"`
	Description string `json:"description"`
	Price       *price `json:"price"`
	Proration   bool   `json:"proration"`
	Period      span   `json:"period"`
}

type invoice struct {
	ID           string         `json:"id"`
	Object       string         `json:"object"`
	Number       string         `json:"number"`
	Customer     string         `json:"customer"`
	Subscription string         `json:"subscription"`
	Status       string         `json:"status"`
	Reason       string         `json:"billing_reason"`
	Currency     string         `json:"currency"`
	Subtotal     int64          `json:"subtotal"`
	Total        int64          `json:"total"`
	Due          int64          `json:"amount_due"`
	Paid         int64          `json:"amount_paid"`
	Remaining    int64          `json:"amount_remaining"`
	IsPaid       bool           `json:"paid"`
	Attempts     int            `json:"attempt_count"`
	NextAttempt  *int64         `json:"next_payment_attempt"`
	Start        int64          `json:"period_start"`
	End          int64          `json:"period_end"`
	Created      int64          `json:"created"`
	Lines        map[string]any `json:"lines"`
	Page         string         `json:"hosted_invoice_url"`
	PDF          string         `json:"invoice_pdf"`
	Charge       *string        `json:"charge"`
	Livemode     bool           `json:"livemode"`
	Balance      int64          `json:"starting_balance"`

	lines []line
}

// method is a card. What it does is in its name, as with Stripe's test cards.
type method struct {
	ID       string         `json:"id"`
	Object   string         `json:"object"`
	Type     string         `json:"type"`
	Customer string         `json:"customer"`
	Card     map[string]any `json:"card"`

	kind string // ok, declined, authenticate, later: fails from the second charge on
	used int
}

func (s *Sim) invoiceRoutes() {
	s.route("GET /v1/invoices", func(c call) (any, error) {
		of, sub, status := c.params.text("customer"), c.params.text("subscription"), c.params.text("status")
		c.params.skip("limit")
		return list("/v1/invoices", slices.DeleteFunc(byAge(s.invoices), func(x *invoice) bool {
			return of != "" && x.Customer != of || sub != "" && x.Subscription != sub || status != "" && x.Status != status
		})), nil
	})
	s.route("GET /v1/invoices/upcoming", s.upcoming)
	s.route("GET /v1/invoices/{id}", func(c call) (any, error) { return find(s.invoices, "invoice", c.PathValue("id")) })
}

// upcoming is what a change would cost now, or what the next renewal does.
func (s *Sim) upcoming(c call) (any, error) {
	x, err := find(s.subscriptions, "subscription", c.params.text("subscription"))
	if err != nil {
		return nil, err
	}
	c.params.skip("customer", "subscription_items[0][id]", "subscription_proration_behavior")
	at, err := c.params.number("subscription_proration_date", s.now())
	if err != nil {
		return nil, err
	}
	lines := []line{{Amount: x.item.Price.Amount, Price: x.item.Price, Period: span{x.End, x.follow(x.End)}}}
	if id := c.params.text("subscription_items[0][price]"); id != "" {
		to, err := find(s.prices, "price", id)
		if err != nil {
			return nil, err
		}
		lines, _, _ = s.prorated(x, to, at)
	}
	in := s.compose(x, "upcoming", lines...)
	in.ID = ""
	return in, nil
}

// compose adds lines up. What the customer has to its credit is taken off; what is below zero becomes credit when it is settled.
func (s *Sim) compose(x *subscription, reason string, lines ...line) *invoice {
	in := &invoice{ID: s.id("in"), Object: "invoice", Customer: x.Customer, Subscription: x.ID, Status: "open", Reason: reason, Currency: x.Currency, Start: x.Start, End: x.End, Created: s.now(),
		Livemode: s.cfg.Livemode, Balance: s.customers[x.Customer].Balance}
	in.Number = fmt.Sprintf("SIM-%04d", s.n)
	for i := range lines {
		lines[i].ID, lines[i].Object, lines[i].Currency = s.id("il"), "line_item", x.Currency
		in.Subtotal += lines[i].Amount
	}
	in.lines, in.Lines = lines, list("/v1/invoices/"+in.ID+"/lines", lines)
	in.Total = in.Subtotal
	in.Due = max(0, in.Total+min(0, in.Balance))
	in.Remaining = in.Due
	in.Page, in.PDF = "/invoice/"+in.ID, "/invoice/"+in.ID+".pdf"
	return in
}

func (s *Sim) invoice(x *subscription, reason string, lines ...line) *invoice {
	in := s.compose(x, reason, lines...)
	s.invoices[in.ID], x.Latest = in, in.ID
	return in
}

// charge tries the card of a subscription, or of its customer.
func (s *Sim) charge(x *subscription, in *invoice) *fail {
	owner := s.customers[x.Customer]
	id := x.Method
	if id == nil {
		id = owner.Settings.Method
	}
	in.Attempts++
	if in.Due > 0 {
		if id == nil {
			return &fail{status: 402, Type: "card_error", Code: "missing", Message: "This customer has no attached payment source or default payment method."}
		}
		if f := s.methods[*id].refuses(); f != nil {
			return f
		}
	}
	in.Status, in.IsPaid, in.Paid, in.Remaining, in.NextAttempt, in.Charge = "paid", true, in.Due, 0, nil, s.take(in)
	owner.Balance = min(0, in.Balance+in.Total)
	return nil
}

func (m *method) refuses() *fail {
	m.used++
	switch {
	case m.kind == "declined", m.kind == "later" && m.used > 1:
		return &fail{status: 402, Type: "card_error", Code: "card_declined", Decline: "generic_decline", Message: "Your card was declined."}
	case m.kind == "authenticate" && m.used > 1:
		return &fail{status: 402, Type: "card_error", Code: "authentication_required", Message: "Your card requires authentication to complete this payment."}
	}
	return nil
}
