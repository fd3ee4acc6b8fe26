package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mailsweep/internal/sweep"
)

// Claim is one worker's turn at a job. Every write carries its Fence: once a newer claim exists, the writes of this one change nothing.
type Claim struct {
	JobRow
	Fence       int
	Checkpoint  []byte // sealed, of an earlier claim
	Period      time.Time
	RequestID   string
	Traceparent string
	Canceled    bool          // asked to stop before it began
	Halted      bool          // by an operator: give it back
	Away        time.Duration // since when Gmail had not answered at the last try; 0: it had
	Now         time.Time
	build       string
}

// Worker is who claims: its process's name, and its build, which ops can halt.
type Worker struct{ Name, Build string }

// claimStatement names what After(sweep.Claim) allows; a running job can be claimed only when its lease is dead.
var claimStatement = prepared(`UPDATE jobs j SET state = 'running', fence = fence + 1, worker = @worker, lease_until = clock_timestamp() + make_interval(secs => @lease),
	started_at = coalesce(started_at, now() + @offset::interval), phase = CASE WHEN phase IN ('queued','') THEN 'starting' ELSE phase END, version = version + 1,
	builds = CASE WHEN @build = ANY(builds) OR NOT cancel_requested AND halted(customer_id, kind, @build) IS NOT NULL THEN builds ELSE builds || CAST(@build AS text) END
	WHERE j.customer_id = @customer AND j.id = @job AND j.epoch = @epoch AND j.state = ANY(string_to_array(@from, ','))
	  AND (j.state <> 'running' OR j.lease_until < clock_timestamp())
	RETURNING now() + @offset::interval, fence, checkpoint, coalesce(run_at - away_since, '0'), coalesce(period_start, 'epoch'), request_id, traceparent, cancel_requested,
	  halted(j.customer_id, j.kind, @build) IS NOT NULL, ` + jobColumns)

// Claim takes a dispatched job, or one whose lease is dead, for worker, in one round trip. ok is false when the task is stale or a
// duplicate: there is nothing to do then.
func (db *DB) Claim(ctx context.Context, customer, job sweep.ID, epoch int, w Worker) (c Claim, ok bool, err error) {
	args := map[string]any{"worker": w.Name, "build": w.Build, "lease": sweep.Lease.Seconds(), "offset": db.offset, "customer": dbID(customer), "job": dbID(job),
		"epoch": epoch, "from": from(sweep.Claim)}
	var r jobRow
	err = db.batch(ctx, customer, func(q *pgx.Batch) {
		ok = false
		claimStatement.queue(q, args).QueryRow(func(row pgx.Row) error {
			err := row.Scan(append([]any{&c.Now, &c.Fence, &c.Checkpoint, &c.Away, &c.Period, &c.RequestID, &c.Traceparent, &c.Canceled, &c.Halted}, r.fields()...)...)
			ok = err == nil
			return ignoreNoRows(err)
		})
	})
	if err != nil || !ok {
		return Claim{}, false, doing(err, "claim job")
	}
	c.JobRow, c.build, c.Now, c.Period = r.job(), w.Build, c.Now.UTC(), c.Period.UTC()
	db.notifier.put(customer, job, c.Version)
	return c, true, nil
}

// Foreign says whether a customer that nobody has deleted does not have a job: a task that names both was not written by us.
func (db *DB) Foreign(ctx context.Context, customer, job sweep.ID) (foreign bool, err error) {
	err = db.Tenant(ctx, customer, func(tx *Tx) error {
		return tx.Raw(`SELECT EXISTS (SELECT FROM customers WHERE id = ? AND deleted_at IS NULL) AND NOT EXISTS (SELECT FROM jobs WHERE customer_id = ? AND id = ?)`,
			dbID(customer), dbID(customer), dbID(job)).Row().Scan(&foreign)
	})
	return foreign, doing(err, "look for a task's job")
}

func ignoreNoRows(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

// from lists the states in which an event can happen, as statements take them.
func from(e sweep.Event) string {
	var states []string
	for _, s := range e.From() {
		states = append(states, string(s))
	}
	return strings.Join(states, ",")
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
	Pause  bool // the customer asked
	Halt   bool // ops asked
	Gone   bool // the mailbox's consent
	Yield  bool // a writing job of this customer wants the same mailbox: what only reads gives way
}

var renewStatement = prepared(`WITH was AS (
	SELECT phase, done, total FROM jobs WHERE customer_id = @customer AND id = @job
), j AS (
	UPDATE jobs SET lease_until = clock_timestamp() + make_interval(secs => @lease), phase = @phase, done = @done, total = @total, per_second = @rate, units = @units,
	  version = version + CASE WHEN (phase, done, total) IS DISTINCT FROM (@phase::text, @done::int, @total::int) THEN 1 ELSE 0 END
	WHERE customer_id = @customer AND id = @job AND fence = @fence AND state = 'running' RETURNING cancel_requested, pause_requested, version, kind, customer_id, id, account, rank, mailbox_id
) SELECT cancel_requested, pause_requested, halted(j.customer_id, j.kind, @build) IS NOT NULL,
	EXISTS (SELECT FROM mailboxes m WHERE m.customer_id = j.customer_id AND m.id = j.mailbox_id AND m.state = 'needs_reconnect'),
	j.rank > 1 AND others_write(j.customer_id, j.id, j.account, '{queued,dispatched,running}'),
	CASE WHEN (was.phase, was.done, was.total) IS DISTINCT FROM (@phase::text, @done::int, @total::int) THEN version ELSE 0 END FROM j, was`)

// Renew renews the lease and shows progress; ErrFenced when the claim is not in force any more.
func (db *DB) Renew(ctx context.Context, c *Claim, b Beat) (o Orders, err error) {
	args := map[string]any{"customer": dbID(c.CustomerID), "job": dbID(c.ID), "fence": c.Fence, "lease": sweep.Lease.Seconds(), "build": c.build,
		"phase": b.Phase, "done": b.Done, "total": b.Total, "rate": b.PerSecond, "units": b.Units}
	var version int64
	err = db.batch(ctx, c.CustomerID, func(q *pgx.Batch) {
		renewStatement.queue(q, args).QueryRow(func(row pgx.Row) error { return row.Scan(&o.Cancel, &o.Pause, &o.Halt, &o.Gone, &o.Yield, &version) })
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Orders{}, ErrFenced
	case err != nil:
		return Orders{}, fmt.Errorf("renew lease: %w", err)
	case version > 0:
		db.notifier.put(c.CustomerID, c.ID, version)
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

// Parking is why a claim gives its worker's slot back before the job is over.
type Parking struct {
	Event sweep.Event   // HandBack: by another worker at once; Wait; Pause: when the customer says so
	For   time.Duration // with Wait, how long at least
	Phase string        // shown meanwhile
	Away  bool          // Gmail does not answer
	Anew  bool          // with Away: it did, earlier in this claim
	Units int64         // spent on the job so far
	Lane  bool          // with Wait: the lane goes back too, because nothing was begun

	Canceled bool // the worker knows that the job is to be canceled, and still has to wait
}

// Park gives the worker's slot back. A writing job keeps its lane unless Lane says otherwise. What the customer asked for meanwhile comes first: a job to be
// canceled goes to a worker at once, one to be paused rests, and one whose pause was taken back goes on.
func (db *DB) Park(ctx context.Context, c *Claim, p Parking) error {
	return db.Fenced(ctx, c, func(tx *Tx) error {
		cancel, pause, err := tx.orders(c.ID)
		if err != nil {
			return err
		}
		p := p.after(cancel, pause)
		if _, err := sweep.Running.After(p.Event); err != nil {
			return err
		}
		if p.Lane && c.Kind.Writes() {
			err := tx.Exec("SELECT sys.release_lane(account, id) FROM jobs WHERE customer_id = ? AND id = ?", dbID(tx.Customer), dbID(c.ID)).Error
			if err != nil {
				return doing(err, "give lane back")
			}
		}
		return tx.touch(c.ID, "park job", `state = ?, phase = ?, lease_until = NULL, pause_requested = false, units = greatest(units, ?),
			run_at = clock_timestamp() + make_interval(secs => ?),
			away_since = CASE WHEN ? THEN clock_timestamp() WHEN ? THEN coalesce(away_since, clock_timestamp()) END`,
			string(p.Event.To()), p.Phase, p.Units, p.For.Seconds(), p.Away && p.Anew, p.Away)
	})
}

// after is p in the light of what the customer has asked for by now.
func (p Parking) after(cancel, pause bool) Parking {
	switch {
	case cancel && p.Canceled:
		return p
	case cancel, p.Event == sweep.Pause && !pause:
		return Parking{Event: sweep.HandBack, Phase: "handed back", Units: p.Units}
	case pause:
		return Parking{Event: sweep.Pause, For: sweep.PauseLimit, Phase: "paused", Units: p.Units}
	}
	return p
}

// Stumble puts a job whose worker broke over it back into the queue, a little later each time, and notes why for operators. poison is
// true once that has happened sweep.PoisonLimit times in a row without a new batch: the job is left running for the caller to fail.
func (db *DB) Stumble(ctx context.Context, c *Claim, trouble string) (poison bool, err error) {
	err = db.Fenced(ctx, c, func(tx *Tx) error {
		var row struct {
			Barren  int
			Version int64
		}
		err := tx.Raw(`UPDATE jobs SET barren = barren + 1, trouble = ?, state = CASE WHEN barren + 1 >= ? THEN state ELSE 'queued' END, phase = 'handed back',
			lease_until = CASE WHEN barren + 1 >= ? THEN lease_until END, run_at = clock_timestamp() + make_interval(secs => 2 ^ barren), version = version + 1
			WHERE customer_id = ? AND id = ? RETURNING barren, version`,
			trouble, sweep.PoisonLimit, sweep.PoisonLimit, dbID(c.CustomerID), dbID(c.ID)).Scan(&row).Error
		poison = row.Barren >= sweep.PoisonLimit
		tx.notify(c.ID, row.Version)
		return doing(err, "put job back")
	})
	return poison && err == nil, err
}

// Checkpoint saves where the job is, sealed; what a later claim begins with: it takes the place of all but the first size bytes of what was
// saved. A job that gets on is no poison.
func (db *DB) Checkpoint(ctx context.Context, c *Claim, size int, sealed []byte) error {
	return db.Fenced(ctx, c, func(tx *Tx) error {
		err := tx.Exec("UPDATE jobs SET checkpoint = coalesce(substring(checkpoint FOR ?), '') || ?, barren = 0 WHERE customer_id = ? AND id = ?",
			size, sealed, dbID(c.CustomerID), dbID(c.ID)).Error
		return doing(err, "save checkpoint")
	})
}

// GotOn says, inside a Fenced transaction, that what the claim did is written where a later one finds it without a checkpoint.
func (tx *Tx) GotOn(c *Claim) error {
	err := tx.Exec("UPDATE jobs SET checkpoint = NULL, barren = 0 WHERE customer_id = ? AND id = ?", dbID(c.CustomerID), dbID(c.ID)).Error
	return doing(err, "drop checkpoint")
}

// Show writes, inside a Fenced transaction, what a job that goes on has found so far: callers see it as its result until a later one
// or the last takes its place.
func (tx *Tx) Show(c *Claim, sealed []byte) error {
	return tx.touch(c.ID, "show result", "result = ?", dbBytes(sealed))
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

const finishSQL = `UPDATE jobs SET result = @result, checkpoint = NULL, units = @units, done = @done, total = @total
	WHERE customer_id = @customer AND id = @job AND fence = @fence AND state = 'running'`

var finishStatement, endStatement = prepared(finishSQL), prepared(endSQL)

func (e Ending) args(c *Claim) map[string]any {
	return map[string]any{"result": dbBytes(e.Result), "units": e.Units, "done": e.Done, "total": e.Total, "customer": dbID(c.CustomerID), "job": dbID(c.ID), "fence": c.Fence}
}

// Finish ends a claimed job inside a Fenced transaction: the final state, the release of what was reserved too much, the lane.
func (tx *Tx) Finish(c *Claim, e Ending) error {
	if err := tx.Exec(finishSQL, e.args(c)).Error; err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return tx.end(c.ID, e.State, e.Code, e.Detail)
}

// Finish ends a claimed job that has nothing more to write, in one round trip; ErrFenced when the claim is not in force any more.
func (db *DB) Finish(ctx context.Context, c *Claim, e Ending) error {
	var version int64
	var ran float64
	err := db.batch(ctx, c.CustomerID, func(q *pgx.Batch) {
		finishStatement.queue(q, e.args(c))
		db.queueEnd(q, c, e, &version, &ran)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrFenced
	}
	if err == nil {
		db.tell(c.CustomerID, aftermath{map[sweep.ID]int64{c.ID: version}, []Ended{{Kind: c.Kind, State: e.State, Code: e.Code, Ran: seconds(ran)}}})
	}
	return doing(err, "end job")
}

func (db *DB) queueEnd(q *pgx.Batch, c *Claim, e Ending, version *int64, ran *float64) {
	args := endArgs(c.CustomerID, c.ID, e.State, e.Code, e.Detail)
	args["fence"], args["now"], args["offset"] = c.Fence, nil, db.offset
	endStatement.queue(q, args).QueryRow(func(row pgx.Row) error { return row.Scan(version, nil, ran, nil) })
}
