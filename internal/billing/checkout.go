package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stripe/stripe-go/v76"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// sessionLife is less than Stripe's 24 hours, after which a checkout cannot be paid any more and its key is forgotten.
const sessionLife = 23 * time.Hour

// Page is one of Stripe's, for the customer's browser.
type Page struct {
	URL  string `json:"url" doc:"Open it in a browser"`
	Kind string `json:"kind" enum:"checkout,portal" doc:"portal: there is a subscription already"`
}

// Checkout begins the purchase of a plan and gives the page where it is paid. Whoever asks again for the same gets the same page; who has a subscription
// gets the portal: nobody has two. Nothing is in force before Stripe says that it is paid. Forbidden but for owners; EmailUnverified; Invalid; Conflict with another checkout;
// Unavailable.
func (s *Service) Checkout(ctx context.Context, a sweep.Actor, tier sweep.Tier, every sweep.Every) (page Page, err error) {
	ctx, cancel, err := s.ready(ctx)
	if err != nil {
		return page, err
	}
	defer cancel()
	price, err := s.Prices.Sold(tier, every)
	if err != nil {
		return page, err
	}
	for range 5 { // a checkout that is over makes room for another
		page, given, err := s.attempt(ctx, a, price)
		if err != nil || given {
			return page, err
		}
	}
	return page, sweep.Errorf(sweep.Conflict, "the checkout was over before it began: try again")
}

// attempt gives the page, or makes room for another attempt: then given is false.
func (s *Service) attempt(ctx context.Context, a sweep.Actor, price Price) (page Page, given bool, err error) {
	in, b, err := s.intend(ctx, a, price)
	switch {
	case err != nil:
		return page, false, err
	case b.live:
		page, err = s.Open(ctx, a)
		return page, true, err
	case b.before.Session != "":
		return page, false, s.close(ctx, a.Customer, b.before)
	}
	if b.customer, err = s.customer(ctx, a.Customer, b); err != nil {
		return page, false, err
	}
	session, err := s.session(ctx, a.Customer, b, in, price)
	switch {
	case errors.Is(err, errOther): // what is asked for with this key has changed meanwhile, such as our address
		return page, false, s.replace(ctx, a.Customer, b.customer, in)
	case errors.Is(err, errMissing):
		return page, false, s.lost(ctx, a.Customer, b.customer)
	case err != nil:
		return page, false, err
	case session.Status == stripe.CheckoutSessionStatusOpen && session.URL != "":
		page, err = s.begun(ctx, a, in, session, price)
		return page, true, err
	}
	return page, false, s.over(ctx, a.Customer, in, session)
}

// buyer is who buys.
type buyer struct {
	at       store.AtStripe
	email    string
	customer string       // Stripe's
	before   store.Intent // of another plan, or an old one: its checkout may still be open
	live     bool         // has a subscription
}

// intend notes what is about to be bought, under the customer's lock. In place of an intent that has a checkout nothing is noted: b.before is to be closed
// first, for nothing else remembers that it can be paid.
func (s *Service) intend(ctx context.Context, a sweep.Actor, price Price) (in store.Intent, b buyer, err error) {
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if err := mayBuy(tx, a); err != nil {
			return err
		}
		live, err := tx.LiveSubscription()
		if b.live = live.ID != ""; err != nil || b.live {
			return err
		}
		if b.at, err = tx.AtStripe(); err != nil {
			return err
		}
		if b.email, err = owner(tx, a); err != nil {
			return err
		}
		before, _, err := tx.Intent(store.CheckoutIntent)
		if err != nil {
			return err
		}
		target := fmt.Sprintf("%s %d", price.ID, b.at.Generation)
		if before.Session != "" && !before.Serves(target, tx.Now, sessionLife) {
			b.before = before
			return nil
		}
		in, err = tx.Intend(store.CheckoutIntent, target, sessionLife)
		return err
	})
	return in, b, err
}

// mayBuy refuses who may not: it locks the customer.
func mayBuy(tx *store.Tx, a sweep.Actor) error {
	if err := a.MayAs(sweep.Owner); err != nil {
		return err
	}
	c, err := tx.LockCustomer()
	if err != nil {
		return err
	}
	if !c.SuspendedAt.IsZero() {
		return sweep.Errorf(sweep.AccountSuspended, "this account is suspended")
	}
	if a.Kind != sweep.ByToken {
		return nil // a key works only while its maker's address is proven
	}
	user, err := tx.User(a.User)
	if err == nil && user.VerifiedAt.IsZero() {
		err = sweep.Errorf(sweep.EmailUnverified, "verify your e-mail address first")
	}
	return err
}

// owner is the address that Stripe sends invoices to: the actor's, or of a key the first owner's.
func owner(tx *store.Tx, a sweep.Actor) (email string, err error) {
	if a.Kind == sweep.ByToken {
		return tx.Address(a.User)
	}
	members, err := tx.Members()
	if err != nil || len(members) == 0 {
		return "", err
	}
	return members[0].Email, nil
}

// customer is the customer at Stripe. It is made once, however many ask: the key of the request is our id, and Stripe answers the same to the same.
func (s *Service) customer(ctx context.Context, customer sweep.ID, b buyer) (id string, err error) {
	if b.at.ID != "" && !b.at.Gone {
		return b.at.ID, nil
	}
	key := "cust:" + customer.String()
	if b.at.Generation > 0 {
		key += fmt.Sprintf(":%d", b.at.Generation)
	}
	x, err := ask(ctx, s.Stripe, "make_customer", func(ctx context.Context) (*stripe.Customer, error) {
		p := &stripe.CustomerParams{Params: params(ctx, key)} // nothing that can change stands here: the key is good for one content
		p.AddMetadata(metaCustomer, sweep.CustomerID.Show(customer))
		return s.Stripe.api.Customers.New(p)
	})
	if err != nil {
		return "", err
	}
	_, err = ask(ctx, s.Stripe, "set_customer", func(ctx context.Context) (*stripe.Customer, error) {
		return s.Stripe.api.Customers.Update(x.ID, &stripe.CustomerParams{Params: params(ctx, ""), Email: &b.email})
	})
	if err != nil {
		return "", err
	}
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(); err != nil {
			return err
		}
		ours, err := tx.KnowAtStripe(x.ID)
		if err == nil && !ours {
			var at store.AtStripe
			at, err = tx.AtStripe()
			x.ID = at.ID
		}
		return err
	})
	return x.ID, err
}

// session is the checkout of an intent.
func (s *Service) session(ctx context.Context, customer sweep.ID, b buyer, in store.Intent, price Price) (*stripe.CheckoutSession, error) {
	if in.Session != "" {
		return s.found(ctx, in.Session)
	}
	shown := sweep.CustomerID.Show(customer)
	return ask(ctx, s.Stripe, "make_checkout", func(ctx context.Context) (*stripe.CheckoutSession, error) {
		p := &stripe.CheckoutSessionParams{Params: params(ctx, "sub:"+customer.String()+":"+in.ID.String()), Mode: stripe.String("subscription"), Customer: &b.customer, ClientReferenceID: &shown,
			SuccessURL: stripe.String(s.Pages + "/billing?checkout=done"), CancelURL: stripe.String(s.Pages + "/billing?checkout=left"),
			LineItems:        []*stripe.CheckoutSessionLineItemParams{{Price: &price.ID, Quantity: stripe.Int64(1)}},
			SubscriptionData: &stripe.CheckoutSessionSubscriptionDataParams{Metadata: map[string]string{metaCustomer: shown}}}
		return s.Stripe.api.CheckoutSessions.New(p)
	})
}

// found fetches a checkout.
func (s *Service) found(ctx context.Context, session string) (*stripe.CheckoutSession, error) {
	return ask(ctx, s.Stripe, "get_checkout", func(ctx context.Context) (*stripe.CheckoutSession, error) {
		return s.Stripe.api.CheckoutSessions.Get(session, &stripe.CheckoutSessionParams{Params: params(ctx, "")})
	})
}

// close sees to it that an intent's checkout cannot be paid any more, and forgets the intent then. What was paid already is looked at.
func (s *Service) close(ctx context.Context, customer sweep.ID, in store.Intent) error {
	x, err := ask(ctx, s.Stripe, "expire_checkout", func(ctx context.Context) (*stripe.CheckoutSession, error) {
		return s.Stripe.api.CheckoutSessions.Expire(in.Session, &stripe.CheckoutSessionExpireParams{Params: params(ctx, "")})
	})
	var e *stripe.Error
	if errors.As(err, &e) && e.HTTPStatusCode == 400 && !errors.Is(err, errMissing) { // it is over already: by what?
		refused := err
		if x, err = s.found(ctx, in.Session); err == nil && x.Status == stripe.CheckoutSessionStatusOpen {
			return refused
		}
	}
	switch {
	case errors.Is(err, errMissing):
		return s.DB.Tenant(ctx, customer, func(tx *store.Tx) error { return tx.EndIntent(in) })
	case err != nil:
		return err
	}
	return s.over(ctx, customer, in, x)
}

// replace ends an intent whose key Stripe knows for another request: that made a checkout which nothing here remembers, so all that can be paid are closed first.
func (s *Service) replace(ctx context.Context, customer sweep.ID, stripeID string, in store.Intent) error {
	all, err := ask(ctx, s.Stripe, "list_checkouts", func(ctx context.Context) (all []*stripe.CheckoutSession, err error) {
		i := s.Stripe.api.CheckoutSessions.List(&stripe.CheckoutSessionListParams{ListParams: listing(ctx), Customer: &stripeID})
		for i.Next() {
			all = append(all, i.CheckoutSession())
		}
		return all, i.Err()
	})
	if err != nil {
		return err
	}
	for _, x := range all {
		in.Session = x.ID
		switch {
		case x.Status == stripe.CheckoutSessionStatusOpen:
			err = s.close(ctx, customer, in)
		case x.Status == stripe.CheckoutSessionStatusComplete && !instant(x.Created).Before(in.At.Add(-skew)): // paid already
			err = s.over(ctx, customer, in, x)
		}
		if err != nil {
			return err
		}
	}
	return s.DB.Tenant(ctx, customer, func(tx *store.Tx) error { return tx.EndIntent(in) })
}

// errPassed says that another intent has taken the place of the one that a checkout was made for.
var errPassed = errors.New("another checkout was begun meanwhile")

// begun notes the checkout's session, with the answer. One whose intent has been replaced meanwhile is closed, and not given to anybody: Conflict.
func (s *Service) begun(ctx context.Context, a sweep.Actor, in store.Intent, session *stripe.CheckoutSession, price Price) (page Page, err error) {
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		return tx.Once(&page, func() error {
			page = Page{URL: session.URL, Kind: "checkout"}
			if _, err := tx.LockCustomer(); err != nil {
				return err
			}
			now, _, err := tx.Intent(store.CheckoutIntent)
			if err != nil || now.Session == session.ID {
				return err // somebody who asked at the same time was first
			}
			if now.ID != in.ID {
				return errPassed
			}
			if err := tx.IntentSession(in, session.ID); err != nil {
				return err
			}
			return tx.Audit(store.AuditEntry{Actor: a, Action: "billing.checkout", Object: sweep.CustomerID.Show(a.Customer), Data: map[string]any{"plan": price.Tier, "every": price.Every}})
		})
	})
	if errors.Is(err, errPassed) {
		in.Session = session.ID
		if err := s.close(ctx, a.Customer, in); err != nil {
			return Page{}, err
		}
		return Page{}, sweep.Errorf(sweep.Conflict, "another checkout was begun at the same time: try again")
	}
	return page, err
}

// over makes room after a checkout that was paid or has expired. What was paid is looked at: its event may still be on its way. Conflict while it is not
// understood: it is not to be sold again.
func (s *Service) over(ctx context.Context, customer sweep.ID, in store.Intent, session *stripe.CheckoutSession) error {
	odd := false
	if session.Status == stripe.CheckoutSessionStatusComplete {
		looked, err := s.Look(ctx, customer)
		if err != nil {
			return err
		}
		odd = slices.ContainsFunc(looked.Odd, func(why string) bool { return why != oddMissing })
	}
	return s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		live, err := tx.LiveSubscription()
		if err != nil {
			return err
		}
		if odd && live.ID == "" {
			return sweep.Errorf(sweep.Conflict, "what was bought already is not understood here: write to support")
		}
		return tx.EndIntent(in)
	})
}

// lost asks whether the customer was deleted at Stripe, and notes it then.
func (s *Service) lost(ctx context.Context, customer sweep.ID, stripeID string) error {
	x, err := ask(ctx, s.Stripe, "get_customer", func(ctx context.Context) (*stripe.Customer, error) {
		return s.Stripe.api.Customers.Get(stripeID, &stripe.CustomerParams{Params: params(ctx, "")})
	})
	if err == nil && !x.Deleted || errors.Is(err, errMissing) {
		s.alarm(ctx, oddMissing, "customer", sweep.CustomerID.Show(customer))
		return sweep.Errorf(sweep.Unavailable, "payments are not available for the moment").With("retry_after", 300)
	}
	if err != nil {
		return err
	}
	return s.DB.Tenant(ctx, customer, func(tx *store.Tx) error { return tx.GoneAtStripe(stripeID) })
}
