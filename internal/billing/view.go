package billing

import (
	"context"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Subscription is what a customer pays for. Cents are US cents.
type Subscription struct {
	Status            sweep.Payment `json:"status" enum:"trialing,active,past_due,unpaid,canceled,incomplete,incomplete_expired,paused"`
	Plan              sweep.Tier    `json:"plan" enum:"basic,pro,enterprise"`
	Every             sweep.Every   `json:"every" enum:"month,year"`
	PriceCents        int64         `json:"price_cents" doc:"US cents each period"`
	PeriodStart       time.Time     `json:"period_start"`
	PeriodEnd         time.Time     `json:"period_end"`
	EndsAt            *time.Time    `json:"ends_at,omitempty" doc:"Canceled for that time"`
	NextPlan          sweep.Tier    `json:"next_plan,omitempty" doc:"What it becomes at period_end"`
	NextEvery         sweep.Every   `json:"next_every,omitempty"`
	WaitsForPay       bool          `json:"waits_for_payment,omitempty" doc:"A change was asked for and is in force once its invoice is paid"`
	PastDueSince      *time.Time    `json:"past_due_since,omitempty"`
	GraceEndsAt       *time.Time    `json:"grace_ends_at,omitempty" doc:"When an unpaid plan falls to free"`
	SubscriptionEnded *time.Time    `json:"ended_at,omitempty"`
}

// Grant is what an operator gave, beside what is bought.
type Grant struct {
	Plan  sweep.Tier `json:"plan"`
	Until *time.Time `json:"until,omitempty"`
}

// Banner is what every page says first.
type Banner struct {
	Kind    string    `json:"kind" enum:"past_due,ended_unpaid,waits_for_payment,ending"`
	Message string    `json:"message"`
	At      time.Time `json:"at" doc:"When what it speaks of happens, or happened"`
}

// View is how a customer stands.
type View struct {
	Plan         sweep.Tier    `json:"plan" doc:"In force now: the better of subscription, grant and trial"`
	Subscription *Subscription `json:"subscription,omitempty" doc:"The live one, or the last"`
	Grant        *Grant        `json:"grant,omitempty"`
	TrialEndsAt  *time.Time    `json:"trial_ends_at,omitempty"`
	Banner       *Banner       `json:"banner,omitempty"`
}

// State tells how the customer stands, from our own books: also while Stripe is away, and where payments are not set up.
func (s *Service) State(ctx context.Context, customer sweep.ID) (v View, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		c, err := tx.LoadCustomer()
		if err != nil {
			return err
		}
		all, err := tx.Subscriptions()
		if err != nil {
			return err
		}
		v = View{Plan: s.Plans.PlanAt(c.Customer, tx.Now).Tier, TrialEndsAt: point(c.TrialEndsAt)}
		if g := c.Granted; g.Tier != "" && (g.EndsAt.IsZero() || tx.Now.Before(g.EndsAt)) {
			v.Grant = &Grant{Plan: g.Tier, Until: point(g.EndsAt)}
		}
		if len(all) > 0 {
			shown := view(all[0])
			v.Subscription, v.Banner = &shown, banner(all[0], tx.Now)
		}
		return nil
	})
	return v, err
}

func view(x store.Subscription) Subscription {
	v := Subscription{Status: x.Payment, Plan: x.Tier, Every: x.Every, PriceCents: x.Cents, PeriodStart: x.PeriodStart, PeriodEnd: x.PeriodEnd, EndsAt: point(x.EndsAt), NextPlan: x.NextTier,
		NextEvery: x.NextEvery, WaitsForPay: x.WaitsForPay, PastDueSince: point(x.PastDueAt), SubscriptionEnded: point(x.EndedAt)}
	if !x.PastDueAt.IsZero() {
		v.GraceEndsAt = point(x.PastDueAt.Add(sweep.GraceLength))
	}
	return v
}

func banner(x store.Subscription, now time.Time) *Banner {
	switch grace := x.PastDueAt.Add(sweep.GraceLength); {
	case x.Payment == sweep.PastDue && now.Before(grace):
		return &Banner{"past_due", "The last payment failed. Pay in the portal to keep your plan.", grace}
	case x.Payment == sweep.PastDue || x.Payment == sweep.Unpaid:
		return &Banner{"ended_unpaid", "The last payment failed, and the time to pay is over: the free plan's limits hold until it is paid.", grace}
	case x.WaitsForPay:
		return &Banner{"waits_for_payment", "A larger plan waits for its invoice to be paid.", x.PeriodEnd}
	case x.Live() && !x.EndsAt.IsZero():
		return &Banner{"ending", "The subscription is canceled and ends when what is paid for is used up.", x.EndsAt}
	}
	return nil
}

func point(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
