package store

import "context"

// Left is what the pool's idle connections hold as tenant, outside any transaction. One that is dead holds nothing.
func (db *DB) Left(ctx context.Context) (tenants []string, err error) {
	for _, c := range db.pool.AcquireAllIdle(ctx) {
		defer c.Release()
		var left string
		switch e := c.QueryRow(ctx, "SELECT coalesce(current_setting('app.customer_id', true), '')").Scan(&left); {
		case e == nil:
			tenants = append(tenants, left)
		case !c.Conn().IsClosed():
			err = e
		}
	}
	return tenants, err
}
