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

// SettleBatch records that the call of batch n was answered: the batch is done, the ledger row written and the quota moved from
// reserved to used, in one statement. Progress is the heartbeat's to show. Settling twice changes nothing. cost is what the customer is charged: the ids asked for an
// execute, their negative for an undo, which is given back only within the same period.
func (db *DB) SettleBatch(ctx context.Context, c *Claim, n, cost int, kind string, now time.Time) error {
	found := false
	err := db.batch(ctx, c.CustomerID, func(q *pgx.Batch) {
		q.Queue(`WITH j AS (
			UPDATE jobs SET barren = 0, lease_until = clock_timestamp() + make_interval(secs => $8),
			  settled = settled + CASE WHEN $5 > 0 AND NOT EXISTS (SELECT FROM usage_ledger WHERE customer_id = $1 AND job_id = $2 AND batch_no = $4 AND kind = $6) THEN $5 ELSE 0 END
			WHERE customer_id = $1 AND id = $2 AND fence = $3 AND state = 'running' RETURNING customer_id, id, period_start
		), b AS (
			UPDATE batches SET state = 'done', done_at = $7 WHERE customer_id = $1 AND job_id = $2 AND n = $4 AND EXISTS (SELECT FROM j)
		), l AS (
			INSERT INTO usage_ledger (customer_id, job_id, batch_no, kind, emails, period_start, created_at)
			SELECT customer_id, id, $4, $6, $5, period_start, $7 FROM j WHERE $5 <> 0 ON CONFLICT DO NOTHING RETURNING emails, period_start
		), u AS (
			UPDATE usage_tracking u SET used = u.used + l.emails, reserved = u.reserved - greatest(l.emails, 0) FROM l
			WHERE u.customer_id = $1 AND u.period_start = l.period_start
		) SELECT 1 FROM j`, dbID(c.CustomerID), dbID(c.ID), c.Fence, n, cost, kind, now, sweep.Lease.Seconds()).
			Query(func(rows pgx.Rows) error {
				for rows.Next() {
					found = true
				}
				return rows.Err()
			})
	})
	if err != nil {
		return fmt.Errorf("settle batch: %w", err)
	}
	if !found {
		return ErrFenced
	}
	return nil
}

// Correct adds the proof's one signed correction to the ledger and the usage, inside a Fenced transaction. It can only lower.
func (tx *Tx) Correct(c *Claim, emails int) error {
	if emails >= 0 {
		return nil
	}
	err := tx.Exec(`WITH l AS (
		INSERT INTO usage_ledger (customer_id, job_id, batch_no, kind, emails, period_start, created_at) VALUES (?, ?, 0, 'proof', ?, ?, ?)
		ON CONFLICT DO NOTHING RETURNING emails, period_start
	) UPDATE usage_tracking u SET used = u.used + l.emails FROM l WHERE u.customer_id = ? AND u.period_start = l.period_start`,
		dbID(c.CustomerID), dbID(c.ID), emails, c.Period, tx.Now, dbID(c.CustomerID)).Error
	if err != nil {
		return fmt.Errorf("correct ledger: %w", err)
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

// SettledOf is what a job was charged so far, before the proof.
func (tx *Tx) SettledOf(job sweep.ID) (n int, err error) {
	err = tx.Raw("SELECT coalesce(sum(emails), 0) FROM usage_ledger WHERE customer_id = ? AND job_id = ? AND kind = 'settle'", dbID(tx.Customer), dbID(job)).Scan(&n).Error
	if err != nil {
		return 0, fmt.Errorf("sum ledger: %w", err)
	}
	return n, nil
}
