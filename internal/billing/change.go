package billing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripe/stripe-go/v76"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Effect is when a change takes effect.
type Effect string

// A larger plan is in force once its invoice is paid; a smaller one when what is paid for is used up.
const (
	AtOnce      Effect = "now"
	AtPeriodEnd Effect = "at_period_end"
	WhenPaid    Effect = "when_paid"
)

const (
	freshIntent  = 10 * time.Minute // within which the same change again is the same request
	freshPreview = 15 * time.Minute
)

// Changed is what became of a change.
type Changed struct {
	Effect       Effect       `json:"effect" enum:"now,at_period_end,when_paid"`
	PayURL       string       `json:"pay_url,omitempty" doc:"With when_paid: the page of the open invoice, where it is paid or the card is authenticated"`
	Subscription Subscription `json:"subscription"`
}

// step is a change that is under way.
type step struct {
	price  Price
	stored store.Subscription
	now    seen // at Stripe
	in     store.Intent
	again  bool      // begun before, and nobody knows how that ended
	at     time.Time // of the preview; zero: none
}

// up says that the change is an upgrade: to a larger plan, or to a year of the same.
func up(from store.Subscription, to Price) bool {
	if from.Tier != to.Tier {
		return to.Tier.Rank() > from.Tier.Rank()
	}
	return to.Every == sweep.Year && from.Every == sweep.Month
}

// Change moves the subscription to another plan or period. An upgrade is charged at once, as its preview of at said, and in force when that is paid; else it takes
// effect at the end of what is paid for. Changing to what one has takes a planned change back. Forbidden but for owners; Invalid; Conflict without a
// subscription, while something is unpaid or canceled, and for a plan that is too small for what is in use: the error says what to let go first.
func (s *Service) Change(ctx context.Context, a sweep.Actor, tier sweep.Tier, every sweep.Every, at time.Time) (out Changed, err error) {
	ctx, cancel, err := s.ready(ctx)
	if err != nil {
		return out, err
	}
	defer cancel()
	st := step{at: at}
	if st.price, err = s.Prices.Sold(tier, every); err != nil {
		return out, err
	}
	if err = s.prepare(ctx, a, &st, "to "+st.price.ID, s.changeable); err != nil {
		return out, err
	}
	is := st.now.Subscription
	is.WaitsForPay = is.WaitsForPay && !st.again // else it may be this very change that waits
	err = settled(is)
	switch {
	case err != nil: // what is stored was older
	case st.now.PriceID == st.price.ID:
		err = s.release(ctx, st.now)
	case up(st.now.Subscription, st.price):
		err = s.upgrade(ctx, a.Customer, st)
	default:
		err = s.plan(ctx, a.Customer, st)
	}
	return s.finish(ctx, a, st, "billing.change", map[string]any{"plan": tier, "every": every}, err)
}

// Cancel ends the subscription when what is paid for is used up. Resume takes that back, and any planned change.
func (s *Service) Cancel(ctx context.Context, a sweep.Actor) (Changed, error) {
	return s.end(ctx, a, true, "billing.cancel")
}

// Resume takes a cancellation or a planned change back.
func (s *Service) Resume(ctx context.Context, a sweep.Actor) (Changed, error) {
	return s.end(ctx, a, false, "billing.resume")
}

func (s *Service) end(ctx context.Context, a sweep.Actor, end bool, action string) (out Changed, err error) {
	ctx, cancel, err := s.ready(ctx)
	if err != nil {
		return out, err
	}
	defer cancel()
	st := step{}
	if err := s.prepare(ctx, a, &st, fmt.Sprintf("end %v", end), func(*store.Tx, store.Customer, *step) error { return nil }); err != nil {
		return out, err
	}
	if err = s.release(ctx, st.now); err == nil && st.now.EndsAt.IsZero() == end {
		_, err = ask(ctx, s.Stripe, "set_end", func(ctx context.Context) (*stripe.Subscription, error) {
			return s.Stripe.api.Subscriptions.Update(st.now.ID, &stripe.SubscriptionParams{Params: params(ctx, keyOf(a.Customer, st.in, "")), CancelAtPeriodEnd: &end})
		})
	}
	return s.finish(ctx, a, st, action, nil, err)
}

func keyOf(customer sweep.ID, in store.Intent, what string) string {
	return "sub:" + customer.String() + ":" + in.ID.String() + what
}

// prepare checks the step, notes its intent, and fetches the subscription as it is at Stripe.
func (s *Service) prepare(ctx context.Context, a sweep.Actor, st *step, target string, check func(*store.Tx, store.Customer, *step) error) (err error) {
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if err := mayBuy(tx, a); err != nil {
			return err
		}
		return st.note(tx, target, check)
	})
	if err != nil {
		return err
	}
	st.now, err = s.subscription(ctx, st.stored.ID)
	switch {
	case err != nil:
		return err
	case st.now.odd != "":
		s.alarm(ctx, st.now.odd, "customer", sweep.CustomerID.Show(a.Customer))
		return sweep.Errorf(sweep.Conflict, "this subscription cannot be changed here: write to support")
	case st.now.Payment.Final():
		return sweep.Errorf(sweep.Conflict, "this subscription is over: begin with a checkout")
	}
	return nil
}

// note checks the step by what is stored and writes its intent down, under the customer's lock.
func (st *step) note(tx *store.Tx, target string, check func(*store.Tx, store.Customer, *step) error) (err error) {
	if st.stored, err = tx.LiveSubscription(); err != nil {
		return err
	}
	if st.stored.ID == "" {
		return sweep.Errorf(sweep.Conflict, "there is no subscription: begin with a checkout")
	}
	c, err := tx.LoadCustomer()
	if err == nil {
		err = check(tx, c, st)
	}
	if err != nil {
		return err
	}
	if !st.at.IsZero() {
		target += " as of " + st.at.Format(time.RFC3339)
	}
	st.in, err = tx.Intend(store.ChangeIntent, st.stored.ID+" "+st.stored.PriceID+" "+target, freshIntent)
	st.again = st.in.At.Before(tx.Now)
	return err
}

// changeable refuses a change of plan that cannot be, by what is stored. What Stripe has may be younger: settled is asked again with that.
func (s *Service) changeable(tx *store.Tx, _ store.Customer, st *step) error {
	if err := settled(st.stored); err != nil {
		return err
	}
	if !st.at.IsZero() && (st.at.After(tx.Now.Add(time.Minute)) || tx.Now.Sub(st.at) > freshPreview) {
		return sweep.Errorf(sweep.Conflict, "this preview is too old: make a new one")
	}
	return s.fits(tx, st.price.Tier)
}

// settled refuses a change of plan while something is open or the end is near.
func settled(x store.Subscription) error {
	switch {
	case x.Payment != sweep.Paid && x.Payment != sweep.Trialing:
		return sweep.Errorf(sweep.Conflict, "pay what is open first: the portal shows it")
	case x.WaitsForPay:
		return sweep.Errorf(sweep.Conflict, "an earlier change waits to be paid: the portal shows its invoice")
	case !x.EndsAt.IsZero():
		return sweep.Errorf(sweep.Conflict, "the subscription is canceled: resume it first")
	}
	return nil
}

// fits refuses a plan that is too small for the mailboxes and people in use, and says which to let go.
func (s *Service) fits(tx *store.Tx, tier sweep.Tier) error {
	letGo, err := s.letGo(tx, tier)
	if err != nil || len(letGo) == 0 {
		return err
	}
	plan := s.Plans[tier]
	return sweep.Errorf(sweep.Conflict, "the %s plan has %d mailboxes and %d people: disconnect mailboxes and let people go first", tier, plan.Mailboxes, plan.People).With("let_go", letGo)
}

// letGo lists the mailboxes and people that a plan has no room for: the newest, for the oldest are kept.
func (s *Service) letGo(tx *store.Tx, tier sweep.Tier) (list []Using, err error) {
	plan := s.Plans[tier]
	boxes, err := tx.Mailboxes()
	if err != nil {
		return nil, err
	}
	people, err := tx.Members()
	if err != nil {
		return nil, err
	}
	for i := plan.Mailboxes; i < len(boxes); i++ {
		list = append(list, Using{ID: sweep.MailboxID.Show(boxes[i].ID), Email: boxes[i].Email})
	}
	for i := plan.People; i < len(people); i++ {
		list = append(list, Using{ID: sweep.UserID.Show(people[i].User), Email: people[i].Email})
	}
	return list, nil
}

// Using is a mailbox or a person that a plan has no room for.
type Using struct {
	ID    string `json:"id" doc:"mbx_… or usr_…"`
	Email string `json:"email"`
}

// upgrade charges the difference now. Until that is paid the old plan stays.
func (s *Service) upgrade(ctx context.Context, customer sweep.ID, st step) error {
	if err := s.release(ctx, st.now); err != nil {
		return err
	}
	_, err := ask(ctx, s.Stripe, "upgrade", func(ctx context.Context) (*stripe.Subscription, error) {
		p := &stripe.SubscriptionParams{Params: params(ctx, keyOf(customer, st.in, "")), ProrationBehavior: stripe.String("always_invoice"), PaymentBehavior: stripe.String("pending_if_incomplete"),
			Items: []*stripe.SubscriptionItemsParams{{ID: &st.now.item, Price: &st.price.ID}}}
		if !st.at.IsZero() {
			p.ProrationDate = stripe.Int64(st.at.Unix())
		}
		return s.Stripe.api.Subscriptions.Update(st.now.ID, p)
	})
	return err
}

// plan lets the subscription become another at the end of its period.
func (s *Service) plan(ctx context.Context, customer sweep.ID, st step) error {
	id := st.now.schedule
	if id == "" {
		x, err := ask(ctx, s.Stripe, "make_schedule", func(ctx context.Context) (*stripe.SubscriptionSchedule, error) {
			return s.Stripe.api.SubscriptionSchedules.New(&stripe.SubscriptionScheduleParams{Params: params(ctx, keyOf(customer, st.in, ":schedule")), FromSubscription: &st.now.ID})
		})
		if err != nil {
			return err
		}
		id = x.ID
	}
	start, end := st.now.PeriodStart.Unix(), st.now.PeriodEnd.Unix()
	_, err := ask(ctx, s.Stripe, "plan_change", func(ctx context.Context) (*stripe.SubscriptionSchedule, error) {
		one := func(price *string) []*stripe.SubscriptionSchedulePhaseItemParams {
			return []*stripe.SubscriptionSchedulePhaseItemParams{{Price: price, Quantity: stripe.Int64(1)}}
		}
		return s.Stripe.api.SubscriptionSchedules.Update(id, &stripe.SubscriptionScheduleParams{Params: params(ctx, keyOf(customer, st.in, "")), EndBehavior: stripe.String("release"),
			ProrationBehavior: stripe.String("none"), Phases: []*stripe.SubscriptionSchedulePhaseParams{
				{StartDate: &start, EndDate: &end, Items: one(&st.now.PriceID)}, {StartDate: &end, Items: one(&st.price.ID), Iterations: stripe.Int64(1)}}})
	})
	return err
}

// release takes a planned change back, if there is one.
func (s *Service) release(ctx context.Context, x seen) error {
	if x.schedule == "" {
		return nil
	}
	_, err := ask(ctx, s.Stripe, "release_schedule", func(ctx context.Context) (*stripe.SubscriptionSchedule, error) {
		return s.Stripe.api.SubscriptionSchedules.Release(x.schedule, &stripe.SubscriptionScheduleReleaseParams{Params: params(ctx, "")})
	})
	var e *stripe.Error
	if errors.As(err, &e) && e.HTTPStatusCode == 400 { // released by another meanwhile
		return nil
	}
	return err
}

// finish looks at what became of a step, and writes its answer down. A step that Stripe refused is forgotten, so that the next has another key.
func (s *Service) finish(ctx context.Context, a sweep.Actor, st step, action string, data map[string]any, failed error) (out Changed, err error) {
	if failed != nil {
		if definite(failed) {
			failed = errors.Join(failed, s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error { return tx.EndIntent(st.in) }))
		}
		return out, failed
	}
	looked, err := s.Look(ctx, a.Customer)
	if err != nil {
		return out, err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		return tx.Once(&out, func() error {
			if _, err := tx.LockCustomer(); err != nil {
				return err
			}
			live, err := tx.LiveSubscription()
			if err != nil {
				return err
			}
			out = changed(live, looked.payPage)
			if err := tx.EndIntent(st.in); err != nil {
				return err
			}
			return tx.Audit(store.AuditEntry{Actor: a, Action: action, Object: sweep.CustomerID.Show(a.Customer), Data: data})
		})
	})
	return out, err
}

func changed(live store.Subscription, payPage string) Changed {
	out := Changed{Effect: AtOnce, Subscription: view(live)}
	switch {
	case live.WaitsForPay:
		out.Effect, out.PayURL = WhenPaid, payPage
	case live.NextTier != "" || !live.EndsAt.IsZero():
		out.Effect = AtPeriodEnd
	}
	return out
}
