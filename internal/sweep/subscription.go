package sweep

import "time"

// Subscription is what was bought, or what an operator granted.
type Subscription struct {
	Tier      Tier
	PastDueAt time.Time // zero: paid
	EndsAt    time.Time // zero: goes on
}

// in force at now: bought, not ended, at most GraceLength past due.
func (s Subscription) at(now time.Time) Tier {
	ended := !s.EndsAt.IsZero() && !now.Before(s.EndsAt)
	overdue := !s.PastDueAt.IsZero() && !now.Before(s.PastDueAt.Add(GraceLength))
	if s.Tier == "" || ended || overdue {
		return Free
	}
	return s.Tier
}

// Every is how often a subscription is paid.
type Every string

// The billing periods. A year costs as much as YearMonths months.
const (
	Month Every = "month"
	Year  Every = "year"

	YearMonths = 10
)

// Price is what a plan costs each period, in US cents.
func (p Plan) Price(e Every) int {
	if e == Year {
		return YearMonths * p.PriceCents
	}
	return p.PriceCents
}

// Payment is how a subscription stands with the payment provider, in Stripe's words.
type Payment string

// The states of a subscription.
const (
	Trialing          Payment = "trialing"
	Paid              Payment = "active"
	PastDue           Payment = "past_due"
	Unpaid            Payment = "unpaid"
	Ended             Payment = "canceled"
	Incomplete        Payment = "incomplete"
	IncompleteExpired Payment = "incomplete_expired"
	OnPause           Payment = "paused"
)

// Payments lists the states.
func Payments() []Payment {
	return []Payment{Trialing, Paid, PastDue, Unpaid, Ended, Incomplete, IncompleteExpired, OnPause}
}

// Final says that the subscription is over for good.
func (p Payment) Final() bool { return p == Ended || p == IncompleteExpired }

// Purchase is what the payment provider says of a customer's subscription.
type Purchase struct {
	Payment   Payment
	Tier      Tier
	PastDueAt time.Time // since when an invoice is open; zero: not known
	EndsAt    time.Time // canceled for that time; zero: goes on
	Unpaid    bool      // what is open is the invoice of the change to Tier
}

// Apply is the subscription after what the payment provider said at now. Doing it again changes nothing more. What is past due keeps its
// plan (PlanAt ends it after GraceLength), but a larger plan that was not paid is not in force. What says nothing yet leaves all as it is.
func (s Subscription) Apply(p Purchase, now time.Time) Subscription {
	switch p.Payment {
	case Trialing, Paid:
		return Subscription{Tier: p.Tier, EndsAt: p.EndsAt}
	case PastDue:
		due := Subscription{Tier: p.Tier, PastDueAt: p.PastDueAt, EndsAt: p.EndsAt}
		if due.PastDueAt.IsZero() {
			due.PastDueAt = s.PastDueAt
		}
		if due.PastDueAt.IsZero() {
			due.PastDueAt = now
		}
		if p.Unpaid && p.Tier.Rank() > s.Tier.Rank() {
			due.Tier = s.Tier
		}
		return due
	case Unpaid, Ended, IncompleteExpired, OnPause:
		return Subscription{Tier: Free}
	}
	return s
}
