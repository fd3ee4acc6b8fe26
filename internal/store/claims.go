package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mailsweep/internal/sweep"
)

// Claim is one worker's turn at a job. Every write carries its Fence: once a newer claim exists, the writes of this one change nothing.
type Claim struct {
	JobRow
	Fence      int
	Checkpoint []byte // sealed, of an earlier claim
	Period     time.Time
	RequestID  string
	Canceled   bool // asked to stop before it began
	Now        time.Time
}

// Claim takes a dispatched job, or one whose lease is dead, for worker. ok is false when the task is stale or a duplicate: there is
// nothing to do then.
func (db *DB) Claim(ctx context.Context, customer, job sweep.ID, epoch int, worker string) (c Claim, ok bool, err error) {
	err = db.Tenant(ctx, customer, func(tx *Tx) error {
		var rows []struct {
			Row             jobRow `gorm:"embedded"`
			Fence           int
			Checkpoint      []byte
			PeriodStart     time.Time
			RequestID       string
			CancelRequested bool
		}
		err := tx.Raw(`UPDATE jobs j SET state = 'running', fence = fence + 1, worker = ?, lease_until = clock_timestamp() + make_interval(secs => ?),
			started_at = coalesce(started_at, ?), phase = CASE WHEN phase IN ('queued','') THEN 'starting' ELSE phase END, version = version + 1
			WHERE j.customer_id = ? AND j.id = ? AND j.epoch = ? AND (j.state = 'dispatched' OR j.state = 'running' AND j.lease_until < clock_timestamp())
			RETURNING fence, checkpoint, period_start, request_id, cancel_requested, `+jobColumns,
			worker, sweep.Lease.Seconds(), tx.Now, dbID(customer), dbID(job), epoch).Scan(&rows).Error
		if err != nil || len(rows) == 0 {
			return err
		}
		r := rows[0]
		ok = true
		c = Claim{JobRow: r.Row.job(), Fence: r.Fence, Checkpoint: r.Checkpoint, Period: r.PeriodStart.UTC(), RequestID: r.RequestID, Canceled: r.CancelRequested, Now: tx.Now}
		return tx.notify(job, c.Version)
	})
	if err != nil {
		return c, false, fmt.Errorf("claim job: %w", err)
	}
	return c, ok, nil
}

func (tx *Tx) notify(job sweep.ID, version int64) error {
	return tx.Exec("SELECT pg_notify('job', ?)", fmt.Sprintf("%s %s %d", tx.Customer, job, version)).Error
}

// Beat is what a heartbeat says: the lease is renewed and the progress shown.
type Beat struct {
	Phase       string
	Done, Total int
	PerSecond   float64
	Units       int64
}

// Orders is what a heartbeat learns.
type Orders struct {
	Cancel bool // the customer asked
	Halt   bool // ops asked
	Yield  bool // a writing job of this customer wants the same mailbox: what only reads gives way
}

// Renew renews the lease and shows progress; ErrFenced when the claim is not in force any more.
func (db *DB) Renew(ctx context.Context, c *Claim, b Beat) (o Orders, err error) {
	found := false
	err = db.batch(ctx, c.CustomerID, func(q *pgx.Batch) {
		q.Queue(`WITH j AS (
			UPDATE jobs SET lease_until = clock_timestamp() + make_interval(secs => $4), phase = $5, done = $6, total = $7, per_second = $8, units = $9,
			  version = version + CASE WHEN (phase, done, total) IS DISTINCT FROM ($5, $6, $7) THEN 1 ELSE 0 END
			WHERE customer_id = $1 AND id = $2 AND fence = $3 AND state = 'running' RETURNING cancel_requested, version, kind, customer_id, id, account
		) SELECT cancel_requested,
			EXISTS (SELECT FROM halts WHERE lifted_at IS NULL AND (scope = 'all' OR scope = 'kind' AND value = j.kind OR scope = 'customer' AND value IN ($10, $1::uuid::text))),
			EXISTS (SELECT FROM jobs o WHERE o.customer_id = $1 AND o.account = j.account AND o.id <> j.id AND o.rank <= 1 AND o.state IN ('queued','dispatched','running')),
			pg_notify('job', customer_id || ' ' || id || ' ' || version) FROM j`,
			dbID(c.CustomerID), dbID(c.ID), c.Fence, sweep.Lease.Seconds(), b.Phase, b.Done, b.Total, b.PerSecond, b.Units, sweep.CustomerID.Show(c.CustomerID)).
			Query(func(rows pgx.Rows) error {
				for rows.Next() {
					found = true
					if err := rows.Scan(&o.Cancel, &o.Halt, &o.Yield, nil); err != nil {
						return err
					}
				}
				return rows.Err()
			})
	})
	if err != nil {
		return o, fmt.Errorf("renew lease: %w", err)
	}
	if !found {
		return o, ErrFenced
	}
	return o, nil
}

// Fenced runs f in the tenant's transaction with the job row locked, if the claim is still in force; else ErrFenced.
func (db *DB) Fenced(ctx context.Context, c *Claim, f func(*Tx) error) error {
	return db.Tenant(ctx, c.CustomerID, func(tx *Tx) error {
		found := tx.Exec("SELECT 1 FROM jobs WHERE customer_id = ? AND id = ? AND fence = ? AND state = 'running' FOR UPDATE", dbID(c.CustomerID), dbID(c.ID), c.Fence)
		if found.Error != nil {
			return fmt.Errorf("lock claim: %w", found.Error)
		}
		if found.RowsAffected == 0 {
			return ErrFenced
		}
		return f(tx)
	})
}

// Park gives the worker's slot back: the job goes on at until (waiting), or at once by another worker (queued) when until is zero.
// A writing job keeps its lane. A job that was asked to stop meanwhile does not wait.
func (db *DB) Park(ctx context.Context, c *Claim, until time.Duration, phase string, checkpoint []byte) error {
	return db.Fenced(ctx, c, func(tx *Tx) error {
		state := sweep.Queued
		if until > 0 {
			state = sweep.Waiting
		}
		var version int64
		err := tx.Raw(`UPDATE jobs SET state = CASE WHEN cancel_requested THEN 'queued' ELSE ? END, phase = ?, lease_until = NULL,
			run_at = clock_timestamp() + CASE WHEN cancel_requested THEN interval '0' ELSE make_interval(secs => ?) END,
			checkpoint = coalesce(?, checkpoint), version = version + 1 WHERE customer_id = ? AND id = ? RETURNING version`,
			string(state), phase, until.Seconds(), dbBytes(checkpoint), dbID(c.CustomerID), dbID(c.ID)).Scan(&version).Error
		if err != nil {
			return fmt.Errorf("park job: %w", err)
		}
		return tx.notify(c.ID, version)
	})
}

// Checkpoint saves where the job is, sealed; what a later claim begins with.
func (db *DB) Checkpoint(ctx context.Context, c *Claim, sealed []byte) error {
	return db.Fenced(ctx, c, func(tx *Tx) error {
		return tx.Exec("UPDATE jobs SET checkpoint = ?, barren = 0 WHERE customer_id = ? AND id = ?", sealed, dbID(c.CustomerID), dbID(c.ID)).Error
	})
}

// Ending is how a claimed job ends.
type Ending struct {
	State  sweep.JobState
	Result []byte // sealed; nil keeps none
	Code   sweep.Code
	Detail string
	Done   int
	Total  int
	Units  int64
}

// Finish ends a claimed job inside a Fenced transaction: the final state, the release of what was reserved too much, the lane.
func (tx *Tx) Finish(c *Claim, e Ending) error {
	err := tx.Exec("UPDATE jobs SET result = ?, units = ?, done = ?, total = ? WHERE customer_id = ? AND id = ?",
		e.Result, e.Units, e.Done, e.Total, dbID(c.CustomerID), dbID(c.ID)).Error
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return tx.end(c.ID, e.State, e.Code, e.Detail)
}
