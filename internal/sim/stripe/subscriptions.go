package stripe

import (
	"slices"
	"time"
)

type item struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Price    *price `json:"price"`
	Quantity int64  `json:"quantity"`
}

type subscription struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Customer  string            `json:"customer"`
	Status    string            `json:"status"`
	Items     map[string]any    `json:"items"`
	Start     int64             `json:"current_period_start"`
	End       int64             `json:"current_period_end"`
	Anchor    int64             `json:"billing_cycle_anchor"`
	AtEnd     bool              `json:"cancel_at_period_end"`
	CancelAt  *int64            `json:"cancel_at"`
	Canceled  *int64            `json:"canceled_at"`
	Ended     *int64            `json:"ended_at"`
	Created   int64             `json:"created"`
	Latest    string            `json:"latest_invoice"`
	Schedule  *string           `json:"schedule"`
	Method    *string           `json:"default_payment_method"`
	Pending   *pending          `json:"pending_update"`
	Metadata  map[string]string `json:"metadata"`
	Livemode  bool              `json:"livemode"`
	Currency  string            `json:"currency"`
	Automatic string            `json:"collection_method"`

	item  *item
	tries int // of the open invoice
}

// pending is a change that waits for its invoice to be paid.
type pending struct {
	ExpiresAt int64 `json:"expires_at"`

	price   *price
	invoice string
}

func (x *subscription) over() bool { return x.Status == "canceled" || x.Status == "incomplete_expired" }

// show puts the item where the API shows it.
func (x *subscription) show() *subscription {
	x.Items = list("/v1/subscription_items", []*item{x.item})
	return x
}

func (s *Sim) subscriptionRoutes() {
	s.route("GET /v1/subscriptions/{id}", func(c call) (any, error) { return find(s.subscriptions, "subscription", c.PathValue("id")) })
	s.route("GET /v1/subscriptions", func(c call) (any, error) {
		of, status, after := c.params.text("customer"), c.params.text("status"), c.params.text("starting_after")
		limit, err := c.params.number("limit", 10)
		if err != nil {
			return nil, err
		}
		all := slices.DeleteFunc(byAge(s.subscriptions), func(x *subscription) bool {
			return of != "" && x.Customer != of || status == "" && x.over() || status != "" && status != "all" && x.Status != status
		})
		if i := slices.IndexFunc(all, func(x *subscription) bool { return x.ID == after }); i >= 0 {
			all = all[i+1:]
		}
		page := list("/v1/subscriptions", all[:min(int(limit), len(all))])
		page["has_more"] = int(limit) < len(all)
		return page, nil
	})
	s.route("POST /v1/subscriptions/{id}", s.updateSubscription)
	s.route("DELETE /v1/subscriptions/{id}", func(c call) (any, error) {
		x, err := find(s.subscriptions, "subscription", c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		if x.over() {
			return nil, missing("subscription", x.ID)
		}
		s.end(x)
		return x, nil
	})
}

// subscribe makes a subscription whose first invoice is paid now, or fails.
func (s *Sim) subscribe(owner *customer, p *price, m *method, metadata map[string]string) (*subscription, *fail) {
	now := s.now()
	x := &subscription{ID: s.id("sub"), Object: "subscription", Customer: owner.ID, Status: "incomplete", Start: now, Anchor: now, Created: now, Metadata: metadata, Livemode: s.cfg.Livemode,
		Currency: p.Currency, Automatic: "charge_automatically", item: &item{ID: s.id("si"), Object: "subscription_item", Price: p, Quantity: 1}}
	x.End = next(now, p, 1)
	if m != nil {
		x.Method = &m.ID
	}
	in := s.invoice(x, "subscription_create", line{Amount: p.Amount, Description: "1 × " + p.ID, Price: p, Period: span{x.Start, x.End}})
	if f := s.charge(x, in); f != nil {
		delete(s.invoices, in.ID)
		return nil, f
	}
	x.Status = "active"
	s.subscriptions[x.ID] = x.show()
	s.tell("customer.subscription.created", x)
	s.tell("invoice.paid", in)
	return x, nil
}

// next is the end of the n-th period after an anchor: a month without the anchor's day ends on its last.
func next(anchor int64, p *price, n int) int64 {
	at := time.Unix(anchor, 0).UTC()
	months := n
	if p.Recurring.Interval == "year" {
		months = 12 * n
	}
	y, m, d := at.Date()
	first := time.Date(y, m+time.Month(months), 1, at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
	return first.AddDate(0, 0, min(d, first.AddDate(0, 1, -1).Day())-1).Unix()
}

// follow is the end of the period that begins at start.
func (x *subscription) follow(start int64) int64 {
	for n := 1; ; n++ {
		if end := next(x.Anchor, x.item.Price, n); end > start {
			return end
		}
	}
}

func (s *Sim) updateSubscription(c call) (any, error) {
	x, err := find(s.subscriptions, "subscription", c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if x.over() {
		return nil, invalid("", "A canceled subscription can only update its cancellation_details.")
	}
	was := x.AtEnd
	x.Metadata = merged(x.Metadata, c.params.table("metadata"))
	if x.AtEnd, err = c.params.flag("cancel_at_period_end", x.AtEnd); err != nil {
		return nil, err
	}
	c.params.skip("cancellation_details")
	if x.AtEnd != was {
		s.decide(x)
	}
	prorate, e1 := c.params.one("proration_behavior", "create_prorations", "always_invoice", "create_prorations", "none")
	behave, e2 := c.params.one("payment_behavior", "allow_incomplete", "allow_incomplete", "error_if_incomplete", "pending_if_incomplete", "default_incomplete")
	if e1 != nil || e2 != nil {
		return nil, invalid("proration_behavior", "Invalid enum")
	}
	at, err := c.params.number("proration_date", s.now())
	if err != nil {
		return nil, err
	}
	for _, row := range c.params.rows("items") {
		if id := c.params.text(row + "[id]"); id != x.item.ID {
			return nil, invalid(row+"[id]", "a subscription has one item here: %s", x.item.ID)
		}
		to, err := find(s.prices, "price", c.params.text(row+"[price]"))
		if err != nil {
			return nil, err
		}
		if err := s.change(x, to, prorate, behave, at); err != nil {
			return nil, err
		}
	}
	s.tell("customer.subscription.updated", x)
	return x, nil
}

// decide notes when a subscription is to end, or that it is not.
func (s *Sim) decide(x *subscription) {
	x.CancelAt, x.Canceled = nil, nil
	if x.AtEnd {
		end, now := x.End, s.now()
		x.CancelAt, x.Canceled = &end, &now
	}
}

// change moves a subscription to another price.
func (s *Sim) change(x *subscription, to *price, prorate, behave string, at int64) error {
	lines, start, end := s.prorated(x, to, at)
	if prorate != "always_invoice" {
		x.item.Price, x.Start, x.End = to, start, end
		return nil
	}
	in := s.invoice(x, "subscription_update", lines...)
	f := s.charge(x, in)
	switch {
	case f == nil:
		s.switched(x, to, start, end)
		s.tell("invoice.paid", in)
	case behave == "error_if_incomplete":
		delete(s.invoices, in.ID)
		return f
	case behave == "pending_if_incomplete":
		x.Pending = &pending{ExpiresAt: s.now() + 23*3600, price: to, invoice: in.ID}
		s.tell("invoice.payment_failed", in)
	default:
		s.switched(x, to, start, end)
		x.Status = "past_due"
		s.tell("invoice.payment_failed", in)
	}
	return nil
}

func (s *Sim) switched(x *subscription, to *price, start, end int64) {
	if x.End != end { // another interval begins anew
		x.Anchor = start
	}
	x.item.Price, x.Start, x.End, x.Pending = to, start, end, nil
	s.decide(x)
}

// prorated are the lines of a change: what is left of the old price back, and of the new one's period due. A change of the interval begins a whole new
// period. Amounts are by the second, in whole cents, halves away from zero.
func (s *Sim) prorated(x *subscription, to *price, at int64) (lines []line, start, end int64) {
	whole := x.End - x.Start
	left := max(0, x.End-at)
	back := line{Amount: -share(x.item.Price.Amount, left, whole), Description: "Unused time on " + x.item.Price.ID, Price: x.item.Price, Proration: true, Period: span{at, x.End}}
	if to.Recurring.Interval != x.item.Price.Recurring.Interval {
		end = next(at, to, 1)
		return []line{back, {Amount: to.Amount, Description: "1 × " + to.ID, Price: to, Period: span{at, end}}}, at, end
	}
	return []line{back, {Amount: share(to.Amount, left, whole), Description: "Remaining time on " + to.ID, Price: to, Proration: true, Period: span{at, x.End}}}, x.Start, x.End
}

func share(amount, part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	return (2*amount*part + whole) / (2 * whole)
}

// end ends a subscription now. Whoever had it keeps nothing.
func (s *Sim) end(x *subscription) {
	now := s.now()
	x.Status, x.Ended, x.Pending = "canceled", &now, nil
	if x.Canceled == nil {
		x.Canceled = &now
	}
	s.tell("customer.subscription.deleted", x)
}
