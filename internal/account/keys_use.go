package account

import (
	"context"
	"crypto/sha256"
	"time"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// authenticateKey tells whose key it is: what its scopes, its networks and its maker's role allow is looked at every second at least, and
// nothing about them stands in the key. Unauthenticated, also from where it may not be used; AccountSuspended; FeatureNotInPlan;
// IPNotAllowed; FactorRequired.
func (s *Service) authenticateKey(ctx context.Context, key string, c Client) (sweep.Actor, error) {
	bad := sweep.Errorf(sweep.Unauthenticated, "the API key is not valid, or not from this address")
	customer, id, err := s.keyOwner(ctx, key)
	if err != nil {
		return sweep.Actor{}, err
	}
	if id.IsZero() {
		return sweep.Actor{}, bad
	}
	k, err := s.keyStanding(ctx, customer, id)
	if sweep.CodeOf(err) == sweep.NotFound {
		return sweep.Actor{}, bad
	}
	if err != nil {
		return sweep.Actor{}, err
	}
	if !k.Customer.DeletedAt.IsZero() || !k.InForce || !within(k.Networks, c.IP) {
		return sweep.Actor{}, bad
	}
	if !k.Customer.SuspendedAt.IsZero() {
		return sweep.Actor{}, suspended()
	}
	plan := s.Plans.PlanAt(k.Customer, k.Now)
	if err := plan.Require(sweep.APIKeys); err != nil {
		return sweep.Actor{}, err
	}
	if err := s.admitted(k.Customer, k.Allowlist, k.Now, c); err != nil {
		return sweep.Actor{}, err
	}
	if k.Require2FA && !k.SecondFactor && plan.Has(sweep.Enforce2FA) {
		return sweep.Actor{}, sweep.Errorf(sweep.FactorRequired, "this account demands a second factor: whoever made this key has none")
	}
	a := s.actor(customer, id, plan.RoleOf(k.Role, k.Rank), c)
	a.Kind, a.Scopes = sweep.ByKey, sweep.SplitScopes(k.Scopes)
	return a, s.noteUse(ctx, a, k)
}

// keyOwner finds a key's customer; what is no sound key is not looked for.
func (s *Service) keyOwner(ctx context.Context, key string) (customer, id sweep.ID, err error) {
	if !secret.SoundAPIKey(key) {
		return customer, id, nil
	}
	hash := sha256.Sum256([]byte(key))
	if owner, ok := s.keys.owner(hash); ok {
		return owner[0], owner[1], nil
	}
	customer, id, err = s.DB.APIKeyOwner(ctx, hash[:])
	if err == nil && !id.IsZero() {
		s.keys.keepOwner(hash, customer, id)
	}
	return customer, id, err
}

func (s *Service) keyStanding(ctx context.Context, customer, id sweep.ID) (store.KeyStanding, error) {
	if k, _, ok := s.keys.standing(id); ok {
		return k, nil
	}
	asked := time.Now()
	k, err := s.DB.KeyStanding(ctx, customer, id)
	if err == nil {
		s.keys.keep(id, k, asked)
	}
	return k, err
}

// noteUse writes the last use down once a minute.
func (s *Service) noteUse(ctx context.Context, a sweep.Actor, k store.KeyStanding) error {
	if k.Now.Sub(k.Used) < time.Minute {
		return nil
	}
	s.keys.change(a.User, func(kept *store.KeyStanding) { kept.Used = k.Now })
	return s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error { return tx.UseAPIKey(a.User) })
}

// SeenInAddress marks a key that came in an address, where logs and caches keep it. Whose it is shows in nothing.
func (s *Service) SeenInAddress(ctx context.Context, key string, c Client) error {
	customer, id, err := s.keyOwner(ctx, key)
	if err != nil || id.IsZero() {
		return err
	}
	return s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		first, err := tx.FlagAPIKey(id)
		if err != nil || !first {
			return err
		}
		stranger := sweep.Actor{Kind: sweep.BySystem, RequestID: c.RequestID, AddressHash: s.addressHash(c)}
		return tx.Audit(store.AuditEntry{Actor: stranger, Action: "api_key.flagged", Object: sweep.KeyID.Show(id)})
	})
}
