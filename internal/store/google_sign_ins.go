package store

import (
	"context"
	"time"
)

// GoogleSignIn is a sign-in under way: hashes of the ticket that its beginner keeps, of the state that comes back, and of the nonce that
// Google signs.
type GoogleSignIn struct{ Ticket, State, Nonce []byte }

// BeginGoogleSignIn keeps one for so long, and sweeps away some that came to nothing.
func (db *DB) BeginGoogleSignIn(ctx context.Context, g GoogleSignIn, within time.Duration) error {
	err := db.System(ctx, func(tx *Tx) error {
		const swept = `DELETE FROM google_sign_ins WHERE ticket IN
			(SELECT ticket FROM google_sign_ins WHERE expires_at <= ? ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED)`
		if err := tx.Exec(swept, tx.Now).Error; err != nil {
			return err
		}
		return tx.Exec("INSERT INTO google_sign_ins (ticket, state, nonce, expires_at) VALUES (?, ?, ?, ?)", dbBytes(g.Ticket), dbBytes(g.State), dbBytes(g.Nonce), tx.Now.Add(within)).Error
	})
	return doing(err, "begin sign-in with Google")
}

// TakeGoogleSignIn ends one and gives its nonce's hash; ok only for the first, in time, with its state.
func (db *DB) TakeGoogleSignIn(ctx context.Context, ticket, state []byte) (nonce []byte, ok bool, err error) {
	err = db.System(ctx, func(tx *Tx) error {
		var row struct{ Nonce []byte }
		done := tx.Raw("DELETE FROM google_sign_ins WHERE ticket = ? AND state = ? AND subject IS NULL AND expires_at > ? RETURNING nonce", dbBytes(ticket), dbBytes(state), tx.Now).Scan(&row)
		nonce, ok = row.Nonce, done.RowsAffected == 1
		return done.Error
	})
	return nonce, ok, doing(err, "take sign-in with Google")
}

// ParkGoogleIdentity keeps, under the ticket, for so long, who came back from Google: the keyed hashes of their sub and address.
func (db *DB) ParkGoogleIdentity(ctx context.Context, ticket, subject, address []byte, within time.Duration) error {
	err := db.System(ctx, func(tx *Tx) error {
		return tx.Exec("INSERT INTO google_sign_ins (ticket, state, nonce, subject, address, expires_at) VALUES (?, '', '', ?, ?, ?)",
			dbBytes(ticket), dbBytes(subject), dbBytes(address), tx.Now.Add(within)).Error
	})
	return doing(err, "park Google identity")
}

// ParkedAddress is the keyed address of who is parked under a ticket; nil when nobody is, or not any more.
func (db *DB) ParkedAddress(ctx context.Context, ticket []byte) ([]byte, error) {
	var row struct{ Address []byte }
	err := db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT address FROM google_sign_ins WHERE ticket = ? AND subject IS NOT NULL AND expires_at > ?", dbBytes(ticket), tx.Now).Scan(&row).Error
	})
	return row.Address, doing(err, "read parked Google identity")
}

// TakeParked ends what is parked under a ticket and gives its subject; ok only for the first, in time.
func (tx *Tx) TakeParked(ticket []byte) (subject []byte, ok bool, err error) {
	var row struct{ Subject []byte }
	done := tx.Raw("DELETE FROM google_sign_ins WHERE ticket = ? AND subject IS NOT NULL AND expires_at > ? RETURNING subject", dbBytes(ticket), tx.Now).Scan(&row)
	return row.Subject, done.RowsAffected == 1, doing(done.Error, "take parked Google identity")
}
