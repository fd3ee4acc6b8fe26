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

// InsertCustomer adds the tenant of this transaction on the free plan with a trial until trialEnds.
func (tx *Tx) InsertCustomer(name string, dataKey []byte, trialEnds time.Time) error {
	err := tx.Exec("INSERT INTO customers (id, name, trial_ends_at, data_key, created_at) VALUES (?, ?, ?, ?, ?)",
		dbID(tx.Customer), name, trialEnds, dataKey, tx.Now).Error
	if err != nil {
		return fmt.Errorf("insert customer: %w", err)
	}
	return nil
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
