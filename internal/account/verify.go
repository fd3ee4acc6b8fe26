package account

import (
	"context"
	"time"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// VerifyEmail proves an address with the token of the newest verification mail, once, within 24 hours, and signs its user in. Whoever
// reads the mail need not be who signed up: a stranger may have, with a password of the stranger's. So what the sign-up chose, password and
// name, is in force only if the password is given here together with the token; without it (password "") it is void, and another is set by
// a reset. The trial begins now, once for each address.
// BadRequest when the token is not good (any more); Unauthenticated when the password is not that of the sign-up, and the token
// stays good; AccountSuspended; Unavailable when too many hash passwords at once.
func (s *Service) VerifyEmail(ctx context.Context, token, password string, c Client) (Session, error) {
	customer, id, err := s.DB.EmailTokenOwner(ctx, secret.HashToken(token), "verify")
	if err != nil {
		return Session{}, err
	}
	if id.IsZero() {
		return Session{}, badLink()
	}
	kept, err := s.signedUpWith(ctx, customer, id, password)
	if err != nil {
		return Session{}, err
	}
	var session Session
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(); err != nil { // as who signs up again, and as the drop of what nobody confirmed
			return orBadLink(err)
		}
		user, email, ok, err := tx.UseEmailToken(id)
		if err == nil && ok {
			ok, err = s.confirm(tx, user, email, kept)
		}
		if err != nil {
			return err
		}
		if !ok {
			return badLink()
		}
		if err := s.recognize(tx, store.User{ID: user}, c, true); err != nil {
			return err
		}
		session, err = s.begin(tx, user, c, "user.verified")
		return err
	})
	return session, err
}

// confirm proves an address whose customer is locked, with the stored form of the password that stays in force: every other link is void, and
// the trial begins, if the address had none; false when it is proven, or another by now.
func (s *Service) confirm(tx *store.Tx, user sweep.ID, email, kept string) (bool, error) {
	if err := s.settle(tx); err != nil {
		return false, err
	}
	first, err := tx.VerifyUser(user, email, kept)
	if err != nil || !first {
		return false, err
	}
	u, err := tx.User(user)
	if err != nil {
		return false, err
	}
	for _, kind := range []string{"verify", "reset"} {
		if err := tx.VoidEmailTokens(user, kind); err != nil {
			return false, err
		}
	}
	ends, err := s.trialOf(tx, email)
	if err != nil {
		return false, err
	}
	return true, tx.BeginTrial(u.Name, ends)
}

// trialOf is the end of the trial that begins now by an address that was just proven; zero when another customer had one by it, who may be gone.
func (s *Service) trialOf(tx *store.Tx, email string) (ends time.Time, err error) {
	first, err := tx.UseTrial(s.trialHash(email))
	if err != nil || !first {
		return time.Time{}, err
	}
	return tx.Now.Add(sweep.TrialLength), nil
}

// trialHash is what is kept of an address that had its trial. Nothing else is hashed alike, so that it leads to nothing.
func (s *Service) trialHash(email string) []byte { return s.Pseudonym.Of("trial_address", email) }

// waiting is the customer of a sign-up whose address nobody has proven; zero where there is none.
func (s *Service) waiting(ctx context.Context, email string) (customer sweep.ID, err error) {
	customer, u, err := s.find(ctx, email)
	if err != nil || u.ID.IsZero() || !u.VerifiedAt.IsZero() {
		return sweep.ID{}, err
	}
	return customer, nil
}

// makeRoom drops a sign-up for who has proven its address by other means than its mail, in the transaction that gives them the address: whoever that
// was, nothing of theirs stays, and if this fails they wait as before. Nothing happens where none waits (any more), or customer is zero.
func (s *Service) makeRoom(tx *store.Tx, customer sweep.ID, c Client) error {
	if customer.IsZero() {
		return nil
	}
	return tx.As(customer, func(tx *store.Tx) error {
		dropped, err := tx.DropSignUp(tx.Now)
		if err != nil || !dropped {
			return err
		}
		who := sweep.Actor{Kind: sweep.BySystem, Customer: customer, RequestID: c.RequestID, AddressHash: s.addressHash(c)}
		return tx.Audit(store.AuditEntry{Actor: who, Action: "signup.dropped", Object: sweep.CustomerID.Show(customer), Data: map[string]any{"reason": "proven_elsewhere"}})
	})
}

func orBadLink(err error) error {
	if sweep.CodeOf(err) == sweep.NotFound {
		return badLink()
	}
	return err
}

func badLink() error {
	return sweep.Errorf(sweep.BadRequest, "this link is not valid any more: sign in to get a new one")
}

// signedUpWith compares a password with the one that waits for this token, and gives its stored form; "" for no password.
func (s *Service) signedUpWith(ctx context.Context, customer, token sweep.ID, password string) (stored string, err error) {
	if password == "" {
		return "", nil
	}
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		stored, err = tx.AwaitingPassword(token)
		return err
	})
	if err != nil {
		return "", err
	}
	if stored == "" {
		return "", badLink()
	}
	leave, err := s.turns.take(ctx, "verify:"+token.String())
	if err != nil {
		return "", err
	}
	defer leave()
	ok := false
	if !secret.TooLong(password) {
		ok, _, err = s.Passwords.Verify(ctx, stored, password)
	}
	if err == nil && !ok {
		err = sweep.Errorf(sweep.Unauthenticated, "this is not the password of the latest sign-up with this address: if you have forgotten it, go on without and set another")
	}
	return stored, err
}

func suspended() error {
	return sweep.Errorf(sweep.AccountSuspended, "this account is suspended: please write to support")
}

// ResendVerification mails a new link, which voids the older ones, if the address waits for one: once a minute and five times a
// day at most. Nobody learns from the answer or its time whether it did. Invalid when it is no address.
func (s *Service) ResendVerification(ctx context.Context, email string, c Client) error {
	email, err := canonicalEmail(email)
	if err != nil {
		return err
	}
	defer hide(ctx, time.Now())
	if ok, err := s.mayMail(ctx, "verify", email); err != nil || !ok {
		return err
	}
	return s.atAddress(ctx, email, func(tx *store.Tx, who store.Customer, u store.User) error {
		if !u.VerifiedAt.IsZero() {
			return nil
		}
		return s.verifyAnew(tx, who.DataKey, u, c.RequestID)
	})
}

// atAddress does f for whoever an address belongs to, if anybody, under the customer's lock: two at once would leave two good links.
func (s *Service) atAddress(ctx context.Context, email string, f func(*store.Tx, store.Customer, store.User) error) error {
	customer, user, err := s.DB.UserByEmail(ctx, email)
	if err != nil || user.IsZero() {
		return err
	}
	return s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		who, err := tx.LockCustomer()
		if sweep.CodeOf(err) == sweep.NotFound { // deleted, which nobody learns by this
			return nil
		}
		if err != nil {
			return err
		}
		u, err := tx.User(user)
		if err != nil {
			return err
		}
		return f(tx, who, u)
	})
}
