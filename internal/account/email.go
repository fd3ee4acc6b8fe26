package account

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const (
	undoWithin         = 72 * time.Hour // how long the old address can take a change of address back
	emailChangesPerDay = 10             // mails of one person
)

// EmailAsked says where the mail went that proves a new address. It is the same whether or not somebody has the address.
type EmailAsked struct {
	Email     string    `json:"email" doc:"Where the mail went"`
	ExpiresAt time.Time `json:"expires_at" doc:"Until when its link is good"`
}

// AskEmailChange mails a link to the address that a person wants to have in the place of theirs; it voids the older ones. Nobody is looked up: who
// asks learns nothing of anybody. The person proves password and second factor again. Invalid; RateLimited; Conflict without a password;
// Unauthenticated, TOTPRequired.
func (s *Service) AskEmailChange(ctx context.Context, a sweep.Actor, email string, p ProvenAgain, c Client) (asked EmailAsked, err error) {
	if email, err = canonicalEmail(email); err != nil {
		return asked, err
	}
	gates := s.emailChanges(a.User, email)
	if err := s.mayWrite(ctx, gates); err != nil {
		return asked, err
	}
	err = s.proven(ctx, a, p.Password, p.Code, c, &asked, func(tx *store.Tx, u store.User) error {
		if email == u.Email {
			return sweep.Errorf(sweep.Invalid, "the address is not changed").At("email", "is your address already")
		}
		if err := tx.VoidEmailTokens(u.ID, "change"); err != nil {
			return err
		}
		asked = EmailAsked{Email: email, ExpiresAt: tx.Now.Add(verifyWithin)}
		if err := s.mailAddress(tx, u, "change", mail.EmailChange, mail.Data{To: email, EndsAt: asked.ExpiresAt}, c); err != nil {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: a, Action: "email.asked", Object: sweep.UserID.Show(u.ID)})
	})
	if err == nil {
		s.spend(ctx, gates)
	}
	return asked, err
}

// emailChanges are the allowances of mails to new addresses: to one address, whoever asks, one a minute and five a day, and so many of a person.
func (s *Service) emailChanges(user sweep.ID, email string) []gate {
	to := fmt.Sprintf("change:%x", s.Pseudonym.Of("email", email))
	return []gate{{to + ":minute", 1, time.Minute}, {to + ":day", 5, 24 * time.Hour}, {"change:" + user.String(), emailChangesPerDay, 24 * time.Hour}}
}

// mailAddress mails a token of a kind to the address that it proves, until told.EndsAt.
func (s *Service) mailAddress(tx *store.Tx, u store.User, kind string, letter mail.Kind, told mail.Data, c Client) error {
	token, hash := secret.NewToken()
	err := tx.InsertEmailToken(store.EmailToken{ID: tx.NewID(), User: u.ID, Kind: kind, Hash: hash, Email: told.To, ExpiresAt: told.EndsAt})
	if err != nil {
		return err
	}
	customer, err := tx.LoadCustomer()
	if err != nil {
		return err
	}
	told.Token = token
	return s.post(tx, customer.DataKey, u.ID, letter, told, c.RequestID)
}

// ConfirmEmail gives a person the address whose mail they have read, in the place of theirs. Only who asked can do it, signed in: a mistyped
// address gives a stranger nothing. Every other session and link ends, and the answer is a new session; the address before gets a mail that
// takes the change back. A sign-up with the address that nobody has proven is dropped. BadRequest when the token is not good (any more), or
// another's; Conflict when somebody has proven the address.
// Lock order: the user, then tokens.
func (s *Service) ConfirmEmail(ctx context.Context, a sweep.Actor, token string, c Client) (session Session, err error) {
	if a.Kind != sweep.ByToken {
		return session, sweep.Errorf(sweep.Forbidden, "only a person can do this")
	}
	bad := sweep.Errorf(sweep.BadRequest, "this link is not valid any more, or somebody else’s: sign in as who asked for it")
	customer, id, given, err := s.mailedToken(ctx, token, "change")
	if err != nil {
		return session, err
	}
	mine := customer == a.Customer && given.User == a.User
	var waiting sweep.ID
	if mine {
		if waiting, err = s.waiting(ctx, given.Email); err != nil {
			return session, err
		}
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if _, err := tx.LockUser(a.User); err != nil {
			return err
		}
		return tx.Once(&session, func() error { // an answer that was given before has used the token up
			if !mine {
				return bad
			}
			_, email, ok, err := tx.UseEmailToken(id)
			if err != nil {
				return err
			}
			if !ok {
				return bad
			}
			if err := s.makeRoom(tx, waiting, c); err != nil {
				return err
			}
			if err := s.setEmail(tx, a, email, c); err != nil {
				return err
			}
			session, err = s.begin(tx, a.User, c, "user.signed_in")
			return err
		})
	})
	s.forget(a.Customer, a.User)
	return session, err
}

// mailedToken finds what a good token is for; the zero value when it is not good.
func (s *Service) mailedToken(ctx context.Context, token, kind string) (customer, id sweep.ID, t store.MailedToken, err error) {
	customer, id, err = s.DB.EmailTokenOwner(ctx, secret.HashToken(token), kind)
	if err != nil || id.IsZero() {
		return customer, id, t, err
	}
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		t, err = tx.MailedToken(id)
		return err
	})
	return customer, id, t, err
}

func addressTaken() error {
	return sweep.Errorf(sweep.Conflict, "there is another account with this address: delete that first")
}

// setEmail changes the address of a person whose row is locked, voids the links of the old one, and tells it how to take that back.
func (s *Service) setEmail(tx *store.Tx, a sweep.Actor, email string, c Client) error {
	u, err := tx.User(a.User)
	if err != nil {
		return err
	}
	free, err := tx.SetEmail(u.ID, email)
	if err != nil {
		return err
	}
	if !free {
		return addressTaken()
	}
	for _, kind := range []string{"verify", "reset", "change"} { // undo links of changes before stay good
		if err := tx.VoidEmailTokens(u.ID, kind); err != nil {
			return err
		}
	}
	told := mail.Data{To: u.Email, Name: u.Name, At: tx.Now, EndsAt: tx.Now.Add(undoWithin)}
	if err := s.mailAddress(tx, u, "undo", mail.EmailChanged, told, c); err != nil {
		return err
	}
	return tx.Audit(store.AuditEntry{Actor: a, Action: "email.changed", Object: sweep.UserID.Show(u.ID)})
}

// UndoEmailChange takes a change of address back, and all that came after it, for whoever reads the mail of the address before: once, within 72 hours. The
// person is signed out everywhere, has no password until they set one by the mail that goes out now, and no Google account signs in; keys and
// second factors that were made meanwhile are gone, at every customer that they work for. BadRequest when the token is not good (any more); Conflict when the address has
// another account by now.
// Lock order: the user, then tokens.
func (s *Service) UndoEmailChange(ctx context.Context, token string, c Client) error {
	customer, id, given, err := s.mailedToken(ctx, token, "undo")
	if err != nil {
		return err
	}
	bad := sweep.Errorf(sweep.BadRequest, "this link is not valid any more")
	if given.User.IsZero() {
		return bad
	}
	waiting, err := s.waiting(ctx, given.Email)
	if err != nil {
		return err
	}
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		if _, err := tx.LockUser(given.User); err != nil {
			return orBadLink(err)
		}
		_, _, ok, err := tx.UseEmailToken(id)
		if err != nil {
			return err
		}
		if !ok {
			return bad
		}
		if err := s.makeRoom(tx, waiting, c); err != nil {
			return err
		}
		return s.undoEmail(tx, given, c)
	})
	s.forget(customer, given.User)
	return err
}

// undoEmail gives a person whose row is locked the address back that they had, and nothing else of what came since.
func (s *Service) undoEmail(tx *store.Tx, before store.MailedToken, c Client) error {
	free, err := tx.SetEmail(before.User, before.Email)
	if err != nil {
		return err
	}
	if !free {
		return addressTaken()
	}
	if _, err := tx.SetPassword(before.User, before.Email, ""); err != nil {
		return err
	}
	if _, err := tx.DropGoogleIdentity(before.User); err != nil {
		return err
	}
	works, err := tx.Memberships(before.User)
	if err != nil {
		return err
	}
	slices.SortFunc(works, func(a, b sweep.ID) int { return bytes.Compare(a[:], b[:]) }) // audit chains are locked in one order
	for _, customer := range works {
		if err := tx.As(customer, func(tx *store.Tx) error { return s.dropSince(tx, before, c) }); err != nil {
			return err
		}
	}
	customer, u, err := s.load(tx, before.User)
	if err != nil {
		return err
	}
	return s.mailReset(tx, customer.DataKey, u, c)
}

// dropSince ends what was made since a person's address changed in one of the customers that they work for, and every link that went out.
func (s *Service) dropSince(tx *store.Tx, before store.MailedToken, c Client) error {
	if err := tx.DropSecondFactorSince(before.User, before.MadeAt); err != nil {
		return err
	}
	if err := tx.RevokeAPIKeysSince(before.User, before.MadeAt); err != nil {
		return err
	}
	if err := tx.VoidUndosSince(before.User, before.MadeAt); err != nil {
		return err
	}
	for _, kind := range []string{"verify", "reset", "change"} {
		if err := tx.VoidEmailTokens(before.User, kind); err != nil {
			return err
		}
	}
	reader := sweep.Actor{Kind: sweep.BySystem, RequestID: c.RequestID, AddressHash: s.addressHash(c)}
	return tx.Audit(store.AuditEntry{Actor: reader, Action: "email.undone", Object: sweep.UserID.Show(before.User)})
}
