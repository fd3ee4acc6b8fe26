package store

import (
	"context"
	"fmt"
)

// SecurityEvent notes what happened before a customer was known, such as a failed sign-in. addressHash is a keyed hash or nil.
func (db *DB) SecurityEvent(ctx context.Context, kind string, addressHash []byte, requestID string) error {
	err := db.System(ctx, func(tx *Tx) error {
		return tx.Exec("INSERT INTO security_events (id, at, kind, address_hash, request_id) VALUES (?, ?, ?, ?, ?)",
			dbID(tx.NewID()), tx.Now, kind, addressHash, requestID).Error
	})
	if err != nil {
		return fmt.Errorf("note security event: %w", err)
	}
	return nil
}
