package store

import (
	"context"
	"fmt"

	"mailsweep/internal/sweep"
)

// Where something is sealed by a key of a keyset: the first two under the token keyset, the data key under the index keyset.
const (
	SealedToken   = "token"    // a refresh token in force, or one that a newer one stands before
	SealedGrant   = "grant"    // a refresh token that waits for whoever started the connection
	SealedDataKey = "data_key" // the customer's
)

// sealedSQL is everything of a customer that is sealed by a key, with that key; what bears none is left out.
const sealedSQL = `SELECT * FROM (
	SELECT 'token' AS place, t.id::text AS row, m.account, t.sealed, sealed_by(t.sealed) AS key FROM oauth_tokens t
		JOIN mailboxes m ON m.customer_id = t.customer_id AND m.id = t.mailbox_id WHERE t.customer_id = @customer
	UNION ALL SELECT 'grant', encode(hash, 'hex'), account, granted, sealed_by(granted) FROM oauth_states WHERE customer_id = @customer
	UNION ALL SELECT 'data_key', '', NULL, data_key, wrapped_by(data_key) FROM customers WHERE id = @customer) s WHERE key IS NOT NULL `

// Sealed is a value that is sealed by a key. Account is the Google account's, of a token.
type Sealed struct {
	Place, Row string
	Account    []byte
	Sealed     []byte
	Key        int64
}

// StaleSealed lists up to n values that are sealed under other keys than these two, those behind after by place and row.
func (tx *Tx) StaleSealed(token, index uint32, after Sealed, n int) (list []Sealed, err error) {
	err = tx.Raw(sealedSQL+"AND key <> CASE place WHEN 'data_key' THEN CAST(@index AS bigint) ELSE CAST(@token AS bigint) END AND (place, row) > (@place, @row) ORDER BY place, row LIMIT @n",
		map[string]any{"customer": dbID(tx.Customer), "token": token, "index": index, "place": after.Place, "row": after.Row, "n": n}).Scan(&list).Error
	return list, doing(err, "list what is sealed under old keys")
}

// KeyUse is how many values are sealed under a key.
type KeyUse struct {
	Place string
	Key   int64
	N     int
}

// KeyUses counts the customer's values by place and key.
func (tx *Tx) KeyUses() (uses []KeyUse, err error) {
	err = tx.Raw("SELECT place, key, count(*) AS n FROM ("+sealedSQL+") u GROUP BY place, key", map[string]any{"customer": dbID(tx.Customer)}).Scan(&uses).Error
	return uses, doing(err, "count what is sealed by key")
}

// Reseal puts sealed in the place of a value as it was read; false when that has changed or gone meanwhile: what others wrote stays.
func (tx *Tx) Reseal(s Sealed, sealed []byte) (bool, error) {
	query := map[string]string{
		SealedToken:   "UPDATE oauth_tokens SET sealed = @new WHERE customer_id = @customer AND id = CAST(@row AS uuid) AND sealed = @old",
		SealedGrant:   "UPDATE oauth_states SET granted = @new WHERE customer_id = @customer AND hash = decode(@row, 'hex') AND granted = @old",
		SealedDataKey: "UPDATE customers SET data_key = @new WHERE id = @customer AND data_key = @old",
	}[s.Place]
	done := tx.Exec(query, map[string]any{"customer": dbID(tx.Customer), "row": s.Row, "old": dbBytes(s.Sealed), "new": dbBytes(sealed)})
	return done.RowsAffected == 1, doing(done.Error, "seal anew")
}

// RetireKey lets nothing be sealed under a key any more. When it returns, whoever sealed something under it has ended.
func (db *DB) RetireKey(ctx context.Context, keyset string, key uint32) error {
	return db.System(ctx, func(tx *Tx) error {
		if err := tx.Exec("SELECT pg_advisory_xact_lock(hashtextextended('retired_keys', 0))").Error; err != nil {
			return fmt.Errorf("wait for whoever seals: %w", err)
		}
		err := tx.Exec("INSERT INTO retired_keys (keyset, key_id, retired_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", keyset, key, tx.Now).Error
		return doing(err, "retire key")
	})
}

// UnretireKey takes RetireKey back.
func (db *DB) UnretireKey(ctx context.Context, keyset string, key uint32) error {
	return db.System(ctx, func(tx *Tx) error {
		return doing(tx.Exec("DELETE FROM retired_keys WHERE keyset = ? AND key_id = ?", keyset, key).Error, "take key back")
	})
}

// KeyRetired says whether nothing may be sealed under a key.
func (db *DB) KeyRetired(ctx context.Context, keyset string, key uint32) (retired bool, err error) {
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT EXISTS (SELECT FROM retired_keys WHERE keyset = ? AND key_id = ?)", keyset, key).Row().Scan(&retired)
	})
	return retired, doing(err, "look for retired key")
}

// EachCustomer walks all customers by id, so many at a time.
func (db *DB) EachCustomer(ctx context.Context, page int, f func(sweep.ID) error) error {
	for after := (sweep.ID{}); ; {
		ids, err := db.Customers(ctx, after, page)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := f(id); err != nil {
				return err
			}
		}
		if len(ids) < page {
			return nil
		}
		after = ids[len(ids)-1]
	}
}
