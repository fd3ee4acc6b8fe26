package store

import (
	"bytes"
	"context"
	"time"

	"mailsweep/internal/sweep"
)

// Connected names a connected mailbox.
type Connected struct{ Customer, Mailbox sweep.ID }

// MailboxesOf lists the connected mailboxes of a Google account, by its keyed hash, in all customers.
func (db *DB) MailboxesOf(ctx context.Context, account []byte) (list []Connected, err error) {
	var rows []struct{ CustomerID, MailboxID dbID }
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT customer_id, mailbox_id FROM lookup.mailboxes_of(?)", dbBytes(account)).Scan(&rows).Error
	})
	for _, r := range rows {
		list = append(list, Connected{sweep.ID(r.CustomerID), sweep.ID(r.MailboxID)})
	}
	return list, doing(err, "find mailboxes of a Google account")
}

// eventID makes the same id of the same event: its time, so that it is forgotten like others of that time, and its key.
func eventID(at time.Time, key [32]byte) (dbID, error) {
	id, err := sweep.NewID(at, bytes.NewReader(key[:]))
	return dbID(id), err
}

// KnowsSecurityEvent says whether an event that others told us of was kept before.
func (db *DB) KnowsSecurityEvent(ctx context.Context, at time.Time, key [32]byte) (known bool, err error) {
	id, err := eventID(at, key)
	if err == nil {
		err = db.System(ctx, func(tx *Tx) error {
			return tx.Raw("SELECT EXISTS (SELECT FROM security_events WHERE id = ?)", id).Row().Scan(&known)
		})
	}
	return known, doing(err, "look for security event")
}

// KeepSecurityEvent notes an event that others told us of; of the same one there is one note.
func (db *DB) KeepSecurityEvent(ctx context.Context, at time.Time, key [32]byte, kind, requestID string) error {
	id, err := eventID(at, key)
	if err == nil {
		err = db.System(ctx, func(tx *Tx) error {
			return tx.Exec("INSERT INTO security_events (id, at, kind, request_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", id, tx.Now, kind, requestID).Error
		})
	}
	return doing(err, "note security event")
}
