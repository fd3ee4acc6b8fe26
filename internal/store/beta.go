package store

import "context"

// ProvenCustomers is how many customers there are whose address was proven and who did not delete themselves.
func (db *DB) ProvenCustomers(ctx context.Context) (n int, err error) {
	return n, doing(db.System(ctx, func(tx *Tx) error { return tx.Raw("SELECT lookup.proven_customers()").Row().Scan(&n) }), "count the customers")
}

// CountCustomersAlone is the same; until the transaction ends, nobody else who asks gets an answer.
func (tx *Tx) CountCustomersAlone() (n int, err error) {
	if err := tx.Exec("SELECT pg_advisory_xact_lock(hashtext('customers'))").Error; err != nil {
		return 0, doing(err, "lock the number of customers")
	}
	return n, doing(tx.Raw("SELECT lookup.proven_customers()").Row().Scan(&n), "count the customers")
}
