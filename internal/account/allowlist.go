package account

import (
	"context"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Allowlist is from where an account may be used at all, by people and by keys: addresses and prefixes. None: from everywhere.
type Allowlist struct {
	Networks []string `json:"networks"`
}

// Allowlist tells the actor's customer's.
func (s *Service) Allowlist(ctx context.Context, a sweep.Actor) (list Allowlist, err error) {
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		joined, err := tx.Allowlist()
		list.Networks = splitNetworks(joined)
		return err
	})
	return list, err
}

// PutAllowlist replaces it and gives it as stored: it holds within a second. Forbidden but for owners; SignInAgain;
// FeatureNotInPlan; Invalid; Conflict for a list that would keep its author out, unless force.
func (s *Service) PutAllowlist(ctx context.Context, a sweep.Actor, list Allowlist, force bool, c Client) (Allowlist, error) {
	if a.Kind != sweep.ByToken || a.Role != sweep.Owner {
		return Allowlist{}, sweep.Errorf(sweep.Forbidden, "only an owner can do this")
	}
	joined, err := joinNetworks(list.Networks)
	if err != nil {
		return Allowlist{}, err
	}
	if !within(joined, c.IP) && !force {
		return Allowlist{}, sweep.Errorf(sweep.Conflict, "this list would keep you out: your own address is not in it; set force if that is meant")
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if err := a.ProvenLately(tx.Now); err != nil { // a session that somebody took must not shut its owner out
			return err
		}
		customer, err := tx.LockCustomer()
		if err != nil {
			return err
		}
		if joined != "" {
			if err := s.Plans.PlanAt(customer.Customer, tx.Now).Require(sweep.IPAllowlist); err != nil {
				return err
			}
		}
		was, err := tx.Allowlist()
		if err != nil {
			return err
		}
		if err := tx.PutAllowlist(joined); err != nil {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: a, Action: "ip_allowlist.replaced", Object: sweep.CustomerID.Show(a.Customer),
			Data: map[string]any{"networks": len(splitNetworks(joined)), "had": len(splitNetworks(was)), "forced": force}})
	})
	s.forget(a.Customer, a.User)
	return Allowlist{Networks: splitNetworks(joined)}, err
}

// admitted refuses who is outside the customer's allowlist, while the plan carries one. now is when the customer was so.
func (s *Service) admitted(customer sweep.Customer, joined string, now time.Time, c Client) error {
	if within(joined, c.IP) || !s.Plans.PlanAt(customer, now).Has(sweep.IPAllowlist) {
		return nil
	}
	return sweep.Errorf(sweep.IPNotAllowed, "this account may not be used from your address: its owner has listed where it may")
}
