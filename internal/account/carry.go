package account

import (
	"context"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// carryFactor lets a person whose membership is about to end take the second factor along to the customer where signing in will lead from then
// on, unless there is one: nobody who lets people go takes a second factor away from another's account. It may be done again.
func (s *Service) carryFactor(ctx context.Context, from, person sweep.ID) error {
	customers, err := s.DB.Memberships(ctx, person)
	if err != nil {
		return err
	}
	here, to := false, sweep.ID{}
	for _, id := range customers {
		here = here || id == from
		if to.IsZero() && id != from {
			to = id
		}
	}
	if !here || to.IsZero() {
		return nil
	}
	var app secret.TOTP
	var f store.FactorKept
	err = s.DB.Tenant(ctx, from, func(tx *store.Tx) (err error) {
		if f, err = tx.FactorKept(person); err != nil || !f.On() {
			return err
		}
		box, err := s.box(tx)
		if err != nil {
			return err
		}
		plain, err := box.Open(f.Secret, factorPlace(from, person))
		app = plain
		return err
	})
	if err != nil || !f.On() {
		return err
	}
	return s.DB.Tenant(ctx, to, func(tx *store.Tx) error {
		box, err := s.box(tx)
		if err != nil {
			return err
		}
		if f.Secret, err = box.Seal(app, factorPlace(to, person)); err != nil {
			return err
		}
		return tx.BringFactor(person, f)
	})
}
