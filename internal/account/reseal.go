package account

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Resealer seals anew, under the primary keys, what is sealed under others: refresh tokens, parked or in force, and customers' data keys. What
// is left to do stands in the rows themselves, so that it may be cut off anywhere, and any number may be at it.
type Resealer struct {
	DB     *store.DB
	Opener *secret.TokenOpener
	Vault  *secret.Vault
	Watch  func(place string, ok bool) // each value; nil: nobody
	Log    *slog.Logger
}

// Resealed is what a pass over all customers did.
type Resealed struct {
	Done   int // values
	Failed int // values that could not be opened; they stay as they are
}

const resealPage = 100

// Pass goes over all customers once.
func (r *Resealer) Pass(ctx context.Context) (sum Resealed, err error) {
	err = r.DB.EachCustomer(ctx, resealPage, func(id sweep.ID) error { return r.customer(ctx, id, &sum) })
	return sum, err
}

// customer takes a customer's values, some at a time. Nothing is opened in a transaction: an unknown key may have to be asked for.
func (r *Resealer) customer(ctx context.Context, id sweep.ID, sum *Resealed) error {
	for last := (store.Sealed{}); ; {
		var list []store.Sealed
		err := r.DB.Tenant(ctx, id, func(tx *store.Tx) (err error) {
			list, err = tx.StaleSealed(r.Opener.Primary(), r.Vault.Primary(), last, resealPage)
			return err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		fresh := make([][]byte, len(list))
		for i, s := range list {
			if fresh[i], err = r.seal(id, s); err != nil {
				sum.Failed++
				r.tell(ctx, id, s, err)
			}
		}
		done, err := r.put(ctx, id, list, fresh)
		sum.Done += done
		if err != nil || len(list) < resealPage {
			return err
		}
		last = list[len(list)-1]
	}
}

func (r *Resealer) seal(customer sweep.ID, s store.Sealed) ([]byte, error) {
	if s.Place == store.SealedDataKey {
		return r.Vault.Rewrap(s.Sealed, customer.String())
	}
	return r.Opener.Reseal(s.Sealed, tokenPlace(customer, s.Account))
}

// put writes what was sealed anew, where nobody else wrote meanwhile.
func (r *Resealer) put(ctx context.Context, customer sweep.ID, list []store.Sealed, fresh [][]byte) (done int, err error) {
	var places []string
	err = r.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		places = places[:0]
		for i, s := range list {
			if fresh[i] == nil {
				continue
			}
			ok, err := tx.Reseal(s, fresh[i])
			if err != nil {
				return err
			}
			if ok {
				places = append(places, s.Place)
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("of %s: %w", sweep.CustomerID.Show(customer), err)
	}
	for _, place := range places {
		r.watch(place, true)
	}
	return len(places), nil
}

func (r *Resealer) tell(ctx context.Context, customer sweep.ID, s store.Sealed, err error) {
	r.watch(s.Place, false)
	r.Log.ErrorContext(ctx, "cannot be sealed anew", "customer_id", sweep.CustomerID.Show(customer), "place", s.Place, "row", s.Row, "key", s.Key, "error", err.Error())
}

func (r *Resealer) watch(place string, ok bool) {
	if r.Watch != nil {
		r.Watch(place, ok)
	}
}

// tokenPlace is where the refresh token of a Google account belongs.
func tokenPlace(customer sweep.ID, account []byte) secret.Context {
	return secret.Context{Customer: customer.String(), Provider: "google", Account: hex.EncodeToString(account), Field: "refresh_token"}
}
