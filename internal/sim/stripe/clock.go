package stripe

import (
	"time"
)

// When a failed renewal is tried again, counted from the failure before. After the last the subscription is canceled.
var retries = []time.Duration{3 * 24 * time.Hour, 5 * 24 * time.Hour, 7 * 24 * time.Hour}

// Now is the account's time.
func (s *Sim) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Unix(s.now(), 0).UTC()
}

// Advance moves the clock on. What falls due meanwhile happens in its order and at its time: renewals, tries of failed payments, ends and changes at a
// period's end.
func (s *Sim) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	target := s.now() + int64(d/time.Second)
	for {
		at, do := s.nextDue()
		if do == nil || at > target {
			break
		}
		s.offset += time.Duration(max(0, at-s.now())) * time.Second
		do()
	}
	s.offset += time.Duration(max(0, target-s.now())) * time.Second
}

// nextDue is what falls due first, and when.
func (s *Sim) nextDue() (at int64, do func()) {
	earliest := func(t int64, f func()) {
		if do == nil || t < at {
			at, do = t, f
		}
	}
	for _, x := range byAge(s.subscriptions) {
		if x.over() {
			continue
		}
		if p := x.Pending; p != nil {
			earliest(p.ExpiresAt, func() { s.expire(x) })
		}
		if in := s.invoices[x.Latest]; in != nil && in.NextAttempt != nil {
			earliest(*in.NextAttempt, func() { s.retry(x, in) })
		}
		earliest(x.End, func() { s.renew(x) })
	}
	return at, do
}

// expire gives up a change whose invoice nobody paid.
func (s *Sim) expire(x *subscription) {
	if in := s.invoices[x.Pending.invoice]; in != nil {
		in.Status = "void"
	}
	x.Pending = nil
	s.tell("customer.subscription.updated", x)
}

// renew is a period's end: the subscription ends, changes, or begins the next.
func (s *Sim) renew(x *subscription) {
	if x.AtEnd {
		s.end(x)
		return
	}
	if x.Schedule != nil {
		s.phase(x)
	}
	x.Start = x.End
	x.End = x.follow(x.Start)
	in := s.invoice(x, "subscription_cycle", line{Amount: x.item.Price.Amount, Description: "1 × " + x.item.Price.ID, Price: x.item.Price, Period: span{x.Start, x.End}})
	s.tell("invoice.created", in)
	x.tries = 0
	s.settle(x, in)
	s.tell("customer.subscription.updated", x)
}

func (s *Sim) retry(x *subscription, in *invoice) {
	s.settle(x, in)
	if !x.over() {
		s.tell("customer.subscription.updated", x)
	}
}

// settle tries to be paid, and says when it tries again.
func (s *Sim) settle(x *subscription, in *invoice) {
	f := s.charge(x, in)
	if f == nil {
		x.Status, x.tries = "active", 0
		s.tell("invoice.paid", in)
		return
	}
	x.Status, in.NextAttempt = "past_due", nil
	if x.tries < len(retries) {
		at := s.now() + int64(retries[x.tries]/time.Second)
		in.NextAttempt = &at
	}
	x.tries++
	s.tell("invoice.payment_failed", in)
	if f.Code == "authentication_required" {
		s.tell("invoice.payment_action_required", in)
	}
	if in.NextAttempt == nil {
		in.Status = "uncollectible"
		s.end(x)
	}
}

// schedule is what a subscription becomes at the end of its period.
type schedule struct {
	ID           string            `json:"id"`
	Object       string            `json:"object"`
	Subscription *string           `json:"subscription"`
	Customer     string            `json:"customer"`
	Status       string            `json:"status"`
	EndBehavior  string            `json:"end_behavior"`
	Phases       []map[string]any  `json:"phases"`
	Created      int64             `json:"created"`
	Livemode     bool              `json:"livemode"`
	Metadata     map[string]string `json:"metadata"`

	next *price
}

func (s *Sim) scheduleRoutes() {
	s.route("POST /v1/subscription_schedules", func(c call) (any, error) {
		x, err := find(s.subscriptions, "subscription", c.params.text("from_subscription"))
		if err != nil {
			return nil, err
		}
		if x.Schedule != nil {
			return nil, invalid("from_subscription", "The subscription is already attached to a schedule: `%s`.", *x.Schedule)
		}
		sc := &schedule{ID: s.id("sub_sched"), Object: "subscription_schedule", Subscription: &x.ID, Customer: x.Customer, Status: "active", EndBehavior: "release", Created: s.now(),
			Livemode: s.cfg.Livemode, Phases: []map[string]any{{"start_date": x.Start, "end_date": x.End, "items": []any{map[string]any{"price": x.item.Price.ID, "quantity": 1}}}}}
		s.schedules[sc.ID], x.Schedule = sc, &sc.ID
		return sc, nil
	})
	s.route("GET /v1/subscription_schedules/{id}", func(c call) (any, error) {
		return find(s.schedules, "subscription schedule", c.PathValue("id"))
	})
	s.route("POST /v1/subscription_schedules/{id}", func(c call) (any, error) {
		sc, err := find(s.schedules, "subscription schedule", c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return sc, s.plan(sc, c)
	})
	s.route("POST /v1/subscription_schedules/{id}/release", func(c call) (any, error) {
		sc, err := find(s.schedules, "subscription schedule", c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		if sc.Status != "active" {
			return nil, invalid("", "You cannot release a schedule that is %s.", sc.Status)
		}
		s.release(sc)
		return sc, nil
	})
}

// plan takes two phases: the one that runs, and the next.
func (s *Sim) plan(sc *schedule, c call) error {
	rows := c.params.rows("phases")
	if len(rows) != 2 || sc.Status != "active" {
		return invalid("phases", "two phases are known here: the current one and the next")
	}
	to, err := find(s.prices, "price", c.params.text(rows[1]+"[items][0][price]"))
	if err != nil {
		return err
	}
	x := s.subscriptions[*sc.Subscription]
	end, err := c.params.number(rows[0]+"[end_date]", x.End)
	if err != nil || end != x.End {
		return invalid(rows[0]+"[end_date]", "the current phase ends with its period here: %d", x.End)
	}
	c.params.skip("phases", "end_behavior", "proration_behavior")
	sc.Metadata = merged(sc.Metadata, c.params.table("metadata"))
	sc.next = to
	sc.Phases = append(sc.Phases[:1], map[string]any{"start_date": x.End, "end_date": next(x.End, to, 1), "items": []any{map[string]any{"price": to.ID, "quantity": 1}}})
	s.tell("customer.subscription.updated", x)
	return nil
}

// phase begins the next phase, which is the last: the schedule lets its subscription go.
func (s *Sim) phase(x *subscription) {
	sc := s.schedules[*x.Schedule]
	if sc.next != nil {
		if sc.next.Recurring.Interval != x.item.Price.Recurring.Interval {
			x.Anchor = x.End
		}
		x.item.Price = sc.next
	}
	s.release(sc)
	sc.Status = "completed"
}

func (s *Sim) release(sc *schedule) {
	if x := s.subscriptions[*sc.Subscription]; x != nil {
		x.Schedule = nil
	}
	sc.Status, sc.Subscription = "released", nil
}
