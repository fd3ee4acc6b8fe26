package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

type noted struct{ Entry, Secret string }

func (n *noted) Mask() { n.Secret = "masked" }

// keyed gives a request of the place with a vault that can open its customer's data key.
func (y *yard) keyed(p place, vault *secret.Vault, hash string) *store.Once {
	return &store.Once{Customer: p.customer, Route: "note", Key: "k", Hash: []byte(hash), Status: 201, Vault: vault}
}

func (y *yard) vault(p place) *secret.Vault {
	keys, err := secret.GenerateKeysets()
	require.NoError(y.t, err)
	vault, err := secret.NewVault(keys.Index)
	require.NoError(y.t, err)
	wrapped, err := vault.NewDataKey(p.customer.String())
	require.NoError(y.t, err)
	y.exec("UPDATE customers SET data_key = $2 WHERE id = $1", p.customer.String(), wrapped)
	return vault
}

// note is a use case: an entry in the keep list, under another name each time.
func note(db *store.DB, o *store.Once, t *testing.T) (answer noted, err error) {
	err = db.Tenant(o.In(t.Context()), o.Customer, func(tx *store.Tx) error {
		return tx.Once(&answer, func() error {
			answer = noted{Entry: fmt.Sprintf("%s@example.com", tx.NewID()), Secret: "s3cret"}
			return tx.AddKept([]string{answer.Entry})
		})
	})
	return answer, err
}

// IDM-1: processes that know nothing of each other.
func TestAttemptsInManyProcessesHaveOneEffect(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	p := y.place("a")
	vault := y.vault(p)
	dbs := []*store.DB{openFour(t, y.d, "mailsweep_app"), openFour(t, y.d, "mailsweep_app")}
	var all sync.WaitGroup
	var mu sync.Mutex
	firsts, waits, answers := 0, 0, map[noted]bool{}
	for i := range 50 {
		all.Go(func() {
			o := y.keyed(p, vault, "body")
			answer, err := note(dbs[i%2], o, t)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case sweep.CodeOf(err) == sweep.IdempotencyInFlight:
				waits++
			case err != nil:
				t.Error(err)
			case !o.Again():
				firsts++
				answers[answer] = true
			default:
				answers[answer] = true
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, firsts, "%d waited", waits)
	require.Len(t, answers, 1)
	require.Equal(t, int64(1), ask[int64](y, "SELECT count(*) FROM keep_list"))

	o := y.keyed(p, vault, "body")
	again, err := note(dbs[0], o, t)
	require.NoError(t, err)
	require.True(t, o.Again() && o.Kept() && answers[again])
	_, err = note(dbs[0], y.keyed(p, vault, "other"), t)
	require.Equal(t, sweep.IdempotencyMismatch, sweep.CodeOf(err))
	require.NotContains(t, ask[string](y, "SELECT encode(answer, 'escape') FROM idempotency_keys"), "s3cret", "sealed")
	for age, secret := range map[time.Duration]string{9 * time.Minute: "s3cret", 11 * time.Minute: "masked"} {
		y.exec("UPDATE idempotency_keys SET created_at = now() - make_interval(secs => $1)", age.Seconds())
		again, err = note(dbs[0], y.keyed(p, vault, "body"), t)
		require.NoError(t, err)
		require.Equal(t, secret, again.Secret, age)
	}
}
