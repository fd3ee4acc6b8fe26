package store

import (
	"encoding/json"
	"fmt"
	"time"

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

// AuditLog lists the customer's entries before one, newest first; a zero before begins at the newest.
func (tx *Tx) AuditLog(before sweep.ID, limit int) ([]sweep.AuditView, error) {
	var rows []struct {
		ID                               dbID
		At                               time.Time
		Actor, Action, Object, RequestID string
		Data                             []byte
	}
	err := tx.Raw("SELECT id, at, actor, action, object, request_id, data FROM audit_logs WHERE customer_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
		dbID(tx.Customer), pageBefore(before), limit).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("list audit log: %w", err)
	}
	views := make([]sweep.AuditView, len(rows))
	for i, r := range rows {
		views[i] = sweep.AuditView{ID: sweep.EventID.Show(sweep.ID(r.ID)), At: r.At.UTC(), Actor: r.Actor, Action: r.Action, Object: r.Object, RequestID: r.RequestID, Data: r.Data}
	}
	return views, nil
}
