package store

import (
	"fmt"

	"mailsweep/internal/sweep"
)

// InsertToken adds a refresh token sealed to the worker; from now on it is the one in force. The API may write these columns and
// read none.
func (tx *Tx) InsertToken(mailbox sweep.ID, sealed []byte) error {
	err := tx.Exec("INSERT INTO oauth_tokens (customer_id, id, mailbox_id, sealed, created_at) VALUES (?, ?, ?, ?, ?)",
		dbID(tx.Customer), dbID(tx.NewID()), dbID(mailbox), sealed, tx.Now).Error
	if err != nil {
		return fmt.Errorf("insert token: %w", err)
	}
	return nil
}
