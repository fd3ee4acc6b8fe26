package bench

import (
	"context"
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// backlog says which jobs to write as rows: so many of each mailbox, as a submission would leave them.
type backlog struct {
	kind     sweep.JobKind
	each     int
	state    sweep.JobState
	customer sweep.ID      // zero: all
	step     float64       // of virtual time between a customer's jobs; 0: 1
	over     time.Duration // into the past that they were created; 0: now
}

const backlogSQL = `INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, reserved, period_start, run_at, phase, created_at, finished_at)
	SELECT m.customer_id, overlay(gen_random_uuid()::text placing left(uuid_floor(now() - make_interval(secs => @over::float8 * n / @each::int))::text, 13) || '-7' from 1 for 15)::uuid,
	  m.id, m.account, @kind, @state, @rank, @step::float8 * n, @reserved, @period, now(), @state, now(), CASE WHEN @state = 'succeeded' THEN now() END
	FROM mailboxes m, generate_series(1, @each::int) n WHERE @customer::uuid IS NULL OR m.customer_id = @customer::uuid`

// fill writes a backlog, with the quota that it reserves.
func (r *rig) fill(ctx context.Context, l backlog) error {
	args := map[string]any{"kind": string(l.kind), "state": string(l.state), "rank": l.kind.Rank(), "step": max(l.step, 1), "over": max(l.over, time.Second).Seconds(), "each": l.each, "reserved": 0,
		"period": sweep.PeriodAt(time.Now()).Start, "customer": nil}
	if !l.customer.IsZero() {
		args["customer"] = l.customer.String()
	}
	if l.kind == sweep.Execute && l.state == sweep.Queued {
		args["reserved"] = 1
		err := r.named(ctx, `INSERT INTO usage_tracking (customer_id, period_start, reserved) SELECT id, @period, @each FROM customers
			ON CONFLICT (customer_id, period_start) DO UPDATE SET reserved = excluded.reserved`, map[string]any{"period": args["period"], "each": l.each})
		if err != nil {
			return err
		}
	}
	return r.named(ctx, backlogSQL, args)
}

// emptyJobs leaves no trace of a job. What triggers keep is named too: a TRUNCATE calls none.
const emptyJobs = "TRUNCATE jobs, open_jobs, batches, usage_ledger, usage_tracking, idempotency_keys CASCADE"

// clearJobs takes all jobs away.
func (r *rig) clearJobs(ctx context.Context) error {
	return r.exec(ctx, emptyJobs, "UPDATE google_accounts SET active_job_id = NULL", "UPDATE customers SET vt = 0",
		"UPDATE dispatch_clock SET vt = 0", "CHECKPOINT")
}

// count asks how many rows a condition on jobs has.
func (r *rig) count(ctx context.Context, where string) (n int, err error) {
	if err := r.root.QueryRow(ctx, "SELECT count(*) FROM jobs WHERE "+where).Scan(&n); err != nil {
		return 0, fmt.Errorf("count jobs: %w", err)
	}
	return n, nil
}

// until asks again and again whether something holds, and says how long it took: every 5 ms, less often where the limit is beyond 25 s,
// because asking costs the database too.
func until(ctx context.Context, limit time.Duration, what string, holds func() (bool, error)) (time.Duration, error) {
	for began := time.Now(); time.Since(began) < limit; time.Sleep(max(5*time.Millisecond, limit/5000)) {
		ok, err := holds()
		if err != nil || ctx.Err() != nil {
			return 0, fmt.Errorf("wait for %s: %w", what, err)
		}
		if ok {
			return time.Since(began), nil
		}
	}
	return 0, fmt.Errorf("%s: not within %s", what, limit)
}
