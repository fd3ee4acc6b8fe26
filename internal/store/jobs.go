package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

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
	j.state IN ('queued','waiting') AND j.rank <= 1 AND others_write(j.customer_id, j.id, j.account, '{dispatched,running,waiting}') AS lane_busy`

// fields are where the columns of jobColumns go, in their order.
func (r *jobRow) fields() []any {
	return []any{&r.CustomerID, &r.ID, &r.MailboxID, &r.Account, &r.Kind, &r.State, &r.Phase, &r.Done, &r.Total, &r.PerSecond, &r.Units, &r.Version,
		&r.Params, &r.Result, &r.PlanID, &r.UndoOf, &r.Reserved, &r.Settled, &r.ErrorCode, &r.ErrorDetail, &r.Actor, &r.RunAt, &r.CreatedAt, &r.StartedAt, &r.FinishedAt,
		&r.LaneBusy}
}

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

// JobShown reads one job in one round trip, with the wrapped data key that its result is sealed with, if it has one; NotFound if the
// customer has none of this id.
func (db *DB) JobShown(ctx context.Context, customer, id sweep.ID) (job JobRow, dataKey []byte, err error) {
	var r jobRow
	found := false
	err = db.batch(ctx, customer, func(q *pgx.Batch) {
		found = false
		q.Queue("SELECT CASE WHEN j.result IS NOT NULL THEN (SELECT data_key FROM customers c WHERE c.id = j.customer_id) END, "+jobColumns+
			" FROM jobs j WHERE j.customer_id = $1 AND j.id = $2", dbID(customer), dbID(id)).QueryRow(func(row pgx.Row) error {
			err := row.Scan(append([]any{&dataKey}, r.fields()...)...)
			found = err == nil
			return ignoreNoRows(err)
		})
	})
	if err == nil && !found {
		err = sweep.Errorf(sweep.NotFound, "there is no such job")
	}
	return r.job(), dataKey, doing(err, "read job")
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

// lock reads the state of one job and keeps it until the transaction's end.
func (tx *Tx) lock(id sweep.ID) (sweep.JobState, error) {
	var row struct{ State string }
	found := tx.Raw("SELECT state FROM jobs WHERE customer_id = ? AND id = ? FOR UPDATE", dbID(tx.Customer), dbID(id)).Scan(&row)
	if found.Error != nil {
		return "", fmt.Errorf("lock job: %w", found.Error)
	}
	if found.RowsAffected == 0 {
		return "", sweep.Errorf(sweep.NotFound, "there is no such job")
	}
	return sweep.JobState(row.State), nil
}

// RequestCancel asks a job to stop: one that no worker has is over at once and its reservation released; a running one is told by a
// signal, at the latest at its next heartbeat. What is canceled already stays so; what is over otherwise is Conflict.
func (tx *Tx) RequestCancel(id sweep.ID) error {
	state, err := tx.lock(id)
	if err != nil || state == sweep.Canceled {
		return err
	}
	if _, err := state.After(sweep.Cancel); err != nil {
		return sweep.Errorf(sweep.Conflict, "the job is over: %s", state)
	}
	if state != sweep.Running && tx.untouched(id) {
		return tx.end(id, sweep.Canceled, "", "")
	}
	// what stands in the middle of its work is woken, so that a worker can end it properly
	next := state
	if woken, err := state.After(sweep.Wake); err == nil {
		next = woken
	}
	return tx.touch(id, "cancel job", "cancel_requested = true, state = ?, run_at = clock_timestamp()", string(next))
}

// RequestPause asks a job to rest: one that no worker has does so at once, a running one at its next edge, told like a cancel. It keeps
// its place, its quota and its mailbox, for sweep.PauseLimit at most. Conflict when it is over or about to be canceled.
func (tx *Tx) RequestPause(id sweep.ID) error {
	state, err := tx.lock(id)
	if err != nil {
		return err
	}
	canceled, _, err := tx.orders(id)
	if err != nil {
		return err
	}
	next, err := state.After(sweep.Pause)
	switch {
	case canceled && !state.Done():
		return sweep.Errorf(sweep.Conflict, "the job is being canceled")
	case state == sweep.Paused:
		return nil
	case err != nil:
		return err
	case state == sweep.Running:
		return tx.touch(id, "pause job", "pause_requested = true")
	}
	return tx.touch(id, "pause job", "state = ?, phase = 'paused', pause_requested = false, run_at = clock_timestamp() + make_interval(secs => ?)", string(next), sweep.PauseLimit.Seconds())
}

// orders are what the customer asked of a job that nobody has done yet.
func (tx *Tx) orders(id sweep.ID) (cancel, pause bool, err error) {
	err = tx.Raw("SELECT cancel_requested, pause_requested FROM jobs WHERE customer_id = ? AND id = ?", dbID(tx.Customer), dbID(id)).Row().Scan(&cancel, &pause)
	return cancel, pause, doing(err, "read orders")
}

// Resume lets a paused job go on, and takes back a pause that has not happened yet. Conflict when the job is over.
func (tx *Tx) Resume(id sweep.ID) error {
	state, err := tx.lock(id)
	if err != nil {
		return err
	}
	if state.Done() {
		return sweep.Errorf(sweep.Conflict, "the job is over: %s", state)
	}
	if state != sweep.Paused {
		return tx.touch(id, "resume job", "pause_requested = false")
	}
	return tx.touch(id, "resume job", "state = ?, phase = 'queued', pause_requested = false, away_since = NULL, run_at = clock_timestamp()", string(sweep.Resume.To()))
}

// touch changes columns of a locked job and tells who waits for it.
func (tx *Tx) touch(id sweep.ID, what, set string, args ...any) error {
	var version int64
	err := tx.Raw("UPDATE jobs SET "+set+", version = version + 1 WHERE customer_id = ? AND id = ? RETURNING version", append(args, dbID(tx.Customer), dbID(id))...).Scan(&version).Error
	tx.notify(id, version)
	return doing(err, what)
}

func (tx *Tx) notify(job sweep.ID, version int64) { tx.after.changed[job] = version }

// untouched says that no batch was begun: nothing at Gmail can have changed.
func (tx *Tx) untouched(id sweep.ID) bool {
	var n int64
	err := tx.Raw("SELECT count(*) FROM batches WHERE customer_id = ? AND job_id = ?", dbID(tx.Customer), dbID(id)).Scan(&n).Error
	return err == nil && n == 0
}

// Begun says whether a batch of the job was begun: something at Gmail may have changed.
func (tx *Tx) Begun(id sweep.ID) bool { return !tx.untouched(id) }

// CancelMailboxJobs asks every open job of a mailbox (of the zero one: of the customer) to stop. It locks all of them before it moves what any has reserved.
func (tx *Tx) CancelMailboxJobs(mailbox sweep.ID) error {
	ids, err := tx.openJobs(mailbox)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := tx.RequestCancel(id); err != nil && sweep.CodeOf(err) != sweep.Conflict {
			return err
		}
	}
	return nil
}

// openJobs locks the open jobs of a mailbox, by id; of the zero mailbox all.
func (tx *Tx) openJobs(mailbox sweep.ID) (ids []sweep.ID, err error) {
	var rows []dbID
	err = tx.Raw(`SELECT id FROM jobs WHERE customer_id = ? AND (?::uuid IS NULL OR mailbox_id = ?) AND state NOT IN ('succeeded','failed','canceled') ORDER BY id FOR UPDATE`,
		dbID(tx.Customer), dbID(mailbox), dbID(mailbox)).Scan(&rows).Error
	for _, r := range rows {
		ids = append(ids, sweep.ID(r))
	}
	return ids, doing(err, "list open jobs")
}

// EndUnclaimed ends a job that no worker holds (poison, a foreign payload), releasing what it reserved.
func (tx *Tx) EndUnclaimed(id sweep.ID, state sweep.JobState, code sweep.Code, detail string) error {
	now, err := tx.lock(id)
	if sweep.CodeOf(err) == sweep.NotFound || now.Done() {
		return nil
	}
	if err != nil {
		return err
	}
	return tx.end(id, state, code, detail)
}

// endSQL writes the final state of a job and settles what it still held. The fence grows, so that a late writer is refused. (Casts are
// spelled out because gorm takes "::" for part of a name.)
const endSQL = `
	WITH j AS (
	  UPDATE jobs SET state = @state, error_code = @code, error_detail = @detail, finished_at = coalesce(CAST(@now AS timestamptz), now() + CAST(@offset AS interval)),
	    fence = fence + 1, lease_until = NULL, phase = @state, pause_requested = false, version = version + 1
	  WHERE customer_id = @customer AND id = @job AND state = ANY(string_to_array(@from, ',')) AND (CAST(@fence AS int) = 0 OR fence = @fence)
	  RETURNING customer_id, id, account, rank, period_start, reserved - settled AS rest, version, finished_at, kind, extract(epoch FROM finished_at - started_at) AS ran
	), u AS (
	  UPDATE usage_tracking u SET reserved = u.reserved - j.rest FROM j
	  WHERE u.customer_id = j.customer_id AND u.period_start = j.period_start AND j.rest > 0
	), p AS (
	  UPDATE cleanup_runs r SET state = @state, finished_at = j.finished_at FROM j WHERE r.customer_id = j.customer_id AND r.job_id = j.id AND j.rank <= 1
	)
	SELECT version, kind, coalesce(CAST(ran AS float8), 0) AS ran, CASE WHEN rank <= 1 THEN sys.release_lane(account, id) END FROM j`

func endArgs(customer, job sweep.ID, state sweep.JobState, code sweep.Code, detail string) map[string]any {
	return map[string]any{"state": string(state), "code": string(code), "detail": detail, "customer": dbID(customer), "job": dbID(job), "from": from(state.Ends())}
}

// end writes the final state of a locked job.
func (tx *Tx) end(id sweep.ID, state sweep.JobState, code sweep.Code, detail string) error {
	args := endArgs(tx.Customer, id, state, code, detail)
	args["fence"], args["now"], args["offset"] = 0, tx.Now, "0"
	var rows []struct {
		Version int64
		Kind    string
		Ran     float64
	}
	if err := tx.Raw(endSQL, args).Scan(&rows).Error; err != nil {
		return fmt.Errorf("end job: %w", err)
	}
	if len(rows) == 0 {
		return sweep.Errorf(sweep.Conflict, "the job cannot become %s", state)
	}
	tx.notify(id, rows[0].Version)
	tx.after.ended = append(tx.after.ended, Ended{Kind: sweep.JobKind(rows[0].Kind), State: state, Code: code, Ran: seconds(rows[0].Ran)})
	return nil
}
