package account

import (
	"time"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// begin makes a session for a user who has just proven who they are: the one way from a proof to an access token, or to a cookie where c
// asks for one. Its transaction has asked for the second factor (see second) and holds the user's row. AccountSuspended; AccountDeleted.
func (s *Service) begin(tx *store.Tx, user sweep.ID, c Client, action string) (Session, error) {
	return s.beginSince(tx, user, tx.Now, c, action)
}

// beginSince is begin for who has proven nothing now: proven is when they last did.
func (s *Service) beginSince(tx *store.Tx, user sweep.ID, proven time.Time, c Client, action string) (Session, error) {
	customer, u, err := s.load(tx, user)
	if err != nil {
		return Session{}, err
	}
	if !customer.DeletedAt.IsZero() {
		return Session{}, sweep.Errorf(sweep.AccountDeleted, "this account was deleted by its owner: it will be removed soon, and then you can sign up anew")
	}
	if !customer.SuspendedAt.IsZero() {
		return Session{}, suspended()
	}
	device, err := s.newDevice(customer.ID, u)
	if err != nil {
		return Session{}, err
	}
	session := Session{Device: device, Customer: s.me(customer, u, tx.Now)}
	entry := store.AuditEntry{Actor: s.actor(customer.ID, u.ID, u.Role, c), Action: action, Object: sweep.UserID.Show(u.ID)}
	if c.Cookie {
		entry.Actor.Session = tx.NewID()
		entry.Data = map[string]any{"session": sweep.SessionID.Show(entry.Actor.Session)}
		err = s.setCookie(tx, &session, store.Session{ID: entry.Actor.Session, ProvenAt: proven}, u, c)
	} else {
		err = s.sign(&session, customer.ID, u, proven)
	}
	if err != nil {
		return Session{}, err
	}
	return session, tx.Audit(entry)
}

func (s *Service) sign(session *Session, customer sweep.ID, u store.User, proven time.Time) (err error) {
	session.AccessToken, err = s.Signer.sign(claimed{Customer: customer, User: u.ID, Version: u.TokenVersion, ProvenAt: proven})
	session.TokenType, session.ExpiresIn = "Bearer", int(tokenLife.Seconds())
	return err
}

func (s *Service) setCookie(tx *store.Tx, session *Session, row store.Session, u store.User, c Client) error {
	factor, err := tx.SecondFactor(u.ID)
	if err != nil {
		return err
	}
	cookie, hash := secret.NewToken()
	session.Cookie, session.CSRFToken, session.ExpiresIn = cookie, secret.CSRFToken(cookie), int(sweep.SessionLife.Seconds())
	row.User, row.Hash, row.TokenVersion, row.SecondFactor = u.ID, hash, u.TokenVersion, factor.On
	row.Device, row.Network = program(c.UserAgent), s.networkHash(c, 24, 48)
	return tx.InsertSession(row)
}
