package store

import (
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// Customer is the tenant's row. DataKey is wrapped; see secret.Vault.
type Customer struct {
	sweep.Customer
	Name      string
	DataKey   []byte
	VT        float64 // virtual time: what the dispatcher orders customers by
	CreatedAt time.Time
}

type customerRow struct {
	ID                                                  dbID
	Name, Plan                                          string
	PlanPastDueAt, PlanEndsAt, TrialEndsAt, SuspendedAt *time.Time
	PlanVersion                                         int64
	VT                                                  float64
	DataKey                                             []byte
	CreatedAt                                           time.Time
}

const customerSQL = `SELECT id, name, plan, plan_past_due_at, plan_ends_at, trial_ends_at, suspended_at, plan_version, vt, data_key, created_at
	FROM customers WHERE id = ?`

// LoadCustomer reads the tenant. NotFound when it was deleted.
func (tx *Tx) LoadCustomer() (Customer, error) { return tx.customer(customerSQL) }

// LockCustomer reads the tenant and locks its row until the transaction ends: first in the lock order, before jobs and usage.
// Inserts that refer to the customer go on meanwhile. NotFound when it was deleted.
func (tx *Tx) LockCustomer() (Customer, error) {
	return tx.customer(customerSQL + " FOR NO KEY UPDATE")
}

func (tx *Tx) customer(query string) (Customer, error) {
	var r customerRow
	found := tx.Raw(query, dbID(tx.Customer)).Scan(&r)
	if found.Error != nil {
		return Customer{}, fmt.Errorf("read customer: %w", found.Error)
	}
	if found.RowsAffected == 0 {
		return Customer{}, sweep.Errorf(sweep.NotFound, "there is no such customer")
	}
	return Customer{
		Customer: sweep.Customer{
			ID:           sweep.ID(r.ID),
			Subscription: sweep.Subscription{Tier: sweep.Tier(r.Plan), PastDueAt: instant(r.PlanPastDueAt), EndsAt: instant(r.PlanEndsAt)},
			TrialEndsAt:  instant(r.TrialEndsAt), SuspendedAt: instant(r.SuspendedAt), PlanVersion: r.PlanVersion,
		},
		Name: r.Name, DataKey: r.DataKey, VT: r.VT, CreatedAt: r.CreatedAt.UTC(),
	}, nil
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
