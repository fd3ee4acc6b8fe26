package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const (
	challengeLife  = 5 * time.Minute
	challengeTries = 5
	appName        = "Mailsweep" // in the list of an authenticator app
)

// FactorOffer is what an authenticator app needs to begin: the secret as text, as the app's URL, and that as a picture.
type FactorOffer struct {
	Secret  string `json:"secret"`
	URL     string `json:"otpauth_url"`
	Picture []byte `json:"qr_png" doc:"The URL as a QR code, a PNG in base64"`
}

// Format keeps the secret out of logs.
func (FactorOffer) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// FactorOn is what a person gets who has turned the second factor on, once: the codes are stored as hashes. All other sessions end,
// this one is new.
type FactorOn struct {
	RecoveryCodes []string `json:"recovery_codes" doc:"Each signs in once in place of the app's code"`
	Session       *Session `json:"session,omitempty"`
}

// Format keeps the codes out of logs.
func (FactorOn) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// Mask implements store.Masked.
func (o *FactorOffer) Mask() { o.Secret, o.URL, o.Picture = masked, masked, []byte{} }

// Mask implements store.Masked.
func (o *FactorOn) Mask() {
	for i := range o.RecoveryCodes {
		o.RecoveryCodes[i] = masked
	}
	if o.Session != nil {
		o.Session.Mask()
	}
}

// OfferFactor makes a secret for the app of a person, who proves their password again. Nothing is asked for before ConfirmFactor.
// Unauthenticated; Conflict when a second factor is on.
func (s *Service) OfferFactor(ctx context.Context, a sweep.Actor, password string, c Client) (offer FactorOffer, err error) {
	u, err := s.prove(ctx, a, password, c)
	if err != nil {
		return offer, err
	}
	app := secret.NewTOTP()
	picture, err := app.Picture(appName, u.Email)
	if err != nil {
		return offer, err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if err := unchanged(tx, u); err != nil {
			return err
		}
		return tx.Once(&offer, func() error {
			offer = FactorOffer{Secret: app.Text(), URL: app.URL(appName, u.Email), Picture: picture}
			return s.keepOffer(tx, a.User, app)
		})
	})
	return offer, err
}

// keepOffer stores the secret of an app that is not confirmed yet.
func (s *Service) keepOffer(tx *store.Tx, user sweep.ID, app secret.TOTP) error {
	box, err := s.box(tx)
	if err != nil {
		return err
	}
	sealed, err := box.Seal(app, factorPlace(tx.Customer, user))
	if err != nil {
		return err
	}
	offered, err := tx.OfferSecondFactor(user, sealed)
	if err == nil && !offered {
		err = sweep.Errorf(sweep.Conflict, "a second factor is on already: turn it off first")
	}
	return err
}

// factorPlace binds a sealed secret to its row.
func factorPlace(customer, user sweep.ID) string {
	return customer.String() + "|second_factors|" + user.String() + "|secret|v1"
}

func (s *Service) box(tx *store.Tx) (*secret.Box, error) {
	customer, err := tx.LoadCustomer()
	if err != nil {
		return nil, err
	}
	return s.Vault.Box(customer.DataKey, tx.Customer.String())
}

// ConfirmFactor turns the second factor on with the first right code of the app. Unauthenticated when it is wrong; Conflict when
// there is nothing to confirm.
func (s *Service) ConfirmFactor(ctx context.Context, a sweep.Actor, code string, c Client) (on FactorOn, err error) {
	err = s.guarded(ctx, a, c, &on, func(tx *store.Tx, f store.SecondFactor) (bool, error) {
		if f.Secret == nil || f.On {
			return false, sweep.Errorf(sweep.Conflict, "there is no second factor to confirm")
		}
		ok, err := s.takeTOTP(tx, a.User, f, code)
		if err != nil || !ok {
			return false, err
		}
		if on.RecoveryCodes, err = s.keepCodes(tx, a.User); err != nil {
			return false, err
		}
		session, err := s.anew(tx, a, c, "second_factor.on", mail.FactorOn)
		on.Session = &session
		return true, err
	})
	return on, err
}

// RenewRecoveryCodes voids the recovery codes of a person who proves password and code, and makes new ones. Unauthenticated; Conflict
// without a second factor.
func (s *Service) RenewRecoveryCodes(ctx context.Context, a sweep.Actor, password, code string, c Client) (on FactorOn, err error) {
	u, err := s.prove(ctx, a, password, c)
	if err != nil {
		return FactorOn{}, err
	}
	err = s.guarded(ctx, a, c, &on, func(tx *store.Tx, f store.SecondFactor) (bool, error) {
		ok, err := s.takeCode(tx, a.User, f, code)
		if err != nil || !ok {
			return false, err
		}
		if on.RecoveryCodes, err = s.keepCodes(tx, a.User); err != nil {
			return false, err
		}
		if err := s.notify(tx, u, mail.CodesMade, c); err != nil {
			return false, err
		}
		return true, tx.Audit(store.AuditEntry{Actor: a, Action: "recovery_codes.made", Object: sweep.UserID.Show(a.User)})
	})
	return on, err
}

// DropFactor turns the second factor off, for a person who proves password and code; every other session ends. Unauthenticated;
// Conflict without one; Forbidden where the customer demands one.
func (s *Service) DropFactor(ctx context.Context, a sweep.Actor, password, code string, c Client) (session Session, err error) {
	if _, err := s.prove(ctx, a, password, c); err != nil {
		return Session{}, err
	}
	err = s.guarded(ctx, a, c, &session, func(tx *store.Tx, f store.SecondFactor) (bool, error) {
		demanded, err := s.demanded(tx)
		if err != nil {
			return false, err
		}
		if demanded {
			return false, sweep.Errorf(sweep.Forbidden, "this account demands a second factor of everybody")
		}
		ok, err := s.takeCode(tx, a.User, f, code)
		if err != nil || !ok {
			return false, err
		}
		if err := tx.DropSecondFactor(a.User); err != nil {
			return false, err
		}
		session, err = s.anew(tx, a, c, "second_factor.off", mail.FactorOff)
		return true, err
	})
	return session, err
}

// demanded says whether every member of the customer must have a second factor: only while the plan carries that.
func (s *Service) demanded(tx *store.Tx) (bool, error) {
	customer, err := tx.LoadCustomer()
	return customer.Require2FA && s.Plans.PlanAt(customer.Customer, tx.Now).Has(sweep.Enforce2FA), err
}

// guarded runs f once, which says whether a code was right and fills in answer, and counts for the person when it was not.
func (s *Service) guarded(ctx context.Context, a sweep.Actor, c Client, answer any, f func(*store.Tx, store.SecondFactor) (bool, error)) error {
	leave, gates, err := s.atCodes(ctx, a.User)
	if err != nil {
		return err
	}
	defer leave()
	wrong := wrongCode()
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if _, err := tx.LockUser(a.User); err != nil { // as whoever offers a secret or signs in: the user's row first, then the factor's
			return err
		}
		return tx.Once(answer, func() error {
			factor, err := tx.SecondFactor(a.User)
			if err != nil {
				return err
			}
			right, err := f(tx, factor)
			if err == nil && !right {
				err = wrong // it has written nothing
			}
			return err
		})
	})
	if errors.Is(err, wrong) {
		s.failed(ctx, gates, c)
	}
	s.forget(a.Customer, a.User)
	return err
}

// wrongCode is the one answer to a code that is wrong, old or used.
func wrongCode() error {
	return sweep.Errorf(sweep.Unauthenticated, "the code is wrong or was used: wait for the next one")
}

// takeCode uses a code of the app or a recovery code up; false when it is neither.
func (s *Service) takeCode(tx *store.Tx, user sweep.ID, f store.SecondFactor, code string) (bool, error) {
	if !f.On {
		return false, sweep.Errorf(sweep.Conflict, "there is no second factor")
	}
	if secret.IsTOTP(code) {
		return s.takeTOTP(tx, user, f, code)
	}
	return tx.TakeRecoveryCode(user, secret.RecoveryHash(f.Salt, code))
}

func (s *Service) takeTOTP(tx *store.Tx, user sweep.ID, f store.SecondFactor, code string) (bool, error) {
	box, err := s.box(tx)
	if err != nil {
		return false, err
	}
	plain, err := box.Open(f.Secret, factorPlace(tx.Customer, user))
	if err != nil {
		return false, err
	}
	step, err := secret.TOTP(plain).Step(code, tx.Now)
	if err != nil || step == 0 {
		return false, err
	}
	return tx.TakeStep(user, step)
}

func (s *Service) keepCodes(tx *store.Tx, user sweep.ID) ([]string, error) {
	codes, hashes, salt := secret.NewRecoveryCodes()
	return codes, tx.KeepRecoveryCodes(user, hashes, salt)
}

// anew ends every token of the actor, tells them why, and begins a session in their place.
func (s *Service) anew(tx *store.Tx, a sweep.Actor, c Client, action string, event mail.Event) (Session, error) {
	if err := tx.EndTokens(a.User); err != nil {
		return Session{}, err
	}
	u, err := tx.User(a.User)
	if err != nil {
		return Session{}, err
	}
	if err := s.notify(tx, u, event, c); err != nil {
		return Session{}, err
	}
	return s.begin(tx, a.User, c, action)
}
