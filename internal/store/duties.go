package store

import (
	"context"
	"time"
)

// Duty is timed work that this process has in hand, until its lease ends or it is finished.
type Duty struct {
	Name string
	Due  time.Time  // when it should have begun; long past after a downtime
	Last *time.Time // business time of the last doing that was finished; nil before the first
	Now  time.Time  // business time of the taking
	runs int64      // the fence
}

// PlanDuty makes the duty's row if it is missing; first says when it is due for the first time, given business time.
func (db *DB) PlanDuty(ctx context.Context, name string, first func(now time.Time) time.Time) error {
	err := db.System(ctx, func(tx *Tx) error {
		return tx.Exec("INSERT INTO duties (name, next_due) VALUES (?, ?) ON CONFLICT DO NOTHING", name, first(tx.Now)).Error
	})
	return doing(err, "plan duty")
}

// TakeDuty takes a duty that is due and that nobody has in hand, for lease. Of any number of schedulers one gets it; if that one dies,
// another gets it after the lease, with the same due time.
func (db *DB) TakeDuty(ctx context.Context, name string, lease time.Duration) (d Duty, taken bool, err error) {
	err = db.System(ctx, func(tx *Tx) error {
		var rows []struct {
			NextDue  time.Time
			LastDone *time.Time
			Runs     int64
		}
		err := tx.Raw(`UPDATE duties SET runs = runs + 1, taken_until = clock_timestamp() + make_interval(secs => ?)
			WHERE name = ? AND next_due <= ? AND (taken_until IS NULL OR taken_until < clock_timestamp()) RETURNING next_due, last_done, runs`,
			lease.Seconds(), name, tx.Now).Scan(&rows).Error
		if err != nil || len(rows) == 0 {
			return err
		}
		d = Duty{Name: name, Due: rows[0].NextDue.UTC(), Last: rows[0].LastDone, Now: tx.Now, runs: rows[0].Runs}
		taken = true
		return nil
	})
	return d, taken && err == nil, doing(err, "take duty")
}

// RenewDuty keeps a duty in hand for lease from now on; false when another scheduler has taken it meanwhile: stop then.
func (db *DB) RenewDuty(ctx context.Context, d Duty, lease time.Duration) (bool, error) {
	return db.touchDuty(ctx, "renew duty", "UPDATE duties SET taken_until = clock_timestamp() + make_interval(secs => ?) WHERE name = ? AND runs = ? AND taken_until IS NOT NULL",
		lease.Seconds(), d.Name, d.runs)
}

// FinishDuty notes that the duty is done and when it is due next; false when another scheduler has taken it meanwhile.
func (db *DB) FinishDuty(ctx context.Context, d Duty, next time.Time) (bool, error) {
	return db.touchDuty(ctx, "finish duty", "UPDATE duties SET last_due = next_due, last_done = ?, next_due = ?, taken_until = NULL WHERE name = ? AND runs = ? AND taken_until IS NOT NULL",
		d.Now, next, d.Name, d.runs)
}

// DropDuty gives a duty back undone: it is due again after pause.
func (db *DB) DropDuty(ctx context.Context, d Duty, pause time.Duration) (bool, error) {
	return db.touchDuty(ctx, "drop duty", "UPDATE duties SET taken_until = clock_timestamp() + make_interval(secs => ?) WHERE name = ? AND runs = ? AND taken_until IS NOT NULL",
		pause.Seconds(), d.Name, d.runs)
}

func (db *DB) touchDuty(ctx context.Context, what, query string, args ...any) (ours bool, err error) {
	err = db.System(ctx, func(tx *Tx) error {
		done := tx.Exec(query, args...)
		ours = done.RowsAffected == 1
		return done.Error
	})
	return ours && err == nil, doing(err, what)
}

// UsageOf is what the transaction's customer used of a period; zero without a row.
func (tx *Tx) UsageOf(periodStart time.Time) (used int, err error) {
	var rows []int
	err = tx.Raw("SELECT used FROM usage_tracking WHERE customer_id = ? AND period_start = ?", dbID(tx.Customer), periodStart).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return 0, doing(err, "read usage")
	}
	return rows[0], nil
}
