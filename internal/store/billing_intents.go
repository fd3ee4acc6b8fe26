package store

import (
	"time"

	"mailsweep/internal/sweep"
)

// Intent is what a customer is about to do at Stripe. Its ID is in the key of the request: whoever asks for the same target again, at the same
// time or after a crash, asks Stripe for the same thing.
type Intent struct {
	ID      sweep.ID
	Target  string
	Session string // of a checkout, once it is known
	At      time.Time
}

// Serves says that the intent is one for this target, and at now younger than fresh.
func (in Intent) Serves(target string, now time.Time, fresh time.Duration) bool {
	return in.Target == target && now.Sub(in.At) < fresh
}

// The kinds of intents. A customer has one of each at a time.
const (
	CheckoutIntent = "checkout"
	ChangeIntent   = "change"
)

// Intend gives the customer's intent: the one there is, if it has this target and is younger than fresh, else a new one in its place. Lock the
// customer before.
func (tx *Tx) Intend(kind, target string, fresh time.Duration) (in Intent, err error) {
	found, ok, err := tx.Intent(kind)
	if err != nil || ok && found.Serves(target, tx.Now, fresh) {
		return found, err
	}
	in = Intent{ID: tx.NewID(), Target: target, At: tx.Now}
	err = tx.Exec(`INSERT INTO billing_intents (customer_id, kind, id, target, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (customer_id, kind) DO UPDATE SET id = excluded.id, target = excluded.target, session = '', created_at = excluded.created_at`,
		dbID(tx.Customer), kind, dbID(in.ID), target, tx.Now).Error
	return in, doing(err, "intend")
}

// Intent reads the customer's intent of a kind.
func (tx *Tx) Intent(kind string) (in Intent, ok bool, err error) {
	var rows []struct {
		ID              dbID
		Target, Session string
		CreatedAt       time.Time
	}
	err = tx.Raw("SELECT id, target, session, created_at FROM billing_intents WHERE customer_id = ? AND kind = ?", dbID(tx.Customer), kind).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return in, false, doing(err, "read intent")
	}
	r := rows[0]
	return Intent{ID: sweep.ID(r.ID), Target: r.Target, Session: r.Session, At: r.CreatedAt.UTC()}, true, nil
}

// IntentSession notes the checkout that an intent has become.
func (tx *Tx) IntentSession(in Intent, session string) error {
	return doing(tx.Exec("UPDATE billing_intents SET session = ? WHERE customer_id = ? AND id = ?", session, dbID(tx.Customer), dbID(in.ID)).Error, "note checkout")
}

// EndIntent forgets an intent that has led somewhere, or nowhere.
func (tx *Tx) EndIntent(in Intent) error {
	return doing(tx.Exec("DELETE FROM billing_intents WHERE customer_id = ? AND id = ?", dbID(tx.Customer), dbID(in.ID)).Error, "end intent")
}
