package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mailsweep/internal/sweep"
)

// OAuthState is one attempt to connect a mailbox, from the start to the completion by whoever started it.
type OAuthState struct {
	Hash     []byte // of the state; once there is a grant, of the token that the consenting browser was told
	User     sweep.ID
	Mailbox  sweep.ID // to reconnect; zero: a new one
	Verifier []byte   // PKCE, sealed
	Granted  []byte   // refresh token, sealed to the worker; nil until the callback
	Email    string
	Account  []byte
	Scopes   []string
	Error    string // a word: why there is no grant
}

// OAuthStateOwner finds whose attempt a hash is, before the tenant is known; zero when nobody's.
func (db *DB) OAuthStateOwner(ctx context.Context, hash []byte) (sweep.ID, error) {
	var customer dbID
	err := db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT lookup.oauth_state(?)", dbBytes(hash)).Row().Scan(&customer)
	})
	if err != nil {
		return sweep.ID{}, fmt.Errorf("look up OAuth state: %w", err)
	}
	return sweep.ID(customer), nil
}

// InsertOAuthState adds an attempt that must come back before expires.
func (tx *Tx) InsertOAuthState(s OAuthState, expires time.Time) error {
	err := tx.Exec("INSERT INTO oauth_states (customer_id, hash, user_id, mailbox_id, verifier, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
		dbID(tx.Customer), s.Hash, dbID(s.User), dbID(s.Mailbox), s.Verifier, expires).Error
	if err != nil {
		return fmt.Errorf("insert OAuth state: %w", err)
	}
	return nil
}

type oauthStateRow struct {
	UserID, MailboxID          dbID
	Verifier, Granted, Account []byte
	Email, Scopes, Error       string
}

const oauthStateColumns = ` user_id, mailbox_id, verifier, granted, account, coalesce(email, '') AS email, array_to_string(scopes, ' ') AS scopes, error`

func (tx *Tx) oauthState(hash []byte, query string, args ...any) (OAuthState, bool, error) {
	var r oauthStateRow
	found := tx.Raw(query+oauthStateColumns, args...).Scan(&r)
	if found.Error != nil {
		return OAuthState{}, false, fmt.Errorf("take OAuth state: %w", found.Error)
	}
	return OAuthState{Hash: hash, User: sweep.ID(r.UserID), Mailbox: sweep.ID(r.MailboxID), Verifier: r.Verifier, Granted: r.Granted,
		Email: r.Email, Account: r.Account, Scopes: strings.Fields(r.Scopes), Error: r.Error}, found.RowsAffected == 1, nil
}

// AnswerOAuthState marks an attempt as come back; ok only for the first, in time.
func (tx *Tx) AnswerOAuthState(hash []byte) (s OAuthState, ok bool, err error) {
	return tx.oauthState(hash, "UPDATE oauth_states SET used_at = ? WHERE customer_id = ? AND hash = ? AND used_at IS NULL AND expires_at > ? RETURNING",
		tx.Now, dbID(tx.Customer), hash, tx.Now)
}

// ParkGrant keeps what Google granted, or the word why not, until expires, from now on under another hash. The verifier is used up. Where the
// attempt is gone by now, a deletion came between: parked is false, and what was granted is left to be given back.
func (tx *Tx) ParkGrant(s OAuthState, under []byte, expires time.Time) (parked bool, err error) {
	done := tx.Exec(`UPDATE oauth_states SET hash = ?, verifier = '', granted = ?, email = ?, account = ?, scopes = string_to_array(?, ' '), error = ?, expires_at = ?
		WHERE customer_id = ? AND hash = ?`, under, s.Granted, s.Email, s.Account, strings.Join(s.Scopes, " "), s.Error, expires, dbID(tx.Customer), s.Hash)
	if done.Error != nil || done.RowsAffected > 0 || s.Granted == nil {
		return done.RowsAffected > 0, doing(done.Error, "park grant")
	}
	err = tx.Exec("INSERT INTO oauth_states (customer_id, hash, user_id, verifier, granted, account, expires_at, used_at) VALUES (?, ?, ?, '', ?, ?, ?, ?)",
		dbID(tx.Customer), under, dbID(s.User), s.Granted, s.Account, tx.Now, tx.Now).Error
	return false, doing(err, "leave grant to be given back")
}

// TakeOAuthState removes an attempt that this user started and gives what was parked; ok only for the first, in time.
func (tx *Tx) TakeOAuthState(hash []byte, user sweep.ID) (s OAuthState, ok bool, err error) {
	return tx.oauthState(hash, "DELETE FROM oauth_states WHERE customer_id = ? AND hash = ? AND user_id = ? AND expires_at > ? RETURNING",
		dbID(tx.Customer), hash, dbID(user), tx.Now)
}

// DropOAuthStates removes the user's attempts that came to nothing; of those with a grant the worker does so when it has given that back.
func (tx *Tx) DropOAuthStates(user sweep.ID) error {
	err := tx.Exec("DELETE FROM oauth_states WHERE customer_id = ? AND user_id = ? AND expires_at <= ? AND granted IS NULL", dbID(tx.Customer), dbID(user), tx.Now).Error
	if err != nil {
		return fmt.Errorf("drop OAuth states: %w", err)
	}
	return nil
}

// ParkedConsent is a grant that nobody completed in time, or whose customer was deleted meanwhile.
type ParkedConsent struct {
	Customer sweep.ID
	Hash     []byte
	Account  []byte
	Granted  []byte
}

// ConsentsToRevoke lists at most n of them, without what was granted.
func (db *DB) ConsentsToRevoke(ctx context.Context, n int) (list []ParkedConsent, err error) {
	var rows []struct {
		CustomerID dbID
		Hash       []byte
	}
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT customer_id, hash FROM lookup.consents_to_revoke(?, ?)", tx.Now, n).Scan(&rows).Error
	})
	for _, r := range rows {
		list = append(list, ParkedConsent{Customer: sweep.ID(r.CustomerID), Hash: r.Hash})
	}
	return list, doing(err, "list consents to revoke")
}

// LateConsent reads one of the transaction's customer that is to be given back; false when there is none.
func (tx *Tx) LateConsent(hash []byte) (c ParkedConsent, there bool, err error) {
	var row struct{ Account, Granted []byte }
	found := tx.Raw("SELECT account, granted FROM oauth_states WHERE customer_id = ? AND hash = ? AND granted IS NOT NULL AND expires_at <= ?", dbID(tx.Customer), dbBytes(hash), tx.Now).Scan(&row)
	return ParkedConsent{tx.Customer, hash, row.Account, row.Granted}, found.RowsAffected == 1, doing(found.Error, "read late consent")
}

// DropConsent removes one that was given back.
func (tx *Tx) DropConsent(hash []byte) error {
	return doing(tx.Exec("DELETE FROM oauth_states WHERE customer_id = ? AND hash = ? AND expires_at <= ?", dbID(tx.Customer), dbBytes(hash), tx.Now).Error, "drop consent")
}

// ConsentInUse says whether any customer's mailbox works by a Google account's consent, or is about to: it is parked to be completed.
func (db *DB) ConsentInUse(ctx context.Context, account []byte) (used bool, err error) {
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT lookup.consent_in_use(?, ?)", dbBytes(account), tx.Now).Row().Scan(&used)
	})
	return used, doing(err, "ask whether a consent is in use")
}
