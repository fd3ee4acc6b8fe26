package account

import (
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// begin makes a session for a user who has just proven who they are: the one way from a proof to an access token, or to a cookie where c
// asks for one. Its transaction has asked for the second factor (see second) and holds the user's row. AccountSuspended; AccountDeleted.
func (s *Service) begin(tx *store.Tx, user sweep.ID, c Client, action string) (Session, error) {
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
		err = s.setCookie(tx, &session, entry.Actor.Session, u, c)
	} else {
		err = s.sign(&session, customer.ID, u)
	}
	if err != nil {
		return Session{}, err
	}
	return session, tx.Audit(entry)
}

func (s *Service) sign(session *Session, customer sweep.ID, u store.User) (err error) {
	session.AccessToken, err = s.Signer.sign(claimed{Customer: customer, User: u.ID, Version: u.TokenVersion})
	session.TokenType, session.ExpiresIn = "Bearer", int(tokenLife.Seconds())
	return err
}

func (s *Service) setCookie(tx *store.Tx, session *Session, id sweep.ID, u store.User, c Client) error {
	factor, err := tx.SecondFactor(u.ID)
	if err != nil {
		return err
	}
	cookie, hash := secret.NewToken()
	session.Cookie, session.CSRFToken, session.ExpiresIn = cookie, secret.CSRFToken(cookie), int(sweep.SessionLife.Seconds())
	return tx.InsertSession(store.Session{ID: id, User: u.ID, Hash: hash, Device: program(c.UserAgent), Network: s.networkHash(c, 24, 48), TokenVersion: u.TokenVersion,
		SecondFactor: factor.On})
}
