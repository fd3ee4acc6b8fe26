package store

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// Standing is a customer with what admitting and running jobs needs.
type Standing struct {
	sweep.Customer
	DataKey []byte // wrapped
}

// Standing reads the transaction's customer. NotFound when it was deleted.
func (tx *Tx) Standing() (s Standing, err error) {
	var r standingRow
	err = tx.Raw("SELECT c.data_key, "+standingColumns+" FROM customers c WHERE c.id = ?", dbID(tx.Customer)).Row().Scan(append([]any{&s.DataKey}, r.fields()...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return Standing{}, noCustomer()
	}
	s.Customer = r.customer(tx.Customer)
	return s, doing(err, "read customer")
}

func noCustomer() error { return sweep.Errorf(sweep.NotFound, "there is no such customer") }

// standingColumns are of customers c, for a standingRow.
const standingColumns = `c.plan, c.plan_past_due_at, c.plan_ends_at, coalesce(c.granted_plan, ''), c.granted_until, c.trial_ends_at, c.suspended_at, c.deleted_at, c.plan_version`

type standingRow struct {
	plan, granted                                   string
	due, ends, until, trial, suspendedAt, deletedAt *time.Time
	version                                         int64
}

func (r *standingRow) fields() []any {
	return []any{&r.plan, &r.due, &r.ends, &r.granted, &r.until, &r.trial, &r.suspendedAt, &r.deletedAt, &r.version}
}

func (r *standingRow) customer(id sweep.ID) sweep.Customer {
	return sweep.Customer{ID: id, PlanVersion: r.version, TrialEndsAt: instant(r.trial), SuspendedAt: instant(r.suspendedAt), DeletedAt: instant(r.deletedAt),
		Subscription: sweep.Subscription{Tier: sweep.Tier(r.plan), PastDueAt: instant(r.due), EndsAt: instant(r.ends)},
		Granted:      sweep.Subscription{Tier: sweep.Tier(r.granted), EndsAt: instant(r.until)}}
}

func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// Target is a mailbox as a job sees it.
type Target struct {
	Mailbox      sweep.ID
	Account      []byte
	State        string
	Generation   int
	LabelsMade   []string
	Analysis     []byte // sealed
	AnalysisAsOf time.Time
	Oldest       int // how many of the customer's connected mailboxes are older: past the plan's number it takes no jobs
}

// Target reads a connected mailbox; with a zero id the customer's only one. NotFound: none; Invalid: several and none named.
func (tx *Tx) Target(mailbox sweep.ID) (Target, error) {
	var rows []struct {
		ID           dbID
		Account      []byte
		State        string
		Generation   int
		LabelsMade   string
		Analysis     []byte
		AnalysisAsOf *time.Time
		Older        int
	}
	err := tx.Raw(`SELECT id, account, state, generation, array_to_string(labels_made, E'\n') AS labels_made, analysis, analysis_as_of, older FROM (
		SELECT m.*, (row_number() OVER (ORDER BY connected_at, id)) - 1 AS older FROM mailboxes m WHERE customer_id = ? AND state <> 'disconnected') m
		WHERE ?::uuid IS NULL OR id = ?`, dbID(tx.Customer), dbID(mailbox), dbID(mailbox)).Scan(&rows).Error
	if err != nil {
		return Target{}, fmt.Errorf("read mailbox: %w", err)
	}
	if len(rows) == 0 {
		return Target{}, noMailbox()
	}
	if len(rows) > 1 {
		return Target{}, severalMailboxes()
	}
	r := rows[0]
	return Target{Mailbox: sweep.ID(r.ID), Account: r.Account, State: r.State, Generation: r.Generation, LabelsMade: lines(r.LabelsMade),
		Analysis: r.Analysis, AnalysisAsOf: instant(r.AnalysisAsOf), Oldest: r.Older}, nil
}

// NoteLabel remembers that we made a label in the mailbox.
func (tx *Tx) NoteLabel(mailbox sweep.ID, labelID string) error {
	err := tx.Exec("UPDATE mailboxes SET labels_made = array_append(array_remove(labels_made, ?), ?) WHERE customer_id = ? AND id = ?", labelID, labelID, dbID(tx.Customer), dbID(mailbox)).Error
	if err != nil {
		return fmt.Errorf("note label: %w", err)
	}
	return nil
}

// RefreshToken reads the newest sealed refresh token of a mailbox: the worker's role only.
func (tx *Tx) RefreshToken(mailbox sweep.ID) ([]byte, error) {
	var rows []struct{ Sealed []byte }
	err := tx.Raw("SELECT sealed FROM oauth_tokens WHERE customer_id = ? AND mailbox_id = ? ORDER BY id DESC LIMIT 1", dbID(tx.Customer), dbID(mailbox)).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read token: %w", err)
	}
	if len(rows) == 0 {
		return nil, sweep.Errorf(sweep.MailboxNeedsReconnect, "this mailbox has no consent: connect it again")
	}
	return rows[0].Sealed, nil
}

// NeedsReconnect marks a mailbox whose consent is gone; false if it was marked before, so that one mail goes out.
func (tx *Tx) NeedsReconnect(mailbox sweep.ID) (bool, error) {
	done := tx.Exec("UPDATE mailboxes SET state = 'needs_reconnect' WHERE customer_id = ? AND id = ? AND state = 'active'", dbID(tx.Customer), dbID(mailbox))
	if done.Error != nil {
		return false, fmt.Errorf("mark mailbox: %w", done.Error)
	}
	return done.RowsAffected > 0, nil
}

// Keep reads the keep list.
func (tx *Tx) Keep() (entries []string, err error) {
	if err := tx.Raw("SELECT entry FROM keep_list WHERE customer_id = ? ORDER BY entry", dbID(tx.Customer)).Scan(&entries).Error; err != nil {
		return nil, fmt.Errorf("read keep list: %w", err)
	}
	return entries, nil
}

// UsageNow reads the period's used and reserved.
func (tx *Tx) UsageNow(limit int) (sweep.Quota, error) {
	q := sweep.Quota{Limit: limit, Period: sweep.PeriodAt(tx.Now)}
	var row struct{ Used, Reserved int }
	err := tx.Raw("SELECT used, reserved FROM usage_tracking WHERE customer_id = ? AND period_start = ?", dbID(tx.Customer), q.Period.Start).Scan(&row).Error
	if err != nil {
		return q, fmt.Errorf("read usage: %w", err)
	}
	q.Used, q.Reserved = row.Used, row.Reserved
	return q, nil
}

// Revoked deletes the tokens of a mailbox that is still disconnected: its consent at Google is taken back.
func (tx *Tx) Revoked(mailbox sweep.ID) error {
	err := tx.Exec(`WITH m AS (
		UPDATE mailboxes SET revoked_at = ? WHERE customer_id = ? AND id = ? AND state = 'disconnected' RETURNING customer_id, id
	) DELETE FROM oauth_tokens t USING m WHERE t.customer_id = m.customer_id AND t.mailbox_id = m.id`,
		tx.Now, dbID(tx.Customer), dbID(mailbox)).Error
	if err != nil {
		return fmt.Errorf("delete revoked tokens: %w", err)
	}
	return nil
}
