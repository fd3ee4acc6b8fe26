package store

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// Customer is the tenant's row. DataKey is wrapped; see secret.Vault.
type Customer struct {
	sweep.Customer
	Name       string
	DataKey    []byte
	VT         float64 // virtual time: what the dispatcher orders customers by
	CreatedAt  time.Time
	Require2FA bool // of every member, while the plan carries it
}

const customerSQL = `SELECT c.name, c.data_key, c.vt, c.created_at, c.require_2fa, ` + standingColumns + ` FROM customers c WHERE c.id = ?`

// LoadCustomer reads the tenant, also one that was deleted. NotFound when there never was one.
func (tx *Tx) LoadCustomer() (Customer, error) { return tx.customer(customerSQL) }

// LockCustomer reads the tenant and locks its row until the transaction ends: first in the lock order, before jobs and usage.
// Inserts that refer to the customer go on meanwhile. NotFound when it was deleted: nothing is added to it any more.
func (tx *Tx) LockCustomer() (Customer, error) {
	c, err := tx.customer(customerSQL + " FOR NO KEY UPDATE")
	if err == nil && !c.DeletedAt.IsZero() {
		return Customer{}, noCustomer()
	}
	return c, err
}

func (tx *Tx) customer(query string) (c Customer, err error) {
	var r standingRow
	err = tx.Raw(query, dbID(tx.Customer)).Row().Scan(append([]any{&c.Name, &c.DataKey, &c.VT, &c.CreatedAt, &c.Require2FA}, r.fields()...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return Customer{}, noCustomer()
	}
	c.Customer, c.CreatedAt = r.customer(tx.Customer), c.CreatedAt.UTC()
	return c, doing(err, "read customer")
}

// InsertCustomer adds the tenant of this transaction on the free plan with a trial until trialEnds; zero: none yet.
func (tx *Tx) InsertCustomer(name string, dataKey []byte, trialEnds time.Time) error {
	err := tx.Exec("INSERT INTO customers (id, name, trial_ends_at, data_key, created_at) VALUES (?, ?, ?, ?, ?)",
		dbID(tx.Customer), name, orNull(trialEnds), dataKey, tx.Now).Error
	if err != nil {
		return fmt.Errorf("insert customer: %w", err)
	}
	return nil
}

// BeginTrial names the customer and begins its trial, or none if ends is zero: its owner's address has just been proven.
func (tx *Tx) BeginTrial(name string, ends time.Time) error {
	return tx.setCustomer("begin trial", "UPDATE customers SET name = ?, trial_ends_at = ?, plan_version = plan_version + 1 WHERE id = ?", name, orNull(ends), dbID(tx.Customer))
}

// EndTrial ends a running trial now; whoever computed a plan before reads it again.
func (tx *Tx) EndTrial() error {
	err := tx.Exec("UPDATE customers SET trial_ends_at = ?, plan_version = plan_version + 1 WHERE id = ? AND trial_ends_at > ?",
		tx.Now, dbID(tx.Customer), tx.Now).Error
	if err != nil {
		return fmt.Errorf("end trial: %w", err)
	}
	return nil
}

// SetBought says what is bought: what the customer's subscriptions say, in short.
func (tx *Tx) SetBought(b sweep.Subscription) error {
	return tx.setCustomer("set what is bought", "UPDATE customers SET plan = ?, plan_past_due_at = ?, plan_ends_at = ?, plan_version = plan_version + 1 WHERE id = ?",
		string(b.Tier), orNull(b.PastDueAt), orNull(b.EndsAt), dbID(tx.Customer))
}

// SetGrant grants the transaction's customer a plan, from now on and until a time; zero: without an end. Free takes a grant away.
func (tx *Tx) SetGrant(tier sweep.Tier, until time.Time) error {
	return tx.setCustomer("grant plan", "UPDATE customers SET granted_plan = nullif(?, 'free'), granted_until = ?, plan_version = plan_version + 1 WHERE id = ?",
		string(tier), orNull(until), dbID(tx.Customer))
}

// SetTrialEnd moves the end of the trial.
func (tx *Tx) SetTrialEnd(at time.Time) error {
	return tx.setCustomer("move the trial's end", "UPDATE customers SET trial_ends_at = ?, plan_version = plan_version + 1 WHERE id = ?", at, dbID(tx.Customer))
}

// SetSuspended suspends from a time on, and signs the customer's people out, so that no session comes to life again with the customer;
// zero ends it.
func (tx *Tx) SetSuspended(at time.Time) error {
	err := tx.setCustomer("suspend", "UPDATE customers SET suspended_at = ?, plan_version = plan_version + 1 WHERE id = ?", orNull(at), dbID(tx.Customer))
	if err != nil || at.IsZero() {
		return err
	}
	return tx.signOutEverybody()
}

// signOutEverybody ends all tokens and sessions of the customer's people, at their other customers too.
func (tx *Tx) signOutEverybody() error {
	people, err := tx.Members()
	if err != nil {
		return err
	}
	for _, m := range people {
		if err := tx.EndTokens(m.User); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) setCustomer(what, statement string, args ...any) error {
	done := tx.Exec(statement, args...)
	if done.Error == nil && done.RowsAffected == 0 {
		return noCustomer()
	}
	return doing(done.Error, what)
}

// Belongings is what a customer has, in numbers.
type Belongings struct {
	Mailboxes map[string]int // by state
	People    int
	Open      int // jobs that have not ended
}

// Belongings counts what the customer has.
func (tx *Tx) Belongings() (b Belongings, err error) {
	var rows []struct {
		State string
		N     int
	}
	if err := tx.Raw("SELECT state, count(*) AS n FROM mailboxes WHERE customer_id = ? GROUP BY state", dbID(tx.Customer)).Scan(&rows).Error; err != nil {
		return b, doing(err, "count mailboxes")
	}
	b.Mailboxes = map[string]int{}
	for _, r := range rows {
		b.Mailboxes[r.State] = r.N
	}
	err = tx.Raw("SELECT (SELECT count(*) FROM members WHERE customer_id = @customer), (SELECT count(*) FROM open_jobs WHERE customer_id = @customer)", named(tx)).Row().Scan(&b.People, &b.Open)
	return b, doing(err, "count people and jobs")
}
