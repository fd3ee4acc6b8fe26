package store

import (
	"context"
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// EmailToken is a secret sent by mail; only its hash is stored. It proves one address, once, until it expires.
type EmailToken struct {
	ID, User  sweep.ID
	Kind      string // verify, reset, change, undo
	Hash      []byte
	Email     string
	ExpiresAt time.Time
}

// EmailTokenOwner finds whose token a hash is, before the tenant is known; zero ids when nobody's.
func (db *DB) EmailTokenOwner(ctx context.Context, hash []byte, kind string) (customer, token sweep.ID, err error) {
	var row struct{ CustomerID, TokenID dbID }
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT customer_id, token_id FROM lookup.email_token(?, ?)", dbBytes(hash), kind).Scan(&row).Error
	})
	if err != nil {
		return sweep.ID{}, sweep.ID{}, fmt.Errorf("look up e-mail token: %w", err)
	}
	return sweep.ID(row.CustomerID), sweep.ID(row.TokenID), nil
}

// InsertEmailToken adds a token. Void the user's older ones before, under the customer's lock.
func (tx *Tx) InsertEmailToken(t EmailToken) error {
	err := tx.Exec("INSERT INTO email_tokens (customer_id, id, user_id, kind, hash, email, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		dbID(tx.Customer), dbID(t.ID), dbID(t.User), t.Kind, t.Hash, t.Email, t.ExpiresAt, tx.Now).Error
	if err != nil {
		return fmt.Errorf("insert e-mail token: %w", err)
	}
	return nil
}

// VoidEmailTokens makes the user's unused tokens of a kind worthless: only the newest mail counts.
func (tx *Tx) VoidEmailTokens(user sweep.ID, kind string) error {
	err := tx.Exec("UPDATE email_tokens SET used_at = ? WHERE customer_id = ? AND user_id = ? AND kind = ? AND used_at IS NULL",
		tx.Now, dbID(tx.Customer), dbID(user), kind).Error
	if err != nil {
		return fmt.Errorf("void e-mail tokens: %w", err)
	}
	return nil
}

// UseEmailToken spends a token; ok only for the first to do so, in time.
func (tx *Tx) UseEmailToken(id sweep.ID) (user sweep.ID, email string, ok bool, err error) {
	var row struct {
		UserID dbID
		Email  string
	}
	used := tx.Raw("UPDATE email_tokens SET used_at = ? WHERE customer_id = ? AND id = ? AND used_at IS NULL AND expires_at > ? RETURNING user_id, email",
		tx.Now, dbID(tx.Customer), dbID(id), tx.Now).Scan(&row)
	if used.Error != nil {
		return sweep.ID{}, "", false, fmt.Errorf("use e-mail token: %w", used.Error)
	}
	return sweep.ID(row.UserID), row.Email, used.RowsAffected == 1, nil
}

// AwaitingPassword is the stored form of the password that a user signed up with who waits for this token; "" when it is not good.
func (tx *Tx) AwaitingPassword(token sweep.ID) (stored string, err error) {
	err = tx.Raw(`SELECT u.password FROM email_tokens e JOIN users u ON u.id = e.user_id AND u.email = e.email AND u.verified_at IS NULL
		WHERE e.customer_id = ? AND e.id = ? AND e.used_at IS NULL AND e.expires_at > ?`, dbID(tx.Customer), dbID(token), tx.Now).Scan(&stored).Error
	return stored, doing(err, "read password of sign-up")
}

// EmailTokenHolder is whose a good token is; zero when it is used, late, or went to an address that is not theirs any more.
func (tx *Tx) EmailTokenHolder(token sweep.ID) (sweep.ID, error) {
	var row struct{ UserID dbID }
	err := tx.Raw(`SELECT e.user_id FROM email_tokens e JOIN users u ON u.id = e.user_id AND u.email = e.email
		WHERE e.customer_id = ? AND e.id = ? AND e.used_at IS NULL AND e.expires_at > ?`, dbID(tx.Customer), dbID(token), tx.Now).Scan(&row).Error
	return sweep.ID(row.UserID), doing(err, "read holder of e-mail token")
}

// MailedToken is what a good token was made for.
type MailedToken struct {
	User   sweep.ID
	Email  string
	MadeAt time.Time
}

// MailedToken reads a token without using it up; the zero value when it is used or late.
func (tx *Tx) MailedToken(id sweep.ID) (MailedToken, error) {
	var row struct {
		UserID    dbID
		Email     string
		CreatedAt time.Time
	}
	err := tx.Raw("SELECT user_id, email, created_at FROM email_tokens WHERE customer_id = ? AND id = ? AND used_at IS NULL AND expires_at > ?",
		dbID(tx.Customer), dbID(id), tx.Now).Scan(&row).Error
	return MailedToken{User: sweep.ID(row.UserID), Email: row.Email, MadeAt: row.CreatedAt.UTC()}, doing(err, "read e-mail token")
}

// VoidUndosSince makes those of a user's undo tokens worthless that were made at a time or later: an older one undoes what came after it too.
func (tx *Tx) VoidUndosSince(user sweep.ID, since time.Time) error {
	err := tx.Exec("UPDATE email_tokens SET used_at = ? WHERE customer_id = ? AND user_id = ? AND kind = 'undo' AND used_at IS NULL AND created_at >= ?",
		tx.Now, dbID(tx.Customer), dbID(user), since).Error
	return doing(err, "void undo tokens")
}
