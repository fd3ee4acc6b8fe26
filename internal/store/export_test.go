package store

import "context"

// Left is what the pool's idle connections hold as tenant, outside any transaction.
func (db *DB) Left(ctx context.Context) (tenants []string, err error) {
	for _, c := range db.pool.AcquireAllIdle(ctx) {
		defer c.Release()
		var left string
		if err := c.QueryRow(ctx, "SELECT coalesce(current_setting('app.customer_id', true), '')").Scan(&left); err != nil {
			return nil, err
		}
		tenants = append(tenants, left)
	}
	return tenants, nil
}
