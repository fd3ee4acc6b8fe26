package store

import (
	"context"
	"strings"
	"time"

	"mailsweep/internal/sweep"
)

// Depth is the open jobs of a kind of all customers on a plan; a free customer's trial counts as plan "trial".
type Depth struct {
	Kind                             sweep.JobKind
	Plan                             string
	Queued, Running, Waiting, Paused int
	Oldest                           time.Duration // how long the first of the queued may run already
}

// Depths counts open jobs by kind and plan, at most the first most of each line. For the ops login.
func (db *DB) Depths(ctx context.Context, most int) (depths []Depth, err error) {
	type row struct {
		Kind, Plan                       string
		Queued, Running, Waiting, Paused int
		Age                              float64
	}
	err = db.System(ctx, func(tx *Tx) error {
		var rows []row
		err := tx.Raw("SELECT * FROM sys.ops_depth(?, ?)", tx.Now, most).Scan(&rows).Error
		for _, r := range rows {
			depths = append(depths, Depth{Kind: sweep.JobKind(r.Kind), Plan: r.Plan, Queued: r.Queued, Running: r.Running, Waiting: r.Waiting, Paused: r.Paused, Oldest: seconds(r.Age)})
		}
		return err
	})
	return depths, doing(err, "count jobs by kind and plan")
}

// OpsFilter says which jobs of all customers to list, newest first.
type OpsFilter struct {
	View     string // open, queued, running, waiting, stuck, failed; all wants a Customer, job wants Job
	Kind     sweep.JobKind
	Customer sweep.ID
	Job      sweep.ID
	Before   sweep.ID // a page begins behind it
	N        int
	Most     int // open ones are looked for among so many of each line
}

// OpsJob is a job as operators see it: no mail data.
type OpsJob struct {
	Customer, ID          sweep.ID
	Kind                  sweep.JobKind
	State                 sweep.JobState
	Plan, Phase, Worker   string
	Done, Total           int
	PerSecond             float64
	Builds                []string
	Claims, Barren        int // claims so far; how many of the last ended without progress
	Code                  sweep.Code
	Trouble, Stuck        string // why the last claim broke; why it does not get on
	RunAt, CreatedAt      time.Time
	StartedAt, FinishedAt *time.Time
}

type opsJobRow struct {
	CustomerID, ID                                      dbID
	Kind, State, Plan, Phase, Worker, Builds, ErrorCode string
	Trouble, Stuck                                      string
	Done, Total, Fence, Barren                          int
	PerSecond                                           float64
	RunAt, CreatedAt                                    time.Time
	StartedAt, FinishedAt                               *time.Time
}

func (r opsJobRow) job() OpsJob {
	return OpsJob{Customer: sweep.ID(r.CustomerID), ID: sweep.ID(r.ID), Kind: sweep.JobKind(r.Kind), State: sweep.JobState(r.State), Plan: r.Plan, Phase: r.Phase,
		Worker: r.Worker, Done: r.Done, Total: r.Total, PerSecond: r.PerSecond, Builds: strings.Fields(r.Builds), Claims: r.Fence, Barren: r.Barren,
		Code: sweep.Code(r.ErrorCode), Trouble: r.Trouble, Stuck: r.Stuck, RunAt: r.RunAt.UTC(), CreatedAt: r.CreatedAt.UTC(), StartedAt: r.StartedAt, FinishedAt: r.FinishedAt}
}

// OpsJobs lists a page of jobs. For the ops login.
func (db *DB) OpsJobs(ctx context.Context, f OpsFilter) (jobs []OpsJob, err error) {
	rows, err := systemRows[opsJobRow](ctx, db, "list jobs of all customers", `SELECT customer_id, id, kind, state, plan, phase, done, total, per_second, worker, builds,
		fence, barren, error_code, trouble, stuck, run_at, created_at, started_at, finished_at FROM sys.ops_jobs($1, $2, $3, $4, $5, $6, $7)`,
		f.View, string(f.Kind), dbID(f.Customer), dbID(f.Job), dbID(f.Before), f.N, f.Most)
	for _, r := range rows {
		jobs = append(jobs, r.job())
	}
	return jobs, err
}

// RunFilter says which executes a bulk undo concerns: those asked for in [From, To), of a build and of a customer if those are set.
type RunFilter struct {
	Build    string
	Customer sweep.ID
	From, To time.Time
	N        int // at most, the newest
}

// RunOf names an execute.
type RunOf struct{ Customer, Job sweep.ID }

// OpsRuns lists executes that a worker began, newest first. For the ops login.
func (db *DB) OpsRuns(ctx context.Context, f RunFilter) (runs []RunOf, err error) {
	type row struct{ CustomerID, JobID dbID }
	rows, err := systemRows[row](ctx, db, "list runs of all customers", "SELECT * FROM sys.ops_runs($1, $2, $3, $4, $5)", f.Build, dbID(f.Customer), f.From, f.To, f.N)
	for _, r := range rows {
		runs = append(runs, RunOf{sweep.ID(r.CustomerID), sweep.ID(r.JobID)})
	}
	return runs, err
}

// Undoing is whether a run can be undone.
type Undoing string

// What stands in an undo's way, or nothing.
const (
	UndoReady   Undoing = "ready"
	UndoOpen    Undoing = "still running"
	UndoNothing Undoing = "changed nothing"
	UndoDone    Undoing = "undone already"
	UndoUnder   Undoing = "being undone"
	UndoLate    Undoing = "too late"
)

// UndoState is what an undo of a run would find. Messages is what the run asked Gmail to change.
type UndoState struct {
	Job      sweep.ID
	State    Undoing
	Messages int
}

// UndoStates says of executes of this customer whether they can be undone, newest first.
func (tx *Tx) UndoStates(jobs []sweep.ID) (states []UndoState, err error) {
	ids := make([]dbID, len(jobs))
	for i, id := range jobs {
		ids[i] = dbID(id)
	}
	var rows []struct {
		ID       dbID
		State    string
		Messages int
	}
	err = tx.Raw(`SELECT j.id, coalesce(b.n, 0) AS messages, CASE WHEN j.state NOT IN ('succeeded','failed','canceled') THEN @open WHEN b.n IS NULL THEN @nothing
		WHEN r.undone_by IS NOT NULL THEN @done WHEN EXISTS (SELECT FROM jobs u WHERE u.customer_id = j.customer_id AND u.undo_of = j.id AND u.state NOT IN ('succeeded','failed','canceled')) THEN @under
		WHEN r.undo_until <= @now THEN @late ELSE @ready END AS state
		FROM jobs j JOIN cleanup_runs r ON r.customer_id = j.customer_id AND r.job_id = j.id
		LEFT JOIN LATERAL (SELECT sum(asked) AS n FROM batches WHERE customer_id = j.customer_id AND job_id = j.id) b ON true
		WHERE j.customer_id = @customer AND j.id IN @jobs ORDER BY j.id DESC`, map[string]any{"open": UndoOpen, "nothing": UndoNothing, "done": UndoDone, "under": UndoUnder,
		"late": UndoLate, "ready": UndoReady, "now": tx.Now, "customer": dbID(tx.Customer), "jobs": ids}).Scan(&rows).Error
	for _, r := range rows {
		states = append(states, UndoState{Job: sweep.ID(r.ID), State: Undoing(r.State), Messages: r.Messages})
	}
	return states, doing(err, "look at runs")
}
