package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mailsweep/internal/sweep"
)

// Submission is a job to be admitted. Everything it depends on was read before, into the Admission that Made names; PlanVersion and Made
// guard that reading.
type Submission struct {
	Customer       sweep.ID
	PlanVersion    int64
	Made           *Admission // nil: the mailboxes are not compared
	Weight         float64
	EstimatedUnits float64 // of Gmail's quota: what the job adds to its customer's virtual time

	Job         sweep.ID
	Mailbox     sweep.ID
	Account     []byte
	Kind        sweep.JobKind
	Params      []byte // sealed
	CleanupPlan sweep.ID
	UndoOf      sweep.ID
	Reserve     int // messages
	Partial     bool
	Limit       int // of the period
	Now         time.Time

	MaxOpen, MaxExecutes int
	Actor                sweep.Actor
	Traceparent          string

	Route, Key  string // Idempotency-Key of the request; "" none
	RequestHash []byte
	Answer      []byte // sealed first answer
}

// Verdict is what became of a Submission: the job was admitted, or why not. Exactly one of the outcomes is set.
type Verdict struct {
	Admitted bool
	Reserved int

	ReplayAnswer []byte   // this key was answered before with this
	Mismatch     bool     // this key came before with another body
	Stale        bool     // what the submission was made from has changed: read again
	SameJob      sweep.ID // an analyze of this mailbox is open already
	PlanJob      sweep.ID // the job that consumed, or is executing, the cleanup plan
	UndoJob      sweep.ID // the job that undid, or is undoing, the run
	TooManyOpen  bool
	TooManyRuns  bool
	Halted       string
	Quota        sweep.Quota
}

// submitStatement decides and writes in one statement. The customer row is locked by the statement before it, so that every count here
// is of this moment; the usage row is guarded by its own condition as well. What the submission was made from is compared first: the
// plan's version, the standing, the connected mailboxes. A usage row made by another CTE of the same statement would be invisible to an
// UPDATE, hence INSERT … ON CONFLICT.
var submitStatement = prepared(`
WITH k AS (
  SELECT request_hash = @hash::bytea AS same, answer FROM idempotency_keys
  WHERE customer_id = @cust::uuid AND route = @route::text AND key = @key::text AND @key::text <> '' AND created_at > @now::timestamptz - interval '24 hours'
), g AS (
  SELECT
    c.plan_version = @version::bigint AND c.suspended_at IS NULL AND (@print::text = '*' OR @print::text = (
      SELECT coalesce(string_agg(id::text || state, ',' ORDER BY connected_at, id), '') FROM mailboxes WHERE customer_id = @cust::uuid AND state <> 'disconnected')) AS fresh,
    o.open, CASE WHEN c.executes_on = @day::date THEN c.executes ELSE 0 END AS executes, o.same_job,
    coalesce((SELECT consumed_by FROM cleanup_plans WHERE customer_id = @cust::uuid AND id = @plan::uuid), o.plan_job) AS plan_job,
    coalesce((SELECT undone_by FROM cleanup_runs WHERE customer_id = @cust::uuid AND job_id = @undo_of::uuid), o.undo_job) AS undo_job,
    halted(@cust::uuid, @kind::text, '') AS halted,
    coalesce(t.used, 0) AS used, coalesce(t.reserved, 0) AS reserved
  FROM customers c CROSS JOIN (
    SELECT count(*) AS open,
      (array_agg(job_id) FILTER (WHERE kind = 'analyze' AND @kind::text = 'analyze' AND mailbox_id = @mailbox::uuid))[1] AS same_job,
      (array_agg(job_id) FILTER (WHERE kind = 'execute' AND plan_id = @plan::uuid))[1] AS plan_job,
      (array_agg(job_id) FILTER (WHERE kind = 'undo' AND undo_of = @undo_of::uuid))[1] AS undo_job
    FROM open_jobs WHERE customer_id = @cust::uuid) o
  LEFT JOIN usage_tracking t ON t.customer_id = @cust::uuid AND t.period_start = @period::timestamptz
  WHERE c.id = @cust::uuid
), ok AS (
  SELECT CASE WHEN @partial::boolean THEN least(@n::int, greatest(0, @limit::int - used - reserved)) ELSE @n::int END AS n FROM g
  WHERE NOT EXISTS (SELECT FROM k) AND fresh AND same_job IS NULL AND plan_job IS NULL AND undo_job IS NULL AND halted IS NULL
    AND open < @max_open::int AND (@kind::text <> 'execute' OR executes < @max_executes::int)
), u AS (
  INSERT INTO usage_tracking AS t (customer_id, period_start, reserved)
  SELECT @cust::uuid, @period::timestamptz, n FROM ok WHERE n > 0 AND n <= @limit::int
  ON CONFLICT (customer_id, period_start) DO UPDATE SET reserved = t.reserved + excluded.reserved
    WHERE t.used + t.reserved + excluded.reserved <= @limit::int
  RETURNING 1
), c AS (
  UPDATE customers SET vt = greatest(vt, (SELECT d.vt FROM dispatch_clock d)) + @units::float8 / @weight::float8, executes_on = @day::date,
    executes = CASE WHEN executes_on = @day::date THEN executes ELSE 0 END + CASE WHEN @kind::text = 'execute' THEN 1 ELSE 0 END
  WHERE id = @cust::uuid AND EXISTS (SELECT FROM ok WHERE n = 0 AND @n::int = 0 OR EXISTS (SELECT FROM u)) RETURNING vt
), j AS (
  INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, params, plan_id, undo_of, reserved, period_start, run_at,
                    phase, actor, request_id, traceparent, created_at)
  SELECT @cust::uuid, @job::uuid, @mailbox::uuid, @account::bytea, @kind::text, 'queued', @rank::smallint, c.vt, @params::bytea, @plan::uuid, @undo_of::uuid, (SELECT n FROM ok), @period::timestamptz, clock_timestamp(),
         'queued', @actor::text, @request::text, @trace::text, @now::timestamptz FROM c
  RETURNING id, reserved
), i AS (
  INSERT INTO idempotency_keys (customer_id, route, key, request_hash, status, answer, created_at)
  SELECT @cust::uuid, @route::text, @key::text, @hash::bytea, 202, @answer::bytea, @now::timestamptz FROM j WHERE @key::text <> ''
  ON CONFLICT (customer_id, route, key) DO UPDATE SET request_hash = excluded.request_hash, answer = excluded.answer, created_at = excluded.created_at
), a AS (
  SELECT audit(@cust::uuid, @audit::uuid, @now::timestamptz, @actor::text, 'job.' || @kind::text, @job_shown::text, @request::text, @address::bytea, jsonb_build_object('reserved', j.reserved)) FROM j
)
SELECT (SELECT id FROM j) IS NOT NULL, coalesce((SELECT reserved FROM j), 0), (SELECT same FROM k), (SELECT answer FROM k),
  g.fresh, g.same_job, g.plan_job, g.undo_job, g.open >= @max_open::int, @kind::text = 'execute' AND g.executes >= @max_executes::int,
  coalesce(g.halted, ''), g.used, g.reserved, (SELECT count(*) FROM a) FROM g`)

// Submit admits a job or says why not: quota, job, idempotency row and audit entry stand or fall together, in one round trip.
func (db *DB) Submit(ctx context.Context, s Submission) (Verdict, error) {
	period := sweep.PeriodAt(s.Now)
	v := Verdict{Quota: sweep.Quota{Limit: s.Limit, Period: period}}
	id := (&Tx{Now: s.Now}).NewID()
	args := map[string]any{
		"cust": dbID(s.Customer), "version": s.PlanVersion, "weight": s.Weight, "units": s.EstimatedUnits,
		"job": dbID(s.Job), "job_shown": sweep.JobID.Show(s.Job), "mailbox": dbID(s.Mailbox), "account": s.Account, "kind": string(s.Kind),
		"rank": s.Kind.Rank(), "params": s.Params, "plan": dbID(s.CleanupPlan), "undo_of": dbID(s.UndoOf), "n": s.Reserve, "partial": s.Partial,
		"limit": s.Limit, "now": s.Now, "period": period.Start, "max_open": s.MaxOpen, "max_executes": s.MaxExecutes, "actor": s.Actor.String(),
		"request": s.Actor.RequestID, "address": s.Actor.AddressHash, "trace": s.Traceparent, "audit": dbID(id),
		"route": s.Route, "key": s.Key, "hash": s.RequestHash, "answer": s.Answer, "day": s.Now.UTC().Format(time.DateOnly), "print": s.print(),
	}
	var same *bool
	var fresh *bool
	var sameJob, planJob, undoJob dbID
	err := db.batch(ctx, s.Customer, func(b *pgx.Batch) {
		// NO KEY: a worker that holds the usage row may insert a row whose foreign key looks at this customer
		b.Queue("SELECT 1 FROM customers WHERE id = $1 FOR NO KEY UPDATE", dbID(s.Customer))
		submitStatement.queue(b, args).QueryRow(func(row pgx.Row) error {
			return row.Scan(&v.Admitted, &v.Reserved, &same, &v.ReplayAnswer, &fresh, &sameJob, &planJob, &undoJob,
				&v.TooManyOpen, &v.TooManyRuns, &v.Halted, &v.Quota.Used, &v.Quota.Reserved, new(int64))
		})
	})
	if errors.Is(err, pgx.ErrNoRows) { // the customer is gone
		return Verdict{Stale: true}, nil
	}
	if err != nil {
		return v, fmt.Errorf("submit job: %w", err)
	}
	v.Mismatch = same != nil && !*same
	v.Stale = fresh == nil || !*fresh
	v.SameJob, v.PlanJob, v.UndoJob = sweep.ID(sameJob), sweep.ID(planJob), sweep.ID(undoJob)
	return v, nil
}

// Answered says what Submit would of a key alone: that it was answered before, with what, or that it came with another body. Neither: it
// was not answered, or longer than a day ago.
func (db *DB) Answered(ctx context.Context, customer sweep.ID, route, key string, hash []byte, now time.Time) (v Verdict, err error) {
	same := true
	err = db.batch(ctx, customer, func(b *pgx.Batch) {
		b.Queue(`SELECT request_hash = $4, answer FROM idempotency_keys
			WHERE customer_id = $1 AND route = $2 AND key = $3 AND created_at > $5::timestamptz - interval '24 hours'`, dbID(customer), route, key, hash, now).
			QueryRow(func(row pgx.Row) error { return ignoreNoRows(row.Scan(&same, &v.ReplayAnswer)) })
	})
	v.Mismatch = !same
	return v, doing(err, "look up key")
}

func (s *Submission) print() string {
	if s.Made == nil {
		return "*"
	}
	return s.Made.print
}

// ErrFenced says that a newer claim has the job: the caller must stop at once and write nothing more.
var ErrFenced = errors.New("fenced: another claim has this job")
