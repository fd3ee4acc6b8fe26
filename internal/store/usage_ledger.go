package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mailsweep/internal/sweep"
)

// SettleBatch records that the call of batch n was answered: the batch is done, the ledger row written and the quota moved from
// reserved to used, in one statement. Progress is the heartbeat's to show. Settling twice changes nothing. emails is what the customer is
// charged. ErrFenced when the claim is not in force any more.
func (db *DB) SettleBatch(ctx context.Context, c *Claim, n, emails int, now time.Time) error {
	return db.book(ctx, "settle batch", c, func(q *pgx.Batch) *pgx.QueuedQuery {
		return q.Queue(`WITH j AS (
			UPDATE jobs SET barren = 0, lease_until = clock_timestamp() + make_interval(secs => $7),
			  settled = settled + CASE WHEN NOT EXISTS (SELECT FROM usage_ledger WHERE customer_id = $1 AND job_id = $2 AND batch_no = $4 AND kind = 'settle') THEN $5 ELSE 0 END
			WHERE customer_id = $1 AND id = $2 AND fence = $3 AND state = 'running' RETURNING customer_id, id, period_start
		), b AS (
			UPDATE batches SET state = 'done', done_at = $6 WHERE customer_id = $1 AND job_id = $2 AND n = $4 AND EXISTS (SELECT FROM j)
		), l AS (
			INSERT INTO usage_ledger (customer_id, job_id, batch_no, kind, emails, period_start, created_at)
			SELECT customer_id, id, $4, 'settle', $5, period_start, $6 FROM j WHERE $5 > 0 ON CONFLICT DO NOTHING RETURNING emails, period_start
		), u AS (
			UPDATE usage_tracking u SET used = u.used + l.emails, reserved = u.reserved - l.emails FROM l
			WHERE u.customer_id = $1 AND u.period_start = l.period_start
		) SELECT 1 FROM j`, dbID(c.CustomerID), dbID(c.ID), c.Fence, n, emails, now, sweep.Lease.Seconds())
	})
}

// counted is what a run of the customer $1 still counts in a period: what it was charged, less what its proof, its undos and operators took
// off again. It is never below zero, and so neither is what was used, which is the sum of it over all runs.
func counted(run, period string) string {
	return `(SELECT coalesce(sum(emails), 0)::int FROM (
		SELECT emails, period_start FROM usage_ledger WHERE customer_id = $1 AND job_id = ` + run + `
		UNION ALL SELECT b.emails, b.period_start FROM jobs v JOIN usage_ledger b ON b.customer_id = v.customer_id AND b.job_id = v.id WHERE v.customer_id = $1 AND v.undo_of = ` + run + `
		) r WHERE period_start = ` + period + `)`
}

var giveBackSQL = `WITH j AS (
		UPDATE jobs SET barren = 0, lease_until = clock_timestamp() + make_interval(secs => $8)
		WHERE customer_id = $1 AND id = $2 AND fence = $3 AND state = 'running' RETURNING customer_id, id, period_start
	), b AS (
		UPDATE batches SET state = 'done', done_at = $7 WHERE customer_id = $1 AND job_id = $2 AND n = $4 AND EXISTS (SELECT FROM j)
	), back AS (
		SELECT j.*, least($5, ` + counted("$6", "j.period_start") + `) AS emails FROM j
	), l AS (
		INSERT INTO usage_ledger (customer_id, job_id, batch_no, kind, emails, period_start, created_at)
		SELECT customer_id, id, $4, 'undo', -emails, period_start, $7 FROM back WHERE emails > 0 ON CONFLICT DO NOTHING RETURNING emails, period_start
	), u AS (
		UPDATE usage_tracking u SET used = u.used + l.emails FROM l WHERE u.customer_id = $1 AND u.period_start = l.period_start
	) SELECT 1 FROM j`

// GiveBack records that the call of an undo's batch n was answered, and takes so many emails off what the customer has used, but never
// more than the undone run still counts in the undo's own period. Doing so twice changes nothing. ErrFenced when the claim is not in force any more.
func (db *DB) GiveBack(ctx context.Context, c *Claim, n, emails int, now time.Time) error {
	return db.book(ctx, "settle batch of an undo", c, func(q *pgx.Batch) *pgx.QueuedQuery {
		// The locks come first, so that the statement sees what each other batch of this undo, and an operator, took off before.
		q.Queue("SELECT FROM jobs WHERE customer_id = $1 AND id = $2 FOR NO KEY UPDATE", dbID(c.CustomerID), dbID(c.ID))
		q.Queue("SELECT FROM usage_tracking WHERE customer_id = $1 AND period_start = $2 FOR UPDATE", dbID(c.CustomerID), c.Period)
		return q.Queue(giveBackSQL, dbID(c.CustomerID), dbID(c.ID), c.Fence, n, emails, dbID(c.UndoOf), now, sweep.Lease.Seconds())
	})
}

// book does it; the last statement of queue finds no row when the claim is not in force.
func (db *DB) book(ctx context.Context, what string, c *Claim, queue func(*pgx.Batch) *pgx.QueuedQuery) error {
	found := false
	err := db.batch(ctx, c.CustomerID, func(q *pgx.Batch) {
		queue(q).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				found = true
			}
			return rows.Err()
		})
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !found {
		return ErrFenced
	}
	return nil
}

var correctSQL = `WITH l AS (
		INSERT INTO usage_ledger (customer_id, job_id, batch_no, kind, emails, period_start, created_at)
		SELECT $1, $2, 0, 'proof', -n, $3, $4 FROM (SELECT least($5, ` + counted("$2", "$3") + `) AS n) less WHERE n > 0
		ON CONFLICT DO NOTHING RETURNING emails, period_start
	) UPDATE usage_tracking u SET used = u.used + l.emails FROM l WHERE u.customer_id = $1 AND u.period_start = l.period_start`

// Correct adds the proof's one signed correction to the ledger and the usage, inside a Fenced transaction. It can only lower, and takes off
// no more than the run still counts.
func (tx *Tx) Correct(c *Claim, emails int) error {
	if emails >= 0 {
		return nil
	}
	me := dbID(c.CustomerID)
	if err := tx.Exec("SELECT FROM usage_tracking WHERE customer_id = ? AND period_start = ? FOR UPDATE", me, c.Period).Error; err != nil {
		return fmt.Errorf("lock usage: %w", err)
	}
	if err := tx.Exec(correctSQL, me, dbID(c.ID), c.Period, tx.Now, -emails).Error; err != nil {
		return fmt.Errorf("correct ledger: %w", err)
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

// ResetUsage takes off what the runs of a period still count, and says how many messages that were; what is reserved stays so. Invalid for a
// period that has not begun, Conflict for one whose ledger is in the archive.
func (tx *Tx) ResetUsage(p sweep.Period) (forgiven int, err error) {
	if p.Start.After(tx.Now) {
		return 0, sweep.Errorf(sweep.Invalid, "%s has not begun", p.Start.Format("2006-01"))
	}
	var here bool
	if err := tx.Raw("SELECT ledger_begins() <= ?", p.Start).Scan(&here).Error; err != nil {
		return 0, fmt.Errorf("look where the ledger begins: %w", err)
	}
	if !here {
		return 0, sweep.Errorf(sweep.Conflict, "the ledger of %s is in the archive", p.Start.Format("2006-01"))
	}
	return forgiven, doing(tx.Raw("SELECT reset_usage(?, ?)", p.Start, tx.Now).Scan(&forgiven).Error, "reset usage")
}
