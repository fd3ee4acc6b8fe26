package store

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5"

	"mailsweep/internal/sweep"
)

// Dispatched is a job handed out to Redis: the task that stands for it. Epoch numbers the handing out.
type Dispatched struct {
	Customer    sweep.ID
	Job         sweep.ID
	Epoch       int
	Kind        sweep.JobKind
	RequestID   string
	Traceparent string
}

type dispatchedRow struct {
	CustomerID, JobID      dbID
	Epoch                  int
	Kind                   string
	RequestID, Traceparent string
}

func (r dispatchedRow) value() Dispatched {
	return Dispatched{
		Customer: sweep.ID(r.CustomerID), Job: sweep.ID(r.JobID), Epoch: r.Epoch, Kind: sweep.JobKind(r.Kind),
		RequestID: r.RequestID, Traceparent: r.Traceparent,
	}
}

// Line is what a dispatcher serves on its own: jobs that write, or those that somebody waits for.
type Line struct {
	Writes bool
	Window int // at most so many jobs are in flight
	Each   int // of one customer at most so many
}

// Dispatch takes the next jobs of a line by virtual time. A writing job gets its Google account's lane with it; what ops halted or
// paused stays. Safe beside other dispatchers.
func (db *DB) Dispatch(ctx context.Context, l Line) ([]Dispatched, error) {
	jobs, err := db.dispatched(ctx, "dispatch jobs", "SELECT * FROM sys.dispatch_line($1, $2, $3)", l.Writes, l.Window, l.Each)
	for _, j := range jobs {
		if j.Epoch > 1 { // it may have been shown as waiting
			db.notifier.put(j.Customer, j.Job, 0)
		}
	}
	return jobs, err
}

// Unclaimed lists jobs that were dispatched longer than after ago and that no worker has claimed, the oldest 1,000. Without request ids.
func (db *DB) Unclaimed(ctx context.Context, after time.Duration) ([]Dispatched, error) {
	return db.dispatched(ctx, "list unclaimed jobs", "SELECT * FROM sys.unclaimed($1)", after.Seconds())
}

func (db *DB) dispatched(ctx context.Context, doing, query string, args ...any) (jobs []Dispatched, err error) {
	rows, err := systemRows[dispatchedRow](ctx, db, doing, query, args...)
	for _, r := range rows {
		jobs = append(jobs, r.value())
	}
	return jobs, err
}

// Requeue gives a dispatched job back to the dispatcher, which hands it out under a new epoch; false when it has moved on meanwhile.
func (db *DB) Requeue(ctx context.Context, customer, job sweep.ID, epoch int) (bool, error) {
	return systemValue[bool](ctx, db, "requeue job", "SELECT sys.requeue($1, $2, $3)", dbID(customer), dbID(job), epoch)
}

// DeadLease is a running job whose worker has been silent for longer than its lease.
type DeadLease struct {
	Customer sweep.ID
	Job      sweep.ID
	Poison   bool // died too often in a row: it stays running until the caller ends it
}

// DeadLeases gives jobs with a dead lease back to the queue and tells which; one that died poison times in a row without a batch is
// told as poison and left to the caller.
func (db *DB) DeadLeases(ctx context.Context, poison int) (dead []DeadLease, err error) {
	type row struct {
		CustomerID, JobID dbID
		Poison            bool
	}
	rows, err := systemRows[row](ctx, db, "sweep dead leases", "SELECT * FROM sys.dead_leases($1)", poison)
	for _, r := range rows {
		dead = append(dead, DeadLease{Customer: sweep.ID(r.CustomerID), Job: sweep.ID(r.JobID), Poison: r.Poison})
		db.notifier.put(sweep.ID(r.CustomerID), sweep.ID(r.JobID), 0)
	}
	return dead, err
}

// FreeLanes frees the lanes of Google accounts that are held by jobs which are over, and says how many.
func (db *DB) FreeLanes(ctx context.Context) (int, error) {
	return systemValue[int](ctx, db, "free lanes", "SELECT sys.free_lanes()")
}

// DuePost is a post handed out to Redis. Epoch numbers the handing out.
type DuePost struct {
	Customer  sweep.ID
	Post      sweep.ID
	Epoch     int
	Kind      string
	RequestID string
}

// OutboxDue hands out at most n posts that are due. A post that is not marked sent or failed is handed out again after a minute.
func (db *DB) OutboxDue(ctx context.Context, n int) (posts []DuePost, err error) {
	type row struct {
		CustomerID, PostID dbID
		Epoch              int
		Kind, RequestID    string
	}
	rows, err := systemRows[row](ctx, db, "take due posts", "SELECT * FROM sys.outbox_due($1)", n)
	for _, r := range rows {
		posts = append(posts, DuePost{Customer: sweep.ID(r.CustomerID), Post: sweep.ID(r.PostID), Epoch: r.Epoch, Kind: r.Kind, RequestID: r.RequestID})
	}
	return posts, err
}

// JobCount is how many open jobs of a kind stand in a state, of all customers together.
type JobCount struct {
	Kind  sweep.JobKind
	State sweep.JobState
	N     int
}

// JobCounts counts the open jobs.
func (db *DB) JobCounts(ctx context.Context) (counts []JobCount, err error) {
	type row struct {
		Kind, State string
		N           int
	}
	rows, err := systemRows[row](ctx, db, "count jobs", "SELECT * FROM sys.job_counts()")
	for _, r := range rows {
		counts = append(counts, JobCount{Kind: sweep.JobKind(r.Kind), State: sweep.JobState(r.State), N: r.N})
	}
	return counts, err
}

// Customers lists n customers whose id follows after, by id: the zero id begins.
func (db *DB) Customers(ctx context.Context, after sweep.ID, n int) ([]sweep.ID, error) {
	return db.ids(ctx, "list customers", "SELECT * FROM sys.customers_after($1::uuid, $2)", after.String(), n)
}

// TrialsEnding lists the customers whose trial ends in [from, to).
func (db *DB) TrialsEnding(ctx context.Context, from, to time.Time) ([]sweep.ID, error) {
	return db.ids(ctx, "list ending trials", "SELECT * FROM sys.trials_ending($1, $2)", from, to)
}

func (db *DB) ids(ctx context.Context, doing, query string, args ...any) (ids []sweep.ID, err error) {
	rows, err := systemRows[dbID](ctx, db, doing, query, args...)
	for _, r := range rows {
		ids = append(ids, sweep.ID(r))
	}
	return ids, err
}

// Revocable is a disconnected mailbox whose consent has not been revoked at Google yet.
type Revocable struct {
	Customer sweep.ID
	Mailbox  sweep.ID
}

// MailboxesToRevoke lists at most n of them.
func (db *DB) MailboxesToRevoke(ctx context.Context, n int) (boxes []Revocable, err error) {
	type row struct{ CustomerID, MailboxID dbID }
	rows, err := systemRows[row](ctx, db, "list mailboxes to revoke", "SELECT * FROM sys.mailboxes_to_revoke($1)", n)
	for _, r := range rows {
		boxes = append(boxes, Revocable{Customer: sweep.ID(r.CustomerID), Mailbox: sweep.ID(r.MailboxID)})
	}
	return boxes, err
}

// systemRows asks in one round trip, outside of any tenant, and scans columns into the fields of T by their names; T may be one value.
func systemRows[T any](caller context.Context, db *DB, doing, query string, args ...any) (rows []T, err error) {
	ctx, done := db.patient(caller)
	defer done()
	asked, err := db.pool.Query(ctx, query, args...)
	if err == nil {
		rows, err = pgx.CollectRows(asked, scanner[T]())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, away(caller, err))
	}
	return rows, nil
}

func scanner[T any]() pgx.RowToFunc[T] {
	if t := reflect.TypeFor[T](); t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]() {
		return pgx.RowToStructByNameLax[T]
	}
	return pgx.RowTo[T]
}

func systemValue[T any](ctx context.Context, db *DB, doing, query string, args ...any) (v T, err error) {
	rows, err := systemRows[T](ctx, db, doing, query, args...)
	if err != nil {
		return v, err
	}
	return rows[0], nil
}
