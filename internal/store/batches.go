package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mailsweep/internal/sweep"
)

// Batch is one Gmail call of a job: batch N is the N-th thousand of the frozen plan, whatever is skipped. IDs is sealed.
type Batch struct {
	N     int
	IDs   []byte
	Done  bool
	Asked int
}

// BeginBatch records the ids in flight before the call, and for the first batch of an execute that the cleanup plan is consumed:
// after the call it may be too late to say so. Beginning a batch again replaces what was meant but not done.
func (db *DB) BeginBatch(ctx context.Context, c *Claim, n int, ids []byte, asked int, now time.Time) error {
	found := false
	err := db.batch(ctx, c.CustomerID, func(q *pgx.Batch) {
		q.Queue(`WITH j AS (
			SELECT customer_id, id, kind, plan_id FROM jobs WHERE customer_id = $1 AND id = $2 AND fence = $3 AND state = 'running' FOR UPDATE
		), p AS (
			UPDATE cleanup_plans p SET consumed_by = j.id, consumed_at = $7 FROM j
			WHERE j.kind = 'execute' AND p.customer_id = j.customer_id AND p.id = j.plan_id AND p.consumed_by IS NULL
		), b AS (
			INSERT INTO batches AS b (customer_id, job_id, n, ids, state, asked, created_at) SELECT customer_id, id, $4, $5, 'intent', $6, $7 FROM j
			ON CONFLICT (customer_id, job_id, n) DO UPDATE SET ids = excluded.ids, asked = excluded.asked WHERE b.state = 'intent' RETURNING 1
		) SELECT 1 FROM j`, dbID(c.CustomerID), dbID(c.ID), c.Fence, n, ids, asked, now).
			Query(func(rows pgx.Rows) error {
				for rows.Next() {
					found = true
				}
				return rows.Err()
			})
	})
	if err != nil {
		return fmt.Errorf("begin batch: %w", err)
	}
	if !found {
		return ErrFenced
	}
	return nil
}

// Batches lists a job's batches in order.
func (tx *Tx) Batches(job sweep.ID) ([]Batch, error) {
	var rows []struct {
		N     int
		IDs   []byte `gorm:"column:ids"`
		State string
		Asked int
	}
	if err := tx.Raw("SELECT n, ids, state, asked FROM batches WHERE customer_id = ? AND job_id = ? ORDER BY n", dbID(tx.Customer), dbID(job)).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("list batches: %w", err)
	}
	out := make([]Batch, 0, len(rows))
	for _, r := range rows {
		out = append(out, Batch{N: r.N, IDs: r.IDs, Done: r.State == "done", Asked: r.Asked})
	}
	return out, nil
}

// RewriteBatch replaces what a done batch says it changed: the proof knows better than the request.
func (tx *Tx) RewriteBatch(job sweep.ID, n int, ids []byte) error {
	if err := tx.Exec("UPDATE batches SET ids = ? WHERE customer_id = ? AND job_id = ? AND n = ?", ids, dbID(tx.Customer), dbID(job), n).Error; err != nil {
		return fmt.Errorf("rewrite batch: %w", err)
	}
	return nil
}
