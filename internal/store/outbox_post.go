package store

import (
	"encoding/json"
	"fmt"

	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
)

// Post is a mail to be sent once the transaction has committed.
type Post struct {
	User      sweep.ID // zero: the customer's owner
	Kind      string
	Data      any // encoded as JSON, sealed
	RequestID string
}

// Post puts a mail into the outbox, sealed with the customer's data key. It is due at once: when to send is the machine's clock,
// not business time.
func (tx *Tx) Post(box *secret.Box, p Post) (sweep.ID, error) {
	id := tx.NewID()
	data, err := json.Marshal(p.Data)
	if err != nil {
		return id, fmt.Errorf("encode post %s: %w", p.Kind, err)
	}
	sealed, err := box.Seal(data, postContext(id))
	if err != nil {
		return id, fmt.Errorf("post %s: %w", p.Kind, err)
	}
	err = tx.Exec(`INSERT INTO outbox (customer_id, id, user_id, kind, data, run_at, request_id, created_at) VALUES (?, ?, ?, ?, ?, clock_timestamp(), ?, ?)`,
		dbID(tx.Customer), dbID(id), dbID(p.User), p.Kind, sealed, p.RequestID, tx.Now).Error
	if err != nil {
		return id, fmt.Errorf("post %s: %w", p.Kind, err)
	}
	return id, nil
}

func postContext(id sweep.ID) string { return "outbox|" + id.String() + "|data" }

// Open gives the JSON that Post sealed.
func (m Mailing) Open(box *secret.Box) ([]byte, error) { return box.Open(m.Data, postContext(m.ID)) }
