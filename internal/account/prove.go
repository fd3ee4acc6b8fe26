package account

import (
	"context"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// prove asks a person who is signed in for their password, before what a stolen session must not do. Wrong ones are counted
// for the person. Unauthenticated; Forbidden for what is no person; Conflict for who has no password.
func (s *Service) prove(ctx context.Context, a sweep.Actor, password string, c Client) (u store.User, err error) {
	if a.Kind != sweep.ByToken {
		return u, sweep.Errorf(sweep.Forbidden, "only a person can do this")
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		u, err = tx.User(a.User)
		return err
	})
	if err != nil {
		return u, err
	}
	if u.Password == "" {
		return u, sweep.Errorf(sweep.Conflict, "this needs your password, and you have none yet: the mail for a forgotten password sets one")
	}
	if secret.TooLong(password) {
		return u, wrongPassword()
	}
	gates := s.proofs(u.ID)
	leave, err := s.turns.take(ctx, gates[0].key)
	if err != nil {
		return u, err
	}
	defer leave()
	if shut, err := s.shut(ctx, gates); err != nil || shut {
		return u, orRefused(err)
	}
	ok, _, err := s.Passwords.Verify(ctx, u.Password, password)
	if err == nil && !ok {
		s.failed(ctx, gates, c)
		err = wrongPassword()
	}
	return u, err
}

func wrongPassword() error {
	return sweep.Errorf(sweep.Unauthenticated, "the password is wrong")
}

// unchanged refuses what was proven with a password that has been changed since. It locks the user's row, so that none is while the
// transaction lasts.
func unchanged(tx *store.Tx, proven store.User) error {
	version, err := tx.LockUser(proven.ID)
	if err == nil && version != proven.TokenVersion {
		err = sweep.Errorf(sweep.Unauthenticated, "you were signed out meanwhile: please sign in again")
	}
	return err
}
