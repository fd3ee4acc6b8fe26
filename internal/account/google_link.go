package account

import (
	"context"
	"crypto/subtle"

	"mailsweep/internal/mail"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// WaysIn tells how a person can sign in.
type WaysIn struct {
	Google   bool `json:"google" doc:"A Google account signs in"`
	Password bool `json:"password" doc:"There is a password; without one the mail for a forgotten password sets it"`
}

// WaysIn tells how the actor can sign in.
func (s *Service) WaysIn(ctx context.Context, a sweep.Actor) (ways WaysIn, err error) {
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		u, err := tx.User(a.User)
		if err != nil {
			return err
		}
		ways.Password = u.Password != ""
		ways.Google, err = tx.SignsInWithGoogle(a.User)
		return err
	})
	return ways, err
}

// LinkGoogle signs a person in by their password, as Login does, and ties the Google account to them that CompleteGoogle left under the
// ticket: from then on it signs in alone. It refuses as Login does; a missing or wrong code of the second factor leaves the ticket good. Unauthenticated too
// for a ticket that is over or of another address; Conflict when another Google account is tied to them.
func (s *Service) LinkGoogle(ctx context.Context, ticket, email, password, totp string, c Client) (Session, error) {
	hash := secret.HashToken(ticket)
	address, err := s.DB.ParkedAddress(ctx, hash)
	if err != nil {
		return Session{}, err
	}
	canonical, err := canonicalEmail(email)
	if err != nil || subtle.ConstantTimeCompare(address, s.Pseudonym.Of("email", canonical)) != 1 {
		return Session{}, googleOver()
	}
	return s.byPassword(ctx, canonical, password, totp, c, func(tx *store.Tx, u store.User) (Session, error) {
		if err := s.tie(tx, u, hash, c); err != nil {
			return Session{}, err
		}
		return s.signIn(tx, u, c)
	})
}

// tie lets the Google account that waits under a ticket sign a person in.
func (s *Service) tie(tx *store.Tx, u store.User, ticket []byte, c Client) error {
	subject, ok, err := tx.TakeParked(ticket)
	if err != nil {
		return err
	}
	if !ok {
		return googleOver()
	}
	free, err := tx.TieGoogleIdentity(u.ID, subject)
	if err != nil {
		return err
	}
	if !free {
		return sweep.Errorf(sweep.Conflict, "another Google account signs in here, or this one somewhere else: unlink that first")
	}
	if err := s.notify(tx, u, mail.GoogleLinked, c); err != nil {
		return err
	}
	return tx.Audit(store.AuditEntry{Actor: s.actor(tx.Customer, u.ID, u.Role, c), Action: "google.linked", Object: sweep.UserID.Show(u.ID)})
}

// UnlinkGoogle lets the Google account sign the person in no more, who proves their password; every other session ends. Conflict without
// a password: there would be no way in; NotFound when none is tied to them; Unauthenticated.
func (s *Service) UnlinkGoogle(ctx context.Context, a sweep.Actor, password string, c Client) (session Session, err error) {
	u, err := s.prove(ctx, a, password, c)
	if err != nil {
		return Session{}, err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if err := unchanged(tx, u); err != nil {
			return err
		}
		return tx.Once(&session, func() error {
			linked, err := tx.DropGoogleIdentity(a.User)
			if err != nil {
				return err
			}
			if !linked {
				return sweep.Errorf(sweep.NotFound, "no Google account signs in here")
			}
			session, err = s.anew(tx, a, c, "google.unlinked", mail.GoogleUnlinked)
			return err
		})
	})
	s.forget(a.Customer, a.User)
	return session, err
}
