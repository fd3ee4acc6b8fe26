package billing

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const (
	eventsAtOnce = 50
	eventLease   = time.Minute // after which an event is handed out again whose process has died
	eventsEvery  = 2 * time.Second
	longestWait  = 5 * time.Minute
)

// waker is where Wake and Run meet.
func (s *Service) waker() chan struct{} {
	s.waking.Do(func() { s.wake = make(chan struct{}, 1) })
	return s.wake
}

// Wake lets Run look at once.
func (s *Service) Wake() {
	select {
	case s.waker() <- struct{}{}:
	default:
	}
}

// Run does what events ask for until ctx ends. Any number of processes may: each event is one's at a time, and doing it twice changes nothing.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(eventsEvery)
	defer tick.Stop()
	for {
		n, err := s.Deal(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "events of Stripe's wait", "error", err)
		}
		if n == eventsAtOnce && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.waker():
		case <-tick.C:
		}
	}
}

// Deal does what the events ask for that are due, and says how many they were. Of several about one customer there is one look.
func (s *Service) Deal(ctx context.Context) (n int, err error) {
	events, err := s.DB.TakeStripeEvents(ctx, eventsAtOnce, eventLease)
	if err != nil {
		return 0, err
	}
	by := map[string][]store.StripeEvent{}
	var customers []string
	var failed error
	for _, e := range events {
		if e.Kind == disputed {
			failed = errors.Join(failed, s.dispute(ctx, e))
			continue
		}
		if by[e.Customer] == nil {
			customers = append(customers, e.Customer)
		}
		by[e.Customer] = append(by[e.Customer], e)
	}
	for _, customer := range customers {
		failed = errors.Join(failed, s.deal(ctx, customer, by[customer]))
	}
	return len(events), failed
}

func (s *Service) deal(ctx context.Context, stripeID string, events []store.StripeEvent) error {
	customer, reason, err := s.follow(ctx, stripeID, events)
	for _, e := range events {
		switch {
		case err != nil:
			err = errors.Join(err, s.putOff(ctx, e))
		case reason != "":
			err = s.DB.SettleStripeEvent(ctx, e.ID, store.EventQuarantined, reason)
			s.count(known(e.Kind), store.EventQuarantined)
		case e.Kind == refunded:
			if err = s.refund(ctx, customer, e); err != nil {
				err = errors.Join(err, s.putOff(ctx, e))
			}
		default:
			err = s.DB.SettleStripeEvent(ctx, e.ID, store.EventDone, e.Reason)
			s.count(known(e.Kind), store.EventDone)
		}
	}
	return err
}

// putOff lets an event wait that could not be dealt with, longer each time.
func (s *Service) putOff(ctx context.Context, e store.StripeEvent) error {
	return s.DB.PutOffStripeEvent(context.WithoutCancel(ctx), e.ID, min(longestWait, time.Second<<min(e.Attempts, 9)))
}

// follow looks at Stripe for whom the events concern. reason says why they want a person.
func (s *Service) follow(ctx context.Context, stripeID string, events []store.StripeEvent) (customer sweep.ID, reason string, err error) {
	ctx, cancel, err := s.ready(ctx)
	if err != nil {
		return customer, "", err
	}
	defer cancel()
	customer, err = s.whose(ctx, stripeID)
	if err != nil {
		return customer, "", err
	}
	if customer.IsZero() {
		s.alarm(ctx, "unknown_customer", "stripe_customer", stripeID)
		return customer, "unknown_customer", nil
	}
	for _, e := range events {
		if e.Kind == customerDeleted {
			if err := s.DB.Tenant(ctx, customer, func(tx *store.Tx) error { return tx.GoneAtStripe(stripeID) }); err != nil {
				return customer, "", err
			}
		}
	}
	looked, err := s.Look(ctx, customer)
	return customer, strings.Join(looked.Odd, " "), err
}

// metaCustomer is the name under which objects at Stripe carry our customer's id.
const metaCustomer = "mailsweep_customer"

// whose finds the customer of ours; the zero id when it is nobody's. One that Stripe knows by our id, and that we had not noted, is noted.
func (s *Service) whose(ctx context.Context, stripeID string) (customer sweep.ID, err error) {
	if customer, err = s.DB.StripeCustomer(ctx, stripeID); err != nil || !customer.IsZero() {
		return customer, err
	}
	x, err := ask(ctx, s.Stripe, "get_customer", func(ctx context.Context) (*stripe.Customer, error) {
		return s.Stripe.api.Customers.Get(stripeID, &stripe.CustomerParams{Params: params(ctx, "")})
	})
	if errors.Is(err, errMissing) {
		return sweep.ID{}, nil
	}
	if err != nil {
		return sweep.ID{}, err
	}
	named, err := sweep.CustomerID.Parse(x.Metadata[metaCustomer])
	if err != nil || x.Deleted {
		return sweep.ID{}, nil
	}
	ours := false
	err = s.DB.Tenant(ctx, named, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(); err != nil {
			return err
		}
		ours, err = tx.KnowAtStripe(stripeID)
		return err
	})
	if sweep.CodeOf(err) == sweep.NotFound || err == nil && !ours {
		return sweep.ID{}, nil
	}
	return named, err
}
