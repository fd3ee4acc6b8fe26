package account

import (
	"context"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// carried is a second factor on its way to another customer.
type carried struct {
	person, to sweep.ID
	app        secret.TOTP
	kept       store.FactorKept
}

// takeFactor reads the second factor that a person whose membership is about to end takes along to the customer where signing in will lead from then
// on; nil when there is none, or nowhere to go. Nothing is written before the membership has ended: what is refused changes nothing elsewhere.
func (s *Service) takeFactor(ctx context.Context, from, person sweep.ID) (*carried, error) {
	customers, err := s.DB.Memberships(ctx, person)
	if err != nil {
		return nil, err
	}
	here, c := false, carried{person: person}
	for _, id := range customers {
		here = here || id == from
		if c.to.IsZero() && id != from {
			c.to = id
		}
	}
	if !here || c.to.IsZero() {
		return nil, nil
	}
	err = s.DB.Tenant(ctx, from, func(tx *store.Tx) (err error) {
		if c.kept, err = tx.FactorKept(person); err != nil || !c.kept.On() {
			return err
		}
		box, err := s.box(tx)
		if err != nil {
			return err
		}
		plain, err := box.Open(c.kept.Secret, factorPlace(from, person))
		c.app = plain
		return err
	})
	if err != nil || !c.kept.On() {
		return nil, err
	}
	return &c, nil
}

// bring puts a factor that was taken along in force, unless there is one: nobody who lets people go takes a second factor away from another's
// account. The membership that it comes from has ended by then, so a failure is told in the log and is nobody's answer.
func (s *Service) bring(ctx context.Context, c *carried) {
	if c == nil {
		return
	}
	err := s.DB.Tenant(context.WithoutCancel(ctx), c.to, func(tx *store.Tx) error {
		box, err := s.box(tx)
		if err != nil {
			return err
		}
		if c.kept.Secret, err = box.Seal(c.app, factorPlace(c.to, c.person)); err != nil {
			return err
		}
		brought, err := tx.BringFactor(c.person, c.kept)
		if err != nil || !brought {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: sweep.Actor{Kind: sweep.BySystem, Customer: c.to}, Action: "second_factor.brought", Object: sweep.UserID.Show(c.person)})
	})
	if err != nil {
		s.Log.ErrorContext(ctx, "a second factor was not taken along", "user_id", sweep.UserID.Show(c.person), "customer_id", sweep.CustomerID.Show(c.to), "error", err)
	}
}
