package account

import (
	"context"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// refused is the one answer to a wrong address, a wrong password and too many tries.
func refused() error {
	return sweep.Errorf(sweep.Unauthenticated, "the address or the password is wrong, or there were too many tries: wait a while, then try again")
}

// Login signs a user in by password. totp is the second factor's code, for users who have one; TOTPRequired, with a challenge for
// AnswerChallenge, when it is missing. Unauthenticated is the same for everything that is wrong with address and password; only who has
// the right password learns TOTPRequired, EmailUnverified or AccountSuspended.
// Unavailable when too many sign in at once.
func (s *Service) Login(ctx context.Context, email, password, totp string, c Client) (Session, error) {
	return s.byPassword(ctx, email, password, totp, c, func(tx *store.Tx, u store.User) (Session, error) { return s.signIn(tx, u, c) })
}

// signIn begins the session of who has given password and second factor.
func (s *Service) signIn(tx *store.Tx, u store.User, c Client) (Session, error) {
	if err := s.recognize(tx, u, c, false); err != nil {
		return Session{}, err
	}
	return s.begin(tx, u.ID, c, "user.signed_in")
}

// byPassword is Login up to the session: what then does, in the transaction in which password and second factor are right.
func (s *Service) byPassword(ctx context.Context, email, password, totp string, c Client, then func(*store.Tx, store.User) (Session, error)) (Session, error) {
	email, err := canonicalEmail(email)
	if err != nil || secret.TooLong(password) {
		return Session{}, refused() // no such user can exist, and anybody can see that
	}
	a, err := s.attempt(ctx, email, password, c)
	if err != nil {
		return Session{}, err
	}
	if !a.right {
		hide(ctx, a.hashed) // what followed differs for whom there is
		return Session{}, refused()
	}
	if a.user.VerifiedAt.IsZero() {
		return Session{}, sweep.Errorf(sweep.EmailUnverified, "please confirm your e-mail address first: the link is in your mail")
	}
	enter := func() (Session, error, error) { return s.enter(ctx, a.customer, a.user, a.renew, totp, c, then) }
	if totp != "" {
		return s.guess(ctx, a.customer, a.user, c, enter)
	}
	session, owes, err := enter()
	if err == nil {
		err = owes
	}
	return session, err
}

// attempt is a password that was looked at.
type attempt struct {
	customer sweep.ID
	user     store.User // nobody is the zero user
	gates    []gate
	leave    func() // ends the turn at them
	right    bool
	renew    string    // the hash to store
	hashed   time.Time // when that was known
}

// attempt looks for the person and at the password, and counts a wrong one. One of a person is under way at a time, so that nobody stands in the
// way of others more than once.
func (s *Service) attempt(ctx context.Context, email, password string, c Client) (a attempt, err error) {
	leave, err := s.turns.take(ctx, s.lane(email, c))
	if err != nil {
		return a, err
	}
	defer leave()
	defer func() {
		if a.leave != nil {
			a.leave()
		}
	}()
	if err := s.look(ctx, &a, email, password, c); err != nil {
		return a, err
	}
	if !a.right {
		shuts := s.failed(ctx, a.gates, c)
		s.strike(ctx, a.customer, a.user)
		if shuts {
			s.shutOut(ctx, a.customer, a.user, mail.Locked, c)
		}
	}
	return a, nil
}

// look is behind the gate of the hashes: whom that turns away has cost nothing. What follows a wrong password is not, since it differs for whom
// there is.
func (s *Service) look(ctx context.Context, a *attempt, email, password string, c Client) error {
	slot, err := s.Passwords.Enter(ctx)
	if err != nil {
		return err
	}
	defer slot.Leave()
	if a.customer, a.user, err = s.find(ctx, email); err != nil {
		return err
	}
	a.gates = s.gates(email, a.user, c)
	if a.leave, err = s.turns.take(ctx, a.gates[0].key); err != nil {
		return err
	}
	if shut, err := s.shut(ctx, a.gates); err != nil || shut {
		return orRefused(err)
	}
	if a.user.Failures > s.mayFail(a.user, c) {
		a.user.Password = "" // none is right then, and it takes the time of any other
	}
	a.renew, a.right, err = check(slot, a.user, password)
	a.hashed = time.Now()
	return err
}

func orRefused(err error) error {
	if err != nil {
		return err
	}
	return refused()
}

// find reads the user of an address; nobody is the zero user. Both take the same two transactions.
func (s *Service) find(ctx context.Context, email string) (sweep.ID, store.User, error) {
	customer, id, err := s.DB.UserByEmail(ctx, email)
	if err != nil {
		return customer, store.User{}, err
	}
	tenant := customer
	if id.IsZero() {
		tenant = sweep.ID{15: 1} // nobody's
	}
	var u store.User
	err = s.DB.Tenant(ctx, tenant, func(tx *store.Tx) error {
		u, err = tx.User(id)
		return err
	})
	if sweep.CodeOf(err) == sweep.NotFound {
		return customer, store.User{}, nil
	}
	return customer, u, err
}

// check costs one hash whether or not there is a user. renew is the hash to store instead, when pepper or cost have changed.
func check(slot secret.Slot, u store.User, password string) (renew string, ok bool, err error) {
	if u.Password == "" {
		return "", false, slot.VerifyNothing(password)
	}
	ok, old, err := slot.Verify(u.Password, password)
	if err != nil || !ok || !old {
		return u.Password, ok, err
	}
	renew, err = slot.Hash(password)
	return renew, true, err
}

func (s *Service) enter(ctx context.Context, customer sweep.ID, u store.User, renew, totp string, c Client, then func(*store.Tx, store.User) (Session, error)) (session Session, owes, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		if err := unchanged(tx, u); err != nil {
			return err
		}
		in, err := tx.SignedIn(u.ID, u.Password, renew, s.mayFail(u, c)) // what others failed meanwhile counts
		if err != nil {
			return err
		}
		if !in {
			return refused()
		}
		if owes, err = s.second(tx, u, totp, c); err != nil || owes != nil {
			return err
		}
		session, err = then(tx, u)
		return err
	})
	return session, owes, err
}

// failed counts a failure and notes it; shuts: the first gate is shut from now on. A caller who has hung up is counted too.
func (s *Service) failed(ctx context.Context, gates []gate, c Client) (shuts bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	for i, g := range gates {
		shut, err := s.count(ctx, g)
		if err != nil {
			s.Log.ErrorContext(ctx, "failed sign-in not counted", "error", err)
		}
		shuts = shuts || i == 0 && shut
	}
	if err := s.DB.SecurityEvent(ctx, "login.failed", s.addressHash(c), c.RequestID); err != nil {
		s.Log.ErrorContext(ctx, "failed sign-in not noted", "error", err)
	}
	return shuts
}
