package account

import (
	"context"
	"time"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// VerifyEmail proves an address with the token of the newest verification mail, once, within 24 hours, and signs its user in. Whoever
// reads the mail need not be who signed up: a stranger may have, with a password of the stranger's. So a password is in force only if
// it is given here together with the token; without it (password "") the one of the sign-up is void, and another is set by a reset.
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
		user, email, ok, err := tx.UseEmailToken(id)
		if err != nil {
			return err
		}
		if !ok {
			return badLink()
		}
		if ok, err = tx.VerifyUser(user, email, kept); err != nil {
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
	ok := false
	if len(password) <= 4*secret.MaxPassword {
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
