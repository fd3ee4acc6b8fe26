package account

import (
	"context"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Demands are what a customer asks of its people.
type Demands struct {
	Require2FA bool `json:"require_2fa"`
}

// Demands tells what the actor's customer asks of its people.
func (s *Service) Demands(ctx context.Context, a sweep.Actor) (d Demands, err error) {
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		customer, err := tx.LoadCustomer()
		d.Require2FA = customer.Require2FA
		return err
	})
	return d, err
}

// Demand sets what the customer asks of its people. Who has no second factor while one is demanded can do nothing but set one up.
// Forbidden but for owners; SignInAgain; FeatureNotInPlan; Conflict for an owner without a second factor of their own.
func (s *Service) Demand(ctx context.Context, a sweep.Actor, d Demands) error {
	if a.Kind != sweep.ByToken || a.Role != sweep.Owner {
		return sweep.Errorf(sweep.Forbidden, "only an owner can do this")
	}
	err := s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if err := a.ProvenLately(tx.Now); err != nil {
			return err
		}
		customer, err := tx.LockCustomer()
		if err != nil {
			return err
		}
		if d.Require2FA {
			if err := s.mayDemand(tx, customer, a.User); err != nil {
				return err
			}
		}
		if err := tx.RequireSecondFactor(d.Require2FA); err != nil {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: a, Action: "demands.changed", Object: sweep.CustomerID.Show(a.Customer),
			Data: map[string]any{"require_2fa": d.Require2FA, "was": customer.Require2FA}})
	})
	s.forget(a.Customer, a.User)
	return err
}

func (s *Service) mayDemand(tx *store.Tx, customer store.Customer, user sweep.ID) error {
	if err := s.Plans.PlanAt(customer.Customer, tx.Now).Require(sweep.Enforce2FA); err != nil {
		return err
	}
	own, err := tx.SecondFactor(user)
	if err == nil && !own.On {
		err = sweep.Errorf(sweep.Conflict, "set up a second factor of your own first: you would lock yourself out")
	}
	return err
}

// OwesFactor says whether the actor's customer demands a second factor that the actor does not have, as of a second ago at most. Of a
// key Authenticate asks that of its maker.
func (s *Service) OwesFactor(ctx context.Context, a sweep.Actor) (bool, error) {
	if a.Kind != sweep.ByToken {
		return false, nil
	}
	m, err := s.member(ctx, claimed{Customer: a.Customer, User: a.User})
	return err == nil && m.Require2FA && !m.SecondFactor && s.Plans.PlanAt(m.Customer, m.Now).Has(sweep.Enforce2FA), err
}
