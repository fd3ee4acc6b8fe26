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
// unless the password was changed since. Of one person one is compared at a time, and wrong ones are counted over all challenges.
// Unauthenticated.
func (s *Service) AnswerChallenge(ctx context.Context, challenge, code string, c Client) (Session, error) {
	customer, id, err := s.DB.ChallengeOwner(ctx, secret.HashToken(challenge))
	if err != nil {
		return Session{}, err
	}
	if id.IsZero() {
		return Session{}, challengeOver()
	}
	u, err := s.tried(ctx, customer, id)
	if err != nil {
		return Session{}, err
	}
	return s.guess(ctx, customer, u, c, func() (session Session, owes, err error) {
		err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
			if err := unchanged(tx, u); err != nil {
				return err
			}
			if owes, err = s.answered(tx, u, code, c); err != nil || owes != nil {
				return err
			}
			if err := tx.EndChallenge(id); err != nil {
				return err
			}
			if err := s.recognize(tx, u, c, false); err != nil {
				return err
			}
			session, err = s.begin(tx, u.ID, c, "user.signed_in")
			return err
		})
		return session, owes, err
	})
}

func challengeOver() error {
	return sweep.Errorf(sweep.Unauthenticated, "sign in with your password again")
}

// tried counts a try of a challenge, whatever comes of it, and gives whose it is.
func (s *Service) tried(ctx context.Context, customer, id sweep.ID) (u store.User, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		user, ok, err := tx.TryChallenge(id, challengeTries)
		if err == nil && !ok {
			err = challengeOver()
		}
		if err != nil {
			return err
		}
		u, err = tx.User(user)
		return err
	})
	return u, err
}

// guess does f, which compares a code, under the gates of the person's second factor: one at a time, so that no two pass a gate that the
// first shuts. A wrong code counts there and as a failed sign-in. Whoever guesses has given the password: the person is told.
func (s *Service) guess(ctx context.Context, customer sweep.ID, u store.User, c Client, f func() (Session, error, error)) (Session, error) {
	leave, gates, err := s.atCodes(ctx, u.ID)
	if err != nil {
		return Session{}, err
	}
	defer leave()
	session, owes, err := f()
	if err == nil && sweep.CodeOf(owes) == sweep.Unauthenticated {
		if s.failed(ctx, append(gates, s.gates(u.Email, u, c)...), c) {
			s.shutOut(ctx, customer, u, mail.CodesLocked, c)
		}
	}
	if err == nil {
		err = owes
	}
	return session, err
}

// atCodes waits for the turn to compare a code of a person's, and gives the gates at which a wrong one counts.
func (s *Service) atCodes(ctx context.Context, user sweep.ID) (leave func(), gates []gate, err error) {
	gates = s.codes(user)
	if leave, err = s.turns.take(ctx, gates[0].key); err != nil {
		return nil, nil, err
	}
	shut, err := s.shut(ctx, gates)
	if err != nil || shut {
		leave()
		return nil, nil, orRefused(err)
	}
	return leave, gates, nil
}

// answered compares a code that must be there.
func (s *Service) answered(tx *store.Tx, u store.User, code string, c Client) (owes, err error) {
	if code == "" {
		return wrongCode(), nil
	}
	return s.second(tx, u, code, c)
}
