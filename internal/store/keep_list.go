package store

import (
	"fmt"
	"strings"
)

// DropKept removes the entries that are not among keep.
func (tx *Tx) DropKept(keep []string) error {
	err := tx.Exec(`DELETE FROM keep_list WHERE customer_id = ? AND entry <> ALL (string_to_array(?, E'\n'))`, dbID(tx.Customer), strings.Join(keep, "\n")).Error
	if err != nil {
		return fmt.Errorf("drop from keep list: %w", err)
	}
	return nil
}

// AddKept adds the entries that are not there yet. An entry holds no line break.
func (tx *Tx) AddKept(entries []string) error {
	err := tx.Exec(`INSERT INTO keep_list (customer_id, entry, created_at) SELECT ?::uuid, e, ?::timestamptz FROM unnest(string_to_array(?, E'\n')) e ON CONFLICT DO NOTHING`,
		dbID(tx.Customer), tx.Now, strings.Join(entries, "\n")).Error
	if err != nil {
		return fmt.Errorf("add to keep list: %w", err)
	}
	return nil
}
