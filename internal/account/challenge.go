package account

import (
	"context"

	"mailsweep/internal/mail"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// second asks for the second factor of a person who has one: every way in goes through it, in the transaction that begins the session.
// owes is nil when there is none or the code is right; TOTPRequired with a challenge when no code came; Unauthenticated when it is
// wrong, which the caller counts as a failed sign-in. What it wrote stays, whatever it owes: commit.
func (s *Service) second(tx *store.Tx, u store.User, code string, c Client) (owes, err error) {
	f, err := tx.SecondFactor(u.ID)
	if err != nil || !f.On {
		return nil, err
	}
	if code == "" {
		return s.challenge(tx, u)
	}
	ok, err := s.takeCode(tx, u.ID, f, code)
	if err != nil {
		return nil, err
	}
	if !ok {
		return wrongCode(), nil
	}
	if !secret.IsTOTP(code) {
		return nil, s.notify(tx, u, mail.CodeUsed, c)
	}
	return nil, nil
}

func (s *Service) challenge(tx *store.Tx, u store.User) (owes, err error) {
	plain, hash := secret.NewToken()
	err = tx.InsertChallenge(store.Challenge{ID: tx.NewID(), User: u.ID, Hash: hash, TokenVersion: u.TokenVersion, ExpiresAt: tx.Now.Add(challengeLife)})
	return sweep.Errorf(sweep.TOTPRequired, "give the code of your authenticator app, or a recovery code").With("challenge", plain), err
}

// AnswerChallenge signs a person in who gave a right password and was asked for the second factor: within five minutes and five tries,
// unless the password was changed since. Unauthenticated.
func (s *Service) AnswerChallenge(ctx context.Context, challenge, code string, c Client) (Session, error) {
	over := sweep.Errorf(sweep.Unauthenticated, "sign in with your password again")
	customer, id, err := s.DB.ChallengeOwner(ctx, secret.HashToken(challenge))
	if err != nil {
		return Session{}, err
	}
	if id.IsZero() {
		return Session{}, over
	}
	var session Session
	var gates []gate
	var owes error
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		user, ok, err := tx.TryChallenge(id, challengeTries)
		if err != nil {
			return err
		}
		if !ok {
			owes = over
			return nil
		}
		u, err := tx.User(user)
		if err != nil {
			return err
		}
		gates = s.gates(u.Email, u, c)
		if owes, err = s.answered(tx, u, code, c); err != nil || owes != nil {
			return err
		}
		if err := tx.EndChallenge(id); err != nil {
			return err
		}
		if err := s.recognize(tx, u, c, false); err != nil {
			return err
		}
		session, err = s.begin(tx, user, c, "user.signed_in")
		return err
	})
	if err == nil && owes != nil {
		s.failed(ctx, gates, c)
		return Session{}, owes
	}
	return session, err
}

// answered compares a code that must be there.
func (s *Service) answered(tx *store.Tx, u store.User, code string, c Client) (owes, err error) {
	if code == "" {
		return wrongCode(), nil
	}
	return s.second(tx, u, code, c)
}
