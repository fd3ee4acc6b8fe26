package store

import (
	"fmt"

	"mailsweep/internal/sweep"
)

// Halted says whether ops have stopped jobs of this kind for the transaction's customer, or for workers of this build, and why.
// Of several halts the oldest is told. A customer is named in a halt by its public id or its UUID.
func (tx *Tx) Halted(kind sweep.JobKind, build string) (reason string, halted bool, err error) {
	var reasons []string
	err = tx.Raw(`SELECT reason FROM halts WHERE lifted_at IS NULL AND (scope = 'all' OR scope = 'kind' AND value = ?
		OR scope = 'customer' AND value IN (?, ?) OR scope = 'build' AND value = ? AND value <> '') ORDER BY created_at LIMIT 1`,
		string(kind), tx.Customer.String(), sweep.CustomerID.Show(tx.Customer), build).Scan(&reasons).Error
	if err != nil {
		return "", false, fmt.Errorf("read halts: %w", err)
	}
	if len(reasons) == 0 {
		return "", false, nil
	}
	return reasons[0], true, nil
}
