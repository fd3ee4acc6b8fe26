package store

import (
	"fmt"

	"mailsweep/internal/sweep"
)

// InsertMember makes a user a member of this customer. The user's row may follow within the transaction: only a member's row can
// be written, and the foreign key waits for the commit.
func (tx *Tx) InsertMember(user sweep.ID, role sweep.Role) error {
	err := tx.Exec("INSERT INTO members (customer_id, user_id, role, created_at) VALUES (?, ?, ?, ?)",
		dbID(tx.Customer), dbID(user), string(role), tx.Now).Error
	if err != nil {
		return fmt.Errorf("insert member: %w", err)
	}
	return nil
}
