package store

import (
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// Drift is a period whose reserved figure was not the sum of what its open jobs still hold.
type Drift struct {
	Period   time.Time
	Was, Now int
}

// RepairReservations makes reserved what the open jobs hold, and tells what it changed: nothing, unless there is a fault of ours. It
// locks the usage rows first: whoever moves a reservation writes there, so the sums that follow are of a moment.
func (tx *Tx) RepairReservations() (drifts []Drift, err error) {
	var rows []struct {
		PeriodStart time.Time
		Was, Held   int
	}
	if err := tx.Exec("SELECT 1 FROM usage_tracking WHERE customer_id = ? ORDER BY period_start FOR UPDATE", dbID(tx.Customer)).Error; err != nil {
		return nil, fmt.Errorf("lock usage: %w", err)
	}
	err = tx.Raw(`WITH held AS (
		SELECT u.period_start, u.reserved, (SELECT coalesce(sum(j.reserved - j.settled), 0) FROM jobs j WHERE j.customer_id = u.customer_id AND j.period_start = u.period_start
		  AND j.state NOT IN ('succeeded','failed','canceled')) AS held FROM usage_tracking u WHERE u.customer_id = ?
	) UPDATE usage_tracking u SET reserved = h.held FROM held h
	  WHERE u.customer_id = ? AND u.period_start = h.period_start AND h.held <> h.reserved RETURNING u.period_start, h.reserved AS was, h.held`,
		dbID(tx.Customer), dbID(tx.Customer)).Scan(&rows).Error
	for _, r := range rows {
		drifts = append(drifts, Drift{Period: r.PeriodStart.UTC(), Was: r.Was, Now: r.Held})
	}
	return drifts, doing(err, "repair reservations")
}

// CancelOverduePauses cancels the jobs that have been paused for longer than sweep.PauseLimit and says which.
func (tx *Tx) CancelOverduePauses() (jobs []sweep.ID, err error) {
	var ids []dbID
	err = tx.Raw("SELECT id FROM jobs WHERE customer_id = ? AND state = 'paused' AND run_at < clock_timestamp() ORDER BY id FOR UPDATE", dbID(tx.Customer)).Scan(&ids).Error
	if err != nil {
		return nil, fmt.Errorf("list overdue pauses: %w", err)
	}
	for _, id := range ids {
		if err := tx.RequestCancel(sweep.ID(id)); err != nil {
			return jobs, err
		}
		jobs = append(jobs, sweep.ID(id))
	}
	return jobs, nil
}

// Rerun lets a failed job go on where its last batch ended, with as much quota as it still needs of this period, of which limit messages
// are allowed. QuotaExceeded if that does not fit; Conflict if the job did not fail, its run was settled (what it left is a
// remainder plan) or undone, or another job has taken its plan up.
func (tx *Tx) Rerun(id sweep.ID, limit int) error {
	// like a submission, which must not take up the same plan beside it
	if err := tx.Exec("SELECT 1 FROM customers WHERE id = ? FOR NO KEY UPDATE", dbID(tx.Customer)).Error; err != nil {
		return fmt.Errorf("lock customer: %w", err)
	}
	state, err := tx.lock(id)
	if err != nil {
		return err
	}
	if _, err := state.After(sweep.Rerun); err != nil {
		return err
	}
	if err := tx.rerunnable(id); err != nil {
		return err
	}
	period := sweep.PeriodAt(tx.Now).Start
	reserved := tx.Exec(`INSERT INTO usage_tracking AS t (customer_id, period_start, reserved)
		SELECT customer_id, ?, reserved - settled FROM jobs WHERE customer_id = ? AND id = ? AND (reserved - settled BETWEEN 1 AND ?)
		ON CONFLICT (customer_id, period_start) DO UPDATE SET reserved = t.reserved + excluded.reserved WHERE t.used + t.reserved + excluded.reserved <= ?`,
		period, dbID(tx.Customer), dbID(id), limit, limit)
	if reserved.Error != nil {
		return fmt.Errorf("reserve again: %w", reserved.Error)
	}
	err = tx.touch(id, "rerun job", `state = ?, phase = 'queued', error_code = '', error_detail = '', finished_at = NULL, result = NULL, cancel_requested = false, barren = 0, away_since = NULL,
		run_at = clock_timestamp(), period_start = ?`, string(sweep.Rerun.To()), period)
	if err != nil {
		return err
	}
	var need int
	if err := tx.Raw("SELECT reserved - settled FROM jobs WHERE customer_id = ? AND id = ?", dbID(tx.Customer), dbID(id)).Row().Scan(&need); err != nil {
		return fmt.Errorf("read need: %w", err)
	}
	if need > 0 && reserved.RowsAffected == 0 {
		return sweep.Errorf(sweep.QuotaExceeded, "the %d messages that are left do not fit into what remains of this month's quota", need)
	}
	return tx.Exec("UPDATE cleanup_runs SET state = 'running', finished_at = NULL WHERE customer_id = ? AND job_id = ?", dbID(tx.Customer), dbID(id)).Error
}

// rerunnable refuses what has been taken up otherwise since the job failed.
func (tx *Tx) rerunnable(id sweep.ID) error {
	var taken bool
	err := tx.Raw(`SELECT EXISTS (SELECT FROM cleanup_runs WHERE customer_id = j.customer_id AND job_id = j.id AND (undone_by IS NOT NULL OR history_to IS NOT NULL))
		OR EXISTS (SELECT FROM cleanup_plans p WHERE p.customer_id = j.customer_id AND p.id = j.plan_id AND p.consumed_by <> j.id)
		OR EXISTS (SELECT FROM jobs o WHERE o.customer_id = j.customer_id AND o.id <> j.id AND o.state NOT IN ('succeeded','failed','canceled')
		  AND (o.plan_id = j.plan_id AND o.kind = j.kind OR o.undo_of = coalesce(j.undo_of, j.id)))
		FROM jobs j WHERE j.customer_id = ? AND j.id = ?`, dbID(tx.Customer), dbID(id)).Row().Scan(&taken)
	if err != nil {
		return fmt.Errorf("look for successors: %w", err)
	}
	if taken {
		return sweep.Errorf(sweep.Conflict, "the job cannot go on: its run was settled or undone, or another job has taken it up")
	}
	return nil
}
