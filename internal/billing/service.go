// Package billing is Stripe in our words: checkout, the portal, changes of plan, and what Stripe tells us. What is bought is what Stripe says: every event,
// every act and every hour leads to the same look at Stripe, whose result is written down.
package billing

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// patience is how long a caller waits for Stripe, with all tries, unless the service has another.
const patience = 12 * time.Second

// Service is used by pointer; its fields must not change after the first call.
type Service struct {
	DB      *store.DB
	Stripe  *Stripe // nil: payments are not set up, and what needs them is Unavailable
	Plans   sweep.Plans
	Prices  Prices
	Secrets []string         // of the webhook endpoint: two while one is rolled
	Portal  string           // configuration of the portal at Stripe; "": its default
	Pages   string           // where the browser comes back to, no trailing slash
	Now     func() time.Time // by which signatures are judged; nil: the machine's
	Watch   Watch
	// Patience is how long a caller waits for Stripe, with all tries; 0: 12 s.
	Patience time.Duration
	// Post puts a mail to a user (zero: the customer's owner) into the outbox, within the transaction; nil: nobody is told.
	Post func(tx *store.Tx, kind mail.Kind, user sweep.ID, data mail.Data) error
	Log  *slog.Logger

	waking sync.Once
	wake   chan struct{} // the loop over events looks at once
}

// Watch is who counts. Each may be nil.
type Watch struct {
	Event func(kind, outcome string) // of Stripe's; kind is one that we know, or "other"
	Alarm func(reason string)        // what wants a person
	Drift func()                     // a customer whose subscription was not as Stripe has it, found by Reconcile
}

// Price is one of Stripe's prices.
type Price struct {
	ID    string
	Tier  sweep.Tier
	Every sweep.Every
}

// Prices says which price at Stripe is which plan. Of several of a plan the first is sold; the others are those of who bought before.
type Prices []Price

// Of finds what a price is.
func (p Prices) Of(id string) (Price, bool) {
	for _, one := range p {
		if one.ID == id {
			return one, true
		}
	}
	return Price{}, false
}

// Sold finds the price under which a plan is sold. Invalid when it is not.
func (p Prices) Sold(tier sweep.Tier, every sweep.Every) (Price, error) {
	for _, one := range p {
		if one.Tier == tier && one.Every == every {
			return one, nil
		}
	}
	return Price{}, sweep.Errorf(sweep.Invalid, "this plan is not sold").At("plan", "must be a plan that is sold for that period")
}

// ready refuses where payments are not set up, and bounds how long a caller waits.
func (s *Service) ready(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if s == nil || s.Stripe == nil {
		return nil, nil, sweep.Errorf(sweep.Unavailable, "payments are not set up here").With("retry_after", 3600)
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Patience, patience))
	return ctx, cancel, nil
}

// alarm tells what wants a person.
func (s *Service) alarm(ctx context.Context, reason string, args ...any) {
	s.Log.ErrorContext(ctx, "billing needs a person", append([]any{"reason", reason}, args...)...)
	if s.Watch.Alarm != nil {
		s.Watch.Alarm(reason)
	}
}

func (s *Service) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}
