package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// lockTries bounds how often work that locks whole tables steps back for transactions that hold them.
const (
	lockTries        = 20
	lockNotAvailable = "55P03"
)

// lockPatiently repeats f while somebody else holds what it wants to lock. f gives up after a moment, so that nobody queues behind it.
func lockPatiently(ctx context.Context, f func() error) error {
	for try := 0; ; try++ {
		err := f()
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != lockNotAvailable || try == lockTries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50*time.Millisecond + rand.N(200*time.Millisecond)):
		}
	}
}

// EnsurePartitions makes the missing monthly partitions of n months from month on (UTC) and says how many it made. It locks the tables
// for a moment; while somebody else holds them it tries again.
func (db *DB) EnsurePartitions(ctx context.Context, month time.Time, n int) (made int, err error) {
	err = lockPatiently(ctx, func() error {
		made, err = systemValue[int](ctx, db, "make partitions", "SELECT ensure_partitions($1::date, $2)", month.UTC().Format(time.DateOnly), n)
		return err
	})
	return made, err
}

// AgedMonths lists the months with partitions whose rows are all older than keep months before now, oldest first. A business clock
// that runs ahead makes nothing older.
func (db *DB) AgedMonths(ctx context.Context, now time.Time, keep int) ([]time.Time, error) {
	return systemRows[time.Time](ctx, db, "list aged months", `SELECT DISTINCT to_date(right(c.relname, 6), 'YYYYMM')::timestamp FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent IN ('jobs'::regclass, 'audit_logs'::regclass, 'outbox'::regclass)
		AND right(c.relname, 6) < to_char(least($1::timestamptz, now()) AT TIME ZONE 'UTC' - make_interval(months => $2), 'YYYYMM') ORDER BY 1`, now, keep)
}

// DetachMonth moves the finished month's jobs, batches, ledger, audit log and mails into the archive, where no process sees them. What
// has jobs that are not over, or mails that are still to be sent, stays and is told by its table. AnchorAudit comes first, for every
// customer. It locks the tables for some milliseconds; while somebody else holds them it tries again.
func (db *DB) DetachMonth(ctx context.Context, month time.Time) (unfinished map[string]int, err error) {
	unfinished = map[string]int{}
	for _, table := range []string{"jobs", "audit_logs", "outbox"} {
		err := lockPatiently(ctx, func() error {
			n, err := systemValue[int](ctx, db, "detach "+table, "SELECT detach_partition($1, $2::date)", table, month.UTC().Format(time.DateOnly))
			if n > 0 {
				unfinished[table] = n
			}
			return err
		})
		if err != nil {
			return unfinished, err
		}
	}
	return unfinished, nil
}

// AnchorAudit keeps what the customer's audit chain needs to be verified once the month's entries are detached. Doing it again changes
// nothing.
func (tx *Tx) AnchorAudit(month time.Time) error {
	err := tx.Exec("SELECT anchor_audit(?, ?::date)", dbID(tx.Customer), month.Format(time.DateOnly)).Error
	return doing(err, "anchor audit log")
}

// ForgetSecurityEvents deletes the events from before a time and says how many.
func (db *DB) ForgetSecurityEvents(ctx context.Context, before time.Time) (deleted int64, err error) {
	const at = 10_000 // a time: no long transaction
	for n := int64(at); n == at; deleted += n {
		err = db.System(ctx, func(tx *Tx) error {
			done := tx.Exec("DELETE FROM security_events WHERE id IN (SELECT id FROM security_events WHERE id < uuid_floor(?::timestamptz) ORDER BY id LIMIT ?)", before, at)
			n = done.RowsAffected
			return done.Error
		})
		if err != nil {
			return deleted, fmt.Errorf("forget security events: %w", err)
		}
	}
	return deleted, nil
}
