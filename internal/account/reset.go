package account

import (
	"context"
	"fmt"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// resetWithin is how long the mail for a new password is good for.
const resetWithin = 30 * time.Minute

// Reset is what a device gets that has set a new password: no session, but what lets it sign in whatever strangers try meanwhile.
type Reset struct {
	Device string `json:"device" doc:"Send it with the sign-in that follows"`
}

// Format keeps it out of logs.
func (Reset) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// ForgotPassword mails a link to set a new password, which voids the older ones, to whoever an address belongs to: three an hour per
// address and ten per caller's address have an effect. Nobody learns from the answer or its time whether one had. Invalid when it is no
// address.
func (s *Service) ForgotPassword(ctx context.Context, email string, c Client) error {
	email, err := canonicalEmail(email)
	if err != nil {
		return err
	}
	defer hide(ctx, time.Now())
	if ok, err := s.mayReset(ctx, email, c); err != nil || !ok {
		return err
	}
	return s.atAddress(ctx, email, func(tx *store.Tx, who store.Customer, u store.User) error {
		if err := s.mailReset(tx, who.DataKey, u, c); err != nil {
			return err
		}
		stranger := sweep.Actor{Kind: sweep.BySystem, RequestID: c.RequestID, AddressHash: s.addressHash(c)}
		return tx.Audit(store.AuditEntry{Actor: stranger, Action: "password.forgotten", Object: sweep.UserID.Show(u.ID)})
	})
}

// mailReset posts a link to set a new password, which voids the older ones.
func (s *Service) mailReset(tx *store.Tx, dataKey []byte, u store.User, c Client) error {
	if err := tx.VoidEmailTokens(u.ID, "reset"); err != nil {
		return err
	}
	token, hash := secret.NewToken()
	err := tx.InsertEmailToken(store.EmailToken{ID: tx.NewID(), User: u.ID, Kind: "reset", Hash: hash, Email: u.Email, ExpiresAt: tx.Now.Add(resetWithin)})
	if err != nil {
		return err
	}
	return s.post(tx, dataKey, u.ID, mail.PasswordReset, mail.Data{Name: u.Name, Token: token}, c.RequestID)
}

// mayReset counts by the caller's address first: who asks for many addresses uses nobody else's allowance up.
func (s *Service) mayReset(ctx context.Context, email string, c Client) (bool, error) {
	d, err := s.Requests.AllowIn(ctx, "forgot:ip:"+s.network(c, 32, 64), or(s.Limits.ResetsPerHourPerIP, 10), time.Hour, 1)
	if err != nil || !d.Allowed {
		return false, err
	}
	d, err = s.Requests.AllowIn(ctx, fmt.Sprintf("forgot:%x", s.Pseudonym.Of("email", email)), 3, time.Hour, 1)
	return d.Allowed, err
}

// ResetPassword sets the password of whom the newest reset mail went to, once, within 30 minutes, proves the address with that (what a
// sign-up chose that nobody had confirmed is void then), and ends every session, token, challenge and link of theirs; a second factor stays on and nobody is signed in. BadRequest when the token is not
// good (any more); Invalid when the password is not good, and the token stays good; Unavailable when too many hash passwords at once.
func (s *Service) ResetPassword(ctx context.Context, token, password string, c Client) (Reset, error) {
	bad := sweep.Errorf(sweep.BadRequest, "this link is not valid any more: ask for another")
	customer, id, err := s.DB.EmailTokenOwner(ctx, secret.HashToken(token), "reset")
	if err != nil {
		return Reset{}, err
	}
	if id.IsZero() {
		return Reset{}, bad
	}
	u, err := s.holderOf(ctx, customer, id)
	if err != nil {
		return Reset{}, err
	}
	if u.ID.IsZero() {
		return Reset{}, bad
	}
	if u.VerifiedAt.IsZero() {
		u.Name = "" // whoever chose it
	}
	hash, err := s.newPassword(ctx, password, u)
	if err != nil {
		return Reset{}, err
	}
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		ok, err := s.spendReset(tx, id, u)
		if err == nil && ok {
			ok, err = tx.SetPassword(u.ID, u.Email, hash)
		}
		if err != nil {
			return err
		}
		if !ok {
			return bad
		}
		return s.changed(tx, u, c, "password.reset")
	})
	if err != nil {
		return Reset{}, err
	}
	s.forget(customer, u.ID)
	u.PasswordVersion++ // as SetPassword left it
	device, err := s.newDevice(customer, u)
	return Reset{Device: device}, err
}

// spendReset uses a reset mail's token of u, and proves the address of who has not done so: in the lock order of such people, the customer first.
func (s *Service) spendReset(tx *store.Tx, token sweep.ID, u store.User) (ok bool, err error) {
	unproven := u.VerifiedAt.IsZero()
	if unproven {
		if _, err := tx.LockCustomer(); err != nil {
			return false, orBadLink(err)
		}
	}
	user, email, ok, err := tx.UseEmailToken(token)
	if err == nil && ok && unproven {
		ok, err = s.confirm(tx, user, email, "")
	}
	return ok, err
}

// holderOf reads whose a good token is; the zero user when it is not good.
func (s *Service) holderOf(ctx context.Context, customer, token sweep.ID) (u store.User, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		user, err := tx.EmailTokenHolder(token)
		if err != nil || user.IsZero() {
			return err
		}
		u, err = tx.User(user)
		return err
	})
	return u, err
}

// newPassword checks a password that a known user chose and gives its stored form.
func (s *Service) newPassword(ctx context.Context, password string, u store.User) (string, error) {
	if err := s.Passwords.Check(password, u.Email, u.Name); err != nil {
		return "", sweep.Errorf(sweep.Invalid, "the password is not good").At("password", err.Error())
	}
	return s.Passwords.Hash(ctx, password)
}

// changed is what follows every new password: links that went out before are void, the owner is told, and it is written down.
func (s *Service) changed(tx *store.Tx, u store.User, c Client, action string) error {
	for _, kind := range []string{"verify", "reset", "change"} {
		if err := tx.VoidEmailTokens(u.ID, kind); err != nil {
			return err
		}
	}
	if err := s.notify(tx, u, mail.PasswordChanged, c); err != nil {
		return err
	}
	return tx.Audit(store.AuditEntry{Actor: s.actor(tx.Customer, u.ID, u.Role, c), Action: action, Object: sweep.UserID.Show(u.ID)})
}

// ChangePassword sets another password for a person who proves the one in force. Every other session and link ends; the answer is a new
// one. Unauthenticated; Invalid.
func (s *Service) ChangePassword(ctx context.Context, a sweep.Actor, current, password string, c Client) (session Session, err error) {
	u, err := s.prove(ctx, a, current, c)
	if err != nil {
		return Session{}, err
	}
	hash, err := s.newPassword(ctx, password, u)
	if err != nil {
		return Session{}, err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if err := unchanged(tx, u); err != nil {
			return err
		}
		return tx.Once(&session, func() error {
			ok, err := tx.SetPassword(u.ID, u.Email, hash)
			if err != nil {
				return err
			}
			if !ok {
				return sweep.Errorf(sweep.Conflict, "the address was changed meanwhile: sign in again")
			}
			if err := s.changed(tx, u, c, "password.changed"); err != nil {
				return err
			}
			session, err = s.begin(tx, u.ID, c, "user.signed_in")
			return err
		})
	})
	s.forget(a.Customer, a.User)
	return session, err
}
