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
	Hash     []byte // of the state
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

// ParkGrant keeps what Google granted, or the word why not, until expires.
func (tx *Tx) ParkGrant(s OAuthState, expires time.Time) error {
	err := tx.Exec(`UPDATE oauth_states SET granted = ?, email = ?, account = ?, scopes = string_to_array(?, ' '), error = ?, expires_at = ?
		WHERE customer_id = ? AND hash = ?`, s.Granted, s.Email, s.Account, strings.Join(s.Scopes, " "), s.Error, expires, dbID(tx.Customer), s.Hash).Error
	if err != nil {
		return fmt.Errorf("park grant: %w", err)
	}
	return nil
}

// TakeOAuthState removes an attempt that this user started and gives what was parked; ok only for the first, in time.
func (tx *Tx) TakeOAuthState(hash []byte, user sweep.ID) (s OAuthState, ok bool, err error) {
	return tx.oauthState(hash, "DELETE FROM oauth_states WHERE customer_id = ? AND hash = ? AND user_id = ? AND expires_at > ? RETURNING",
		dbID(tx.Customer), hash, dbID(user), tx.Now)
}

// DropOAuthStates removes the user's attempts that came to nothing.
func (tx *Tx) DropOAuthStates(user sweep.ID) error {
	err := tx.Exec("DELETE FROM oauth_states WHERE customer_id = ? AND user_id = ? AND expires_at <= ?", dbID(tx.Customer), dbID(user), tx.Now).Error
	if err != nil {
		return fmt.Errorf("drop OAuth states: %w", err)
	}
	return nil
}
