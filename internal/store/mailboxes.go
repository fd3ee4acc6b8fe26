package store

import (
	"fmt"
	"strings"
	"time"

	"mailsweep/internal/sweep"
)

// The states of a mailbox.
const (
	MailboxActive         = "active"
	MailboxNeedsReconnect = "needs_reconnect" // the consent is gone
	MailboxDisconnected   = "disconnected"    // by the customer; the worker revokes at Google
)

// Mailbox is one connected Gmail account. Account is the keyed hash of Google's id of it.
type Mailbox struct {
	ID                 sweep.ID
	Account            []byte
	Email, State       string
	Generation         int
	Scopes, LabelsMade []string
	AnalysisAsOf       *time.Time
	ConnectedAt        time.Time
	DisconnectedAt     *time.Time
	ConsentedAt        *time.Time // to what is in force; nil: before this was written down
}

type mailboxRow struct {
	ID                 dbID
	Account            []byte
	Email, State       string
	Generation         int
	Scopes, LabelsMade string
	AnalysisAsOf       *time.Time
	ConnectedAt        time.Time
	DisconnectedAt     *time.Time
	ConsentedAt        *time.Time
}

func (r mailboxRow) mailbox() Mailbox {
	return Mailbox{ID: sweep.ID(r.ID), Account: r.Account, Email: r.Email, State: r.State, Generation: r.Generation,
		Scopes: strings.Fields(r.Scopes), LabelsMade: strings.Fields(r.LabelsMade), AnalysisAsOf: utc(r.AnalysisAsOf),
		ConnectedAt: r.ConnectedAt.UTC(), DisconnectedAt: utc(r.DisconnectedAt), ConsentedAt: utc(r.ConsentedAt)}
}

const mailboxSQL = `SELECT id, account, email, state, generation, array_to_string(scopes, ' ') AS scopes, array_to_string(labels_made, ' ') AS labels_made,
	analysis_as_of, connected_at, disconnected_at, consented_at FROM mailboxes WHERE customer_id = ?`

// Mailboxes lists the connected ones, oldest first. Those at an index beyond the plan's mailboxes refuse jobs.
func (tx *Tx) Mailboxes() ([]Mailbox, error) {
	var rows []mailboxRow
	err := tx.Raw(mailboxSQL+" AND state <> 'disconnected' ORDER BY connected_at, id", dbID(tx.Customer)).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("list mailboxes: %w", err)
	}
	list := make([]Mailbox, len(rows))
	for i, r := range rows {
		list[i] = r.mailbox()
	}
	return list, nil
}

// Mailbox reads one in any state. NotFound.
func (tx *Tx) Mailbox(id sweep.ID) (Mailbox, error) {
	m, ok, err := tx.mailbox(mailboxSQL+" AND id = ?", dbID(tx.Customer), dbID(id))
	if err == nil && !ok {
		err = sweep.Errorf(sweep.NotFound, "there is no such mailbox")
	}
	return m, err
}

// MailboxOf finds this customer's mailbox of a Google account, in any state.
func (tx *Tx) MailboxOf(account []byte) (m Mailbox, ok bool, err error) {
	return tx.mailbox(mailboxSQL+" AND account = ?", dbID(tx.Customer), account)
}

func (tx *Tx) mailbox(query string, args ...any) (Mailbox, bool, error) {
	var r mailboxRow
	found := tx.Raw(query, args...).Scan(&r)
	if found.Error != nil {
		return Mailbox{}, false, fmt.Errorf("read mailbox: %w", found.Error)
	}
	return r.mailbox(), found.RowsAffected == 1, nil
}

// KnowAccount makes a Google account known to the system, with this customer's trial if trial. It says whether another customer
// already used a trial with it.
func (tx *Tx) KnowAccount(account []byte, trial bool) (usedElsewhere bool, err error) {
	err = tx.Raw("SELECT sys.know_account(?, ?, ?, ?)", dbBytes(account), dbID(tx.Customer), trial, tx.Now).Row().Scan(&usedElsewhere)
	if err != nil {
		return false, fmt.Errorf("know Google account: %w", err)
	}
	return usedElsewhere, nil
}

// InsertMailbox adds an active mailbox of a known Google account.
func (tx *Tx) InsertMailbox(m Mailbox) error {
	err := tx.Exec(`INSERT INTO mailboxes (customer_id, id, account, email, state, scopes, connected_at, consented_at) VALUES (?, ?, ?, ?, 'active', string_to_array(?, ' '), ?, ?)`,
		dbID(tx.Customer), dbID(m.ID), m.Account, m.Email, strings.Join(m.Scopes, " "), tx.Now, tx.Now).Error
	if err != nil {
		return fmt.Errorf("insert mailbox: %w", err)
	}
	return nil
}

// ReconnectMailbox makes a mailbox active again. One that was disconnected becomes the customer's newest.
func (tx *Tx) ReconnectMailbox(id sweep.ID, email string, scopes []string) error {
	err := tx.Exec(`UPDATE mailboxes SET email = ?, scopes = string_to_array(?, ' '), disconnected_at = NULL, revoked_at = NULL, state = 'active', consented_at = ?,
		connected_at = CASE WHEN state = 'disconnected' THEN ? ELSE connected_at END WHERE customer_id = ? AND id = ?`,
		email, strings.Join(scopes, " "), tx.Now, tx.Now, dbID(tx.Customer), dbID(id)).Error
	if err != nil {
		return fmt.Errorf("reconnect mailbox: %w", err)
	}
	return nil
}

// SetMailboxState moves a connected mailbox to another state; false when it is there already, or disconnected, or unknown.
func (tx *Tx) SetMailboxState(id sweep.ID, state string) (changed bool, err error) {
	done := tx.Exec(`UPDATE mailboxes SET state = ?, disconnected_at = CASE WHEN ? = 'disconnected' THEN ?::timestamptz END
		WHERE customer_id = ? AND id = ? AND state <> ? AND state <> 'disconnected'`, state, state, tx.Now, dbID(tx.Customer), dbID(id), state)
	if done.Error != nil {
		return false, fmt.Errorf("set mailbox state: %w", done.Error)
	}
	return done.RowsAffected == 1, nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
