package store

import (
	"encoding/json"
	"fmt"

	"mailsweep/internal/sweep"
)

// AuditEntry says who did what to what. Data holds ids, counts and words of ours: no address, no mail data, no secret.
type AuditEntry struct {
	Actor  sweep.Actor
	Action string // mailbox.connected
	Object string // the shown id
	Data   map[string]any
}

// Audit appends to the customer's chain, in the transaction of the act. It locks the end of the chain, so it comes last.
func (tx *Tx) Audit(e AuditEntry) error {
	data := []byte("{}")
	if len(e.Data) > 0 {
		var err error
		if data, err = json.Marshal(e.Data); err != nil {
			return fmt.Errorf("encode audit data of %s: %w", e.Action, err)
		}
	}
	err := tx.Exec("SELECT audit(?, ?, ?, ?, ?, ?, ?, ?, ?)", dbID(tx.Customer), dbID(tx.NewID()), tx.Now, e.Actor.String(),
		e.Action, e.Object, e.Actor.RequestID, e.Actor.AddressHash, string(data)).Error
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	return nil
}
