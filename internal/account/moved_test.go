package account_test

import (
	"encoding/hex"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// ENC-1: the sealed values of two customers, as they were written, open in their own place alone: none in another row, column or customer.
func TestSealedValuesOpenInTheirOwnPlaceAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var values []testkit.SealedValue
	var customers []sweep.ID
	for _, c := range []struct{ email, first, second string }{{ada, "one@gmail.example", "two@gmail.example"}, {"eve@example.com", "two@gmail.example", "one@gmail.example"}} {
		p, _ := r.withFactor(t, c.email)
		_, err := r.connect(t, p.actor, sweep.ID{}, c.first)
		require.NoError(t, err)
		r.park(t, p.actor, sweep.ID{}, c.second)
		_, err = r.StartConnect(t.Context(), p.actor, sweep.ID{})
		require.NoError(t, err)
		for _, key := range []string{"one", "two"} {
			asked := r.Once(p.actor, account.Asked{Route: "count", Key: key, Status: 200})
			require.NoError(t, r.Keep(t.Context(), asked, map[string]int{"count": 1}))
		}
		customers = append(customers, p.actor.Customer)
	}
	for i, customer := range customers { // mails that went out hold nothing any more
		require.NoError(t, r.ForgotPassword(t.Context(), []string{ada, "eve@example.com"}[i], r.client))
		values = append(values, r.sealedOf(t, customer)...)
	}
	columns := map[string]bool{}
	for _, v := range values {
		columns[v.Table+"."+v.Column] = true
	}
	require.Equal(t, map[string]bool{"customers.data_key": true, "second_factors.secret": true, "oauth_tokens.sealed": true, "oauth_states.verifier": true,
		"oauth_states.granted": true, "outbox.data": true, "idempotency_keys.answer": true}, columns)
	require.Greater(t, testkit.MoveSealed(t, r.database, values), 100)
}

// sealedOf lists what account and store sealed for a customer.
func (r *rig) sealedOf(t *testing.T, customer sweep.ID) (values []testkit.SealedValue) {
	t.Helper()
	var wrapped []byte
	require.NoError(t, r.root.QueryRow(t.Context(), "SELECT data_key FROM customers WHERE id = $1", customer.String()).Scan(&wrapped))
	box, err := r.Vault.Box(wrapped, customer.String())
	require.NoError(t, err)
	add := func(table, column string, key map[string]any, says string, open func([]byte) error) {
		values = append(values, testkit.SealedValue{Table: table, Column: column, Key: key, Says: says, Open: open})
	}
	boxed := func(place string) func([]byte) error {
		return func(sealed []byte) error { _, err := box.Open(sealed, place); return err }
	}
	token := func(place secret.Context) func([]byte) error {
		return func(sealed []byte) error { _, err := r.opener.Open(sealed, place); return err }
	}
	add("customers", "data_key", map[string]any{"id": customer.String()}, "", func(sealed []byte) error {
		_, err := r.Vault.Box(sealed, customer.String())
		return err
	})
	each := func(query string, f func(id string, bytes []byte)) {
		rows, err := r.root.Query(t.Context(), query, customer.String())
		require.NoError(t, err)
		var id string
		var bytes []byte
		_, err = pgx.ForEachRow(rows, []any{&id, &bytes}, func() error {
			f(id, append([]byte{}, bytes...))
			return nil
		})
		require.NoError(t, err)
	}
	of := func(name string, value any) map[string]any {
		return map[string]any{"customer_id": customer.String(), name: value}
	}
	each("SELECT user_id::text, ''::bytea FROM second_factors WHERE customer_id = $1", func(id string, _ []byte) {
		user, err := sweep.ParseUUID(id)
		require.NoError(t, err)
		add("second_factors", "secret", of("user_id", id), "", boxed(account.FactorPlace(customer, user)))
	})
	each("SELECT t.id::text, m.account FROM oauth_tokens t JOIN mailboxes m USING (customer_id) WHERE m.id = t.mailbox_id AND customer_id = $1", func(id string, google []byte) {
		add("oauth_tokens", "sealed", of("id", id), customer.String()+" may use "+hex.EncodeToString(google), token(account.TokenPlace(customer, google)))
	})
	each("SELECT encode(account, 'hex'), hash FROM oauth_states WHERE customer_id = $1 AND granted IS NOT NULL", func(google string, hash []byte) {
		id, err := hex.DecodeString(google)
		require.NoError(t, err)
		add("oauth_states", "granted", of("hash", hash), customer.String()+" may use "+google, token(account.TokenPlace(customer, id)))
	})
	each("SELECT '', hash FROM oauth_states WHERE customer_id = $1 AND used_at IS NULL", func(_ string, hash []byte) {
		add("oauth_states", "verifier", of("hash", hash), "", boxed(account.VerifierPlace(hash)))
	})
	each("SELECT key, ''::bytea FROM idempotency_keys WHERE customer_id = $1", func(key string, _ []byte) {
		add("idempotency_keys", "answer", of("key", key), "", boxed("idempotency_keys|count|"+key))
	})
	each("SELECT id::text, ''::bytea FROM outbox WHERE customer_id = $1 AND data IS NOT NULL", func(id string, _ []byte) {
		post, err := sweep.ParseUUID(id)
		require.NoError(t, err)
		add("outbox", "data", of("id", id), "", func(sealed []byte) error {
			_, err := store.Mailing{ID: post, Data: sealed}.Open(box)
			return err
		})
	})
	return values
}
