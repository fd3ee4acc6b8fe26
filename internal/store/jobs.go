package store

import (
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// JobRow is a job with what only the inside needs. Params and Result are sealed.
type JobRow struct {
	sweep.Job
	Account      []byte
	Params       []byte
	SealedResult []byte
	CleanupPlan  sweep.ID
	UndoOf       sweep.ID
	Reserved     int
	Settled      int
	Actor        string
	LaneBusy     bool // queued behind another writing job of this customer on the same Google account
}

type jobRow struct {
	CustomerID, ID, MailboxID dbID
	Account                   []byte
	Kind, State, Phase        string
	Done, Total               int
	PerSecond                 float64
	Units, Version            int64
	Params, Result            []byte
	PlanID, UndoOf            dbID
	Reserved, Settled         int
	ErrorCode, ErrorDetail    string
	Actor                     string
	RunAt, CreatedAt          time.Time
	StartedAt, FinishedAt     *time.Time
	LaneBusy                  bool
}

const jobColumns = `j.customer_id, j.id, j.mailbox_id, j.account, j.kind, j.state, j.phase, j.done, j.total, j.per_second, j.units, j.version,
	j.params, j.result, j.plan_id, j.undo_of, j.reserved, j.settled, j.error_code, j.error_detail, j.actor, j.run_at, j.created_at, j.started_at, j.finished_at,
	j.state IN ('queued','waiting') AND j.rank <= 1 AND EXISTS (SELECT FROM jobs o WHERE o.customer_id = j.customer_id AND o.account = j.account
	  AND o.rank <= 1 AND o.id <> j.id AND o.state IN ('dispatched','running','waiting')) AS lane_busy`

func (r jobRow) job() JobRow {
	j := JobRow{
		Job: sweep.Job{
			ID: sweep.ID(r.ID), CustomerID: sweep.ID(r.CustomerID), MailboxID: sweep.ID(r.MailboxID), Kind: sweep.JobKind(r.Kind), State: sweep.JobState(r.State),
			Phase: r.Phase, CreatedAt: r.CreatedAt.UTC(), StartedAt: r.StartedAt, FinishedAt: r.FinishedAt, Units: r.Units, Version: r.Version,
			Progress: progress(r),
		},
		Account: r.Account, Params: r.Params, SealedResult: r.Result, CleanupPlan: sweep.ID(r.PlanID), UndoOf: sweep.ID(r.UndoOf),
		Reserved: r.Reserved, Settled: r.Settled, Actor: r.Actor, LaneBusy: r.LaneBusy,
	}
	if r.ErrorCode != "" {
		j.Error = &sweep.JobError{Code: sweep.Code(r.ErrorCode), Detail: r.ErrorDetail}
	}
	if j.State == sweep.Waiting {
		at := r.RunAt.UTC()
		j.WaitingUntil = &at
	}
	if r.LaneBusy && j.State == sweep.Queued {
		j.State, j.Phase = sweep.Waiting, "waiting for another job on this mailbox"
	}
	return j
}

func progress(r jobRow) sweep.Progress {
	p := sweep.ProgressOf(r.Done, r.Total, 0)
	p.PerSecond = r.PerSecond
	if r.PerSecond > 0 {
		p.ETASeconds = int(float64(max(0, r.Total-r.Done))/r.PerSecond + 0.5)
	}
	return p
}

// Job reads one job; NotFound if the customer has none of this id.
func (tx *Tx) Job(id sweep.ID) (JobRow, error) {
	var rows []jobRow
	if err := tx.Raw("SELECT "+jobColumns+" FROM jobs j WHERE j.customer_id = ? AND j.id = ?", dbID(tx.Customer), dbID(id)).Scan(&rows).Error; err != nil {
		return JobRow{}, fmt.Errorf("read job: %w", err)
	}
	if len(rows) == 0 {
		return JobRow{}, sweep.Errorf(sweep.NotFound, "there is no such job")
	}
	return rows[0].job(), nil
}

// Jobs lists the newest first, those before the cursor id if it is not zero. An empty kind or state list narrows nothing.
func (tx *Tx) Jobs(kind sweep.JobKind, states []string, before sweep.ID, limit int) ([]JobRow, error) {
	q := tx.Table("jobs j").Select(jobColumns).Where("j.customer_id = ?", dbID(tx.Customer))
	if kind != "" {
		q = q.Where("j.kind = ?", string(kind))
	}
	if len(states) > 0 {
		q = q.Where("j.state IN ?", states)
	}
	if !before.IsZero() {
		q = q.Where("j.id < ?", dbID(before))
	}
	var rows []jobRow
	if err := q.Order("j.id DESC").Limit(limit).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	jobs := make([]JobRow, 0, len(rows))
	for _, r := range rows {
		jobs = append(jobs, r.job())
	}
	return jobs, nil
}

// RequestCancel asks a job to stop: one that no worker has is over at once and its reservation released;
// a running one is told at its next heartbeat. What is over already is Conflict.
func (tx *Tx) RequestCancel(id sweep.ID) error {
	var row struct{ State string }
	found := tx.Raw("SELECT state FROM jobs WHERE customer_id = ? AND id = ? FOR UPDATE", dbID(tx.Customer), dbID(id)).Scan(&row)
	if found.Error != nil {
		return fmt.Errorf("lock job: %w", found.Error)
	}
	if found.RowsAffected == 0 {
		return sweep.Errorf(sweep.NotFound, "there is no such job")
	}
	if sweep.JobState(row.State).Done() {
		return sweep.Errorf(sweep.Conflict, "the job is over: %s", row.State)
	}
	if err := tx.Exec("UPDATE jobs SET cancel_requested = true, version = version + 1 WHERE customer_id = ? AND id = ?", dbID(tx.Customer), dbID(id)).Error; err != nil {
		return fmt.Errorf("request cancel: %w", err)
	}
	if (row.State == string(sweep.Queued) || row.State == string(sweep.Waiting)) && tx.untouched(id) {
		return tx.end(id, sweep.Canceled, "", "")
	}
	// a waiting job in the middle of its work is woken, so that a worker can end it properly
	return tx.Exec("UPDATE jobs SET state = 'queued', run_at = clock_timestamp() WHERE customer_id = ? AND id = ? AND state = 'waiting'", dbID(tx.Customer), dbID(id)).Error
}

// untouched says that no batch was begun: nothing at Gmail can have changed.
func (tx *Tx) untouched(id sweep.ID) bool {
	var n int64
	err := tx.Raw("SELECT count(*) FROM batches WHERE customer_id = ? AND job_id = ?", dbID(tx.Customer), dbID(id)).Scan(&n).Error
	return err == nil && n == 0
}

// CancelMailboxJobs asks every open job of a mailbox to stop.
func (tx *Tx) CancelMailboxJobs(mailbox sweep.ID) error {
	var ids []dbID
	err := tx.Raw(`SELECT id FROM jobs WHERE customer_id = ? AND mailbox_id = ? AND state NOT IN ('succeeded','failed','canceled') ORDER BY id`,
		dbID(tx.Customer), dbID(mailbox)).Scan(&ids).Error
	if err != nil {
		return fmt.Errorf("list open jobs: %w", err)
	}
	for _, id := range ids {
		if err := tx.RequestCancel(sweep.ID(id)); err != nil && sweep.CodeOf(err) != sweep.Conflict {
			return err
		}
	}
	return nil
}

// EndUnclaimed ends a job that no worker holds (poison, a foreign payload), releasing what it reserved.
func (tx *Tx) EndUnclaimed(id sweep.ID, state sweep.JobState, code sweep.Code, detail string) error {
	found := tx.Exec(`SELECT 1 FROM jobs WHERE customer_id = ? AND id = ? AND state NOT IN ('succeeded','failed','canceled') FOR UPDATE`,
		dbID(tx.Customer), dbID(id))
	if found.Error != nil || found.RowsAffected == 0 {
		return found.Error
	}
	return tx.end(id, state, code, detail)
}

// end writes the final state of a locked job and settles what it still held. The fence grows, so that a late writer is refused.
func (tx *Tx) end(id sweep.ID, state sweep.JobState, code sweep.Code, detail string) error {
	err := tx.Exec(`
		WITH j AS (
		  UPDATE jobs SET state = ?, error_code = ?, error_detail = ?, finished_at = ?, fence = fence + 1, lease_until = NULL, phase = ?, version = version + 1
		  WHERE customer_id = ? AND id = ? RETURNING customer_id, id, account, period_start, reserved - settled AS rest, version
		), u AS (
		  UPDATE usage_tracking u SET reserved = u.reserved - j.rest FROM j
		  WHERE u.customer_id = j.customer_id AND u.period_start = j.period_start AND j.rest > 0
		), p AS (
		  UPDATE cleanup_runs r SET state = ?, finished_at = ? FROM j WHERE r.customer_id = j.customer_id AND r.job_id = j.id
		)
		SELECT pg_notify('job', j.customer_id || ' ' || j.id || ' ' || j.version), sys.release_lane(j.account, j.id) FROM j`,
		string(state), string(code), detail, tx.Now, string(state), dbID(tx.Customer), dbID(id), string(state), tx.Now).Error
	if err != nil {
		return fmt.Errorf("end job: %w", err)
	}
	return nil
}
