package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mailsweep/internal/sweep"
)

// APIKey is a key as its customer sees it; the key itself is not kept.
type APIKey struct {
	ID, User   sweep.ID
	Name, ID8  string
	Hash       []byte // of InsertAPIKey only
	Scopes     string // as sweep.JoinScopes writes them
	Networks   string // prefixes joined by commas; "": everywhere
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	RevokedAt  time.Time // zero: in force
	LastUsedAt time.Time // zero: never; to the minute
	FlaggedAt  time.Time // zero: never seen in an address
}

// InsertAPIKey adds a key.
func (tx *Tx) InsertAPIKey(k APIKey) error {
	err := tx.Exec(`INSERT INTO api_keys (customer_id, id, user_id, name, id8, hash, scopes, networks, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		dbID(tx.Customer), dbID(k.ID), dbID(k.User), k.Name, k.ID8, dbBytes(k.Hash), k.Scopes, k.Networks, tx.Now, orNull(k.ExpiresAt)).Error
	return doing(err, "insert API key")
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type apiKeyRow struct {
	ID, UserID                                  dbID
	Name, ID8, Scopes, Networks                 string
	CreatedAt                                   time.Time
	ExpiresAt, RevokedAt, LastUsedAt, FlaggedAt *time.Time
}

const apiKeySQL = "SELECT id, user_id, name, id8, scopes, networks, created_at, expires_at, revoked_at, last_used_at, flagged_at FROM api_keys WHERE customer_id = ?"

func (r apiKeyRow) value() APIKey {
	return APIKey{ID: sweep.ID(r.ID), User: sweep.ID(r.UserID), Name: r.Name, ID8: r.ID8, Scopes: r.Scopes, Networks: r.Networks, CreatedAt: r.CreatedAt.UTC(),
		ExpiresAt: instant(r.ExpiresAt), RevokedAt: instant(r.RevokedAt), LastUsedAt: instant(r.LastUsedAt), FlaggedAt: instant(r.FlaggedAt)}
}

// APIKeys lists the customer's, the newest first, revoked ones too.
func (tx *Tx) APIKeys() (keys []APIKey, err error) {
	var rows []apiKeyRow
	err = tx.Raw(apiKeySQL+" ORDER BY id DESC", dbID(tx.Customer)).Scan(&rows).Error
	for _, r := range rows {
		keys = append(keys, r.value())
	}
	return keys, doing(err, "list API keys")
}

// LockAPIKey reads one that is in force, and locks it. NotFound.
func (tx *Tx) LockAPIKey(id sweep.ID) (APIKey, error) {
	var r apiKeyRow
	found := tx.Raw(apiKeySQL+" AND id = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?) FOR UPDATE", dbID(tx.Customer), dbID(id), tx.Now).Scan(&r)
	if found.Error == nil && found.RowsAffected == 0 {
		return APIKey{}, sweep.Errorf(sweep.NotFound, "there is no such API key in force")
	}
	return r.value(), doing(found.Error, "read API key")
}

// RevokeAPIKey ends a key now.
func (tx *Tx) RevokeAPIKey(id sweep.ID) error {
	return doing(tx.Exec("UPDATE api_keys SET revoked_at = ? WHERE customer_id = ? AND id = ?", tx.Now, dbID(tx.Customer), dbID(id)).Error, "revoke API key")
}

// RevokeAPIKeys ends all of the customer's keys now.
func (tx *Tx) RevokeAPIKeys() error {
	return doing(tx.Exec("UPDATE api_keys SET revoked_at = ? WHERE customer_id = ? AND revoked_at IS NULL", tx.Now, dbID(tx.Customer)).Error, "revoke API keys")
}

// RevokeAPIKeysSince ends those keys now that a person made at a time or later.
func (tx *Tx) RevokeAPIKeysSince(user sweep.ID, since time.Time) error {
	err := tx.Exec("UPDATE api_keys SET revoked_at = ? WHERE customer_id = ? AND user_id = ? AND created_at >= ? AND revoked_at IS NULL",
		tx.Now, dbID(tx.Customer), dbID(user), since).Error
	return doing(err, "revoke new API keys")
}

// ExpireAPIKey lets a key end at a time, if it would not end before.
func (tx *Tx) ExpireAPIKey(id sweep.ID, at time.Time) error {
	err := tx.Exec("UPDATE api_keys SET expires_at = least(expires_at, ?::timestamptz) WHERE customer_id = ? AND id = ?", at, dbID(tx.Customer), dbID(id)).Error
	return doing(err, "expire API key")
}

// FlagAPIKey notes that a key was seen in an address.
func (tx *Tx) FlagAPIKey(id sweep.ID) (first bool, err error) {
	done := tx.Exec("UPDATE api_keys SET flagged_at = ? WHERE customer_id = ? AND id = ? AND flagged_at IS NULL", tx.Now, dbID(tx.Customer), dbID(id))
	return done.RowsAffected == 1, doing(done.Error, "flag API key")
}

// UseAPIKey notes a use, at most once a minute.
func (tx *Tx) UseAPIKey(id sweep.ID) error {
	err := tx.Exec("UPDATE api_keys SET last_used_at = ? WHERE customer_id = ? AND id = ? AND (last_used_at IS NULL OR last_used_at <= ?)",
		tx.Now, dbID(tx.Customer), dbID(id), tx.Now.Add(-time.Minute)).Error
	return doing(err, "note use of API key")
}

// APIKeyOwner finds whose key a hash is, before the tenant is known; zero ids when nobody's.
func (db *DB) APIKeyOwner(ctx context.Context, hash []byte) (customer, key sweep.ID, err error) {
	var row struct{ CustomerID, KeyID dbID }
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT customer_id, key_id FROM lookup.api_key(?)", dbBytes(hash)).Scan(&row).Error
	})
	return sweep.ID(row.CustomerID), sweep.ID(row.KeyID), doing(err, "look up API key")
}

// KeyStanding is what a key is compared with when it is used, and what its holder may use.
type KeyStanding struct {
	Role             sweep.Role // its maker's
	Rank             int        // its maker's, as in User
	Scopes, Networks string
	Allowlist        string // the customer's, as in Membership
	Require2FA       bool   // as in Membership
	SecondFactor     bool   // its maker has one
	InForce          bool
	Used             time.Time // the last use that was noted
	Customer         sweep.Customer
	Now              time.Time // when it was so
}

// KeyStanding reads a key's in one round trip. NotFound when its maker is no member any more.
func (db *DB) KeyStanding(ctx context.Context, customer, key sweep.ID) (k KeyStanding, err error) {
	found := false
	err = db.batch(ctx, customer, func(q *pgx.Batch) {
		q.Queue(`SELECT m.role, `+rankSQL+`, k.scopes, k.networks, c.ip_allowlist, c.require_2fa,
			  EXISTS (SELECT FROM second_factors f WHERE f.customer_id = k.customer_id AND f.user_id = k.user_id AND f.on_at IS NOT NULL), k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now() + $3::interval), coalesce(k.last_used_at, 'epoch'), now(), `+standingColumns+`
			FROM api_keys k JOIN members m ON m.customer_id = k.customer_id AND m.user_id = k.user_id JOIN users u ON u.id = k.user_id AND u.verified_at IS NOT NULL JOIN customers c ON c.id = k.customer_id WHERE k.customer_id = $1 AND k.id = $2`,
			dbID(customer), dbID(key), db.offset).
			QueryRow(func(row pgx.Row) error {
				var r standingRow
				err := row.Scan(append([]any{&k.Role, &k.Rank, &k.Scopes, &k.Networks, &k.Allowlist, &k.Require2FA, &k.SecondFactor, &k.InForce, &k.Used, &k.Now}, r.fields()...)...)
				k.Customer, found = r.customer(customer), err == nil
				return ignoreNoRows(err)
			})
	})
	if err == nil && !found {
		err = sweep.Errorf(sweep.NotFound, "there is no such API key")
	}
	k.Now = k.Now.UTC().Add(db.offset)
	return k, doing(err, "read standing of API key")
}
