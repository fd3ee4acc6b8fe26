package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mailsweep/internal/mail"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const (
	longestKeyName  = 100
	mostKeys        = 50 // in force, per customer
	mostKeyNetworks = 20
)

// KeyRequest is a wish for an API key. Password and Code prove the person again: a stolen session makes no keys.
type KeyRequest struct {
	Name      string        `json:"name" doc:"For people: what it is for"`
	Scopes    []sweep.Scope `json:"scopes" doc:"What it may do: read, analyze, execute, billing"`
	Networks  []string      `json:"networks,omitempty" doc:"Addresses or prefixes from which it may be used; none: from everywhere"`
	ExpiresAt *time.Time    `json:"expires_at,omitempty"`
	Password  string        `json:"password"`
	Code      string        `json:"code,omitempty" doc:"Of the second factor, where one is set up"`
}

// KeyView is an API key as its customer sees it.
type KeyView struct {
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	Prefix     string        `json:"prefix" doc:"The key begins with it"`
	Scopes     []sweep.Scope `json:"scopes"`
	Networks   []string      `json:"networks"`
	MadeBy     string        `json:"made_by"`
	CreatedAt  time.Time     `json:"created_at"`
	ExpiresAt  *time.Time    `json:"expires_at,omitempty"`
	RevokedAt  *time.Time    `json:"revoked_at,omitempty"`
	LastUsedAt *time.Time    `json:"last_used_at,omitempty" doc:"To the minute"`
	FlaggedAt  *time.Time    `json:"flagged_at,omitempty" doc:"When it was seen in an address, where logs keep it: rotate it"`
}

// NewKey is a key that was just made. Key is shown this once: only its hash is kept.
type NewKey struct {
	KeyView
	Key string `json:"key"`
}

// Format keeps the key out of logs.
func (NewKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// Mask implements store.Masked.
func (k *NewKey) Mask() { k.Key = masked }

// Keys lists the customer's API keys, the newest first.
func (s *Service) Keys(ctx context.Context, a sweep.Actor) ([]KeyView, error) {
	views := []KeyView{}
	err := s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		keys, err := tx.APIKeys()
		for _, k := range keys {
			views = append(views, keyView(k))
		}
		return err
	})
	return views, err
}

func keyView(k store.APIKey) KeyView {
	return KeyView{ID: sweep.KeyID.Show(k.ID), Name: k.Name, Prefix: "swp_live_" + k.ID8, Scopes: sweep.SplitScopes(k.Scopes), Networks: splitNetworks(k.Networks), MadeBy: sweep.UserID.Show(k.User),
		CreatedAt: k.CreatedAt, ExpiresAt: orNil(k.ExpiresAt), RevokedAt: orNil(k.RevokedAt), LastUsedAt: orNil(k.LastUsedAt), FlaggedAt: orNil(k.FlaggedAt)}
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// MakeKey makes an API key, tells its maker by mail, and shows the key this once. Forbidden for viewers and for keys; FeatureNotInPlan;
// Unauthenticated when password or code are wrong, TOTPRequired when the code is missing; Invalid; Conflict beyond 50 keys in force.
func (s *Service) MakeKey(ctx context.Context, a sweep.Actor, r KeyRequest, c Client) (made NewKey, err error) {
	k, err := checkKey(r)
	if err != nil {
		return NewKey{}, err
	}
	if err := mayManageKeys(a); err != nil {
		return NewKey{}, err
	}
	err = s.proven(ctx, a, r.Password, r.Code, c, &made, func(tx *store.Tx, u store.User) error {
		if err := s.mayMakeKeys(tx, sweep.ID{}); err != nil {
			return err
		}
		if !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(tx.Now) {
			return sweep.Errorf(sweep.Invalid, "the key is not valid").At("expires_at", "must be in the future")
		}
		made, err = s.insertKey(tx, a, u, k, c, "api_key.made")
		return err
	})
	return made, err
}

// mayMakeKeys refuses what the plan does not carry, and too many. The one in whose place the new one is made does not count, the others that
// are in their overlap do: rotating again and again makes no more than one beyond the limit.
func (s *Service) mayMakeKeys(tx *store.Tx, replaced sweep.ID) error {
	customer, err := tx.LockCustomer()
	if err != nil {
		return err
	}
	if err := s.Plans.PlanAt(customer.Customer, tx.Now).Require(sweep.APIKeys); err != nil {
		return err
	}
	keys, err := tx.APIKeys()
	inForce := 0
	for _, k := range keys {
		if k.ID != replaced && k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || k.ExpiresAt.After(tx.Now)) {
			inForce++
		}
	}
	if err == nil && inForce >= mostKeys {
		err = sweep.Errorf(sweep.Conflict, "there are %d API keys in force: revoke one first", inForce)
	}
	return err
}

func (s *Service) insertKey(tx *store.Tx, a sweep.Actor, u store.User, k store.APIKey, c Client, action string) (NewKey, error) {
	var key string
	key, k.ID8, k.Hash = secret.NewAPIKey()
	k.ID, k.User, k.CreatedAt = tx.NewID(), u.ID, tx.Now
	if err := tx.InsertAPIKey(k); err != nil {
		return NewKey{}, err
	}
	if err := s.notify(tx, u, mail.KeyCreated, c); err != nil {
		return NewKey{}, err
	}
	return NewKey{keyView(k), key}, tx.Audit(store.AuditEntry{Actor: a, Action: action, Object: sweep.KeyID.Show(k.ID), Data: map[string]any{"scopes": k.Scopes}})
}

// RevokeKey ends a key: at once in this process, within a second in the others. Forbidden for viewers and for keys; NotFound.
func (s *Service) RevokeKey(ctx context.Context, a sweep.Actor, key sweep.ID) error {
	if err := mayManageKeys(a); err != nil {
		return err
	}
	err := s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if _, err := tx.LockAPIKey(key); err != nil {
			return err
		}
		if err := tx.RevokeAPIKey(key); err != nil {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: a, Action: "api_key.revoked", Object: sweep.KeyID.Show(key)})
	})
	s.keys.forget(key)
	return err
}

// Overlap is how long a rotated key goes on beside the one in its place.
type Overlap string

// Overlaps gives their lengths.
func Overlaps() map[Overlap]time.Duration {
	return map[Overlap]time.Duration{"0": 0, "1h": time.Hour, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour}
}

// RotateKey makes a key like another, which ends after the overlap. As MakeKey; NotFound when the other is not in force.
func (s *Service) RotateKey(ctx context.Context, a sweep.Actor, key sweep.ID, o Overlap, password, code string, c Client) (made NewKey, err error) {
	length, known := Overlaps()[o]
	if !known {
		return NewKey{}, sweep.Errorf(sweep.Invalid, "the overlap is not valid").At("overlap", "must be one of 0, 1h, 24h, 7d")
	}
	if err := mayManageKeys(a); err != nil {
		return NewKey{}, err
	}
	err = s.proven(ctx, a, password, code, c, &made, func(tx *store.Tx, u store.User) error {
		if err := s.mayMakeKeys(tx, key); err != nil {
			return err
		}
		old, err := tx.LockAPIKey(key)
		if err != nil {
			return err
		}
		if err := tx.ExpireAPIKey(key, tx.Now.Add(length)); err != nil {
			return err
		}
		made, err = s.insertKey(tx, a, u, store.APIKey{Name: old.Name, Scopes: old.Scopes, Networks: old.Networks, ExpiresAt: old.ExpiresAt}, c, "api_key.rotated")
		return err
	})
	s.keys.forget(key)
	return made, err
}

func mayManageKeys(a sweep.Actor) error {
	if a.Kind != sweep.ByToken {
		return sweep.Errorf(sweep.Forbidden, "a key makes and ends no keys")
	}
	return a.MayRun()
}

// proven does f in a transaction, once, for a person who has proven password and second factor again. f fills in answer.
func (s *Service) proven(ctx context.Context, a sweep.Actor, password, code string, c Client, answer any, f func(*store.Tx, store.User) error) error {
	u, err := s.prove(ctx, a, password, c)
	if err != nil {
		return err
	}
	leave, gates, err := s.atCodes(ctx, a.User)
	if err != nil {
		return err
	}
	defer leave()
	var owes error
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if err := unchanged(tx, u); err != nil {
			return err
		}
		return tx.Once(answer, func() error {
			factor, err := tx.SecondFactor(u.ID)
			if err == nil && factor.On && code == "" {
				err = sweep.Errorf(sweep.TOTPRequired, "give the code of your authenticator app too")
			}
			if err != nil {
				return err
			}
			if owes, err = s.second(tx, u, code, c); err != nil || owes != nil {
				return errors.Join(err, owes) // a wrong code has written nothing
			}
			return f(tx, u)
		})
	})
	if sweep.CodeOf(owes) == sweep.Unauthenticated {
		s.failed(ctx, gates, c)
		return owes
	}
	return err
}

func checkKey(r KeyRequest) (k store.APIKey, err error) {
	k.Name = strings.TrimSpace(r.Name)
	if n := utf8.RuneCountInString(k.Name); n < 1 || n > longestKeyName || strings.ContainsFunc(k.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return k, sweep.Errorf(sweep.Invalid, "the key is not valid").At("name", "must be a text of 1 to 100 characters on one line")
	}
	if k.Scopes, err = sweep.JoinScopes(r.Scopes); err != nil {
		return k, err
	}
	if k.Networks, err = joinNetworks(r.Networks); err != nil {
		return k, err
	}
	if r.ExpiresAt != nil {
		k.ExpiresAt = *r.ExpiresAt
	}
	return k, nil
}

// joinNetworks brings addresses and prefixes into their one spelling.
func joinNetworks(list []string) (string, error) {
	bad := sweep.Errorf(sweep.Invalid, "the networks are not valid").At("networks", fmt.Sprintf("must be at most %d addresses or prefixes such as 192.0.2.0/24", mostKeyNetworks))
	if len(list) > mostKeyNetworks {
		return "", bad
	}
	var words []string
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if a, e := netip.ParseAddr(text); e == nil {
			a = a.Unmap().WithZone("")
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil || p.Addr().Is4In6() {
			return "", bad
		}
		words = append(words, p.Masked().String())
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ","), nil
}

// splitNetworks reads what joinNetworks wrote.
func splitNetworks(joined string) []string {
	if joined == "" {
		return []string{}
	}
	return strings.Split(joined, ",")
}

// within says whether an address is in one of the joined networks; in none at all everybody is.
func within(networks string, ip netip.Addr) bool {
	if networks == "" {
		return true
	}
	for text := range strings.SplitSeq(networks, ",") {
		if p, err := netip.ParsePrefix(text); err == nil && p.Contains(ip.Unmap().WithZone("")) {
			return true
		}
	}
	return false
}
