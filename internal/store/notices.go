package store

import "fmt"

// Notice notes that something was said to the customer; first is false when it was said before.
func (tx *Tx) Notice(kind, key string) (first bool, err error) {
	done := tx.Exec("INSERT INTO notices (customer_id, kind, key, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
		dbID(tx.Customer), kind, key, tx.Now)
	if done.Error != nil {
		return false, fmt.Errorf("note notice: %w", done.Error)
	}
	return done.RowsAffected == 1, nil
}
