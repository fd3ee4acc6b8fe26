package store

import (
	"context"
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// Halt is what operators stopped: a halt refuses new jobs and stops what runs at its next edge, a pause takes jobs and starts none.
type Halt struct {
	ID       sweep.ID
	Scope    string // all, kind, customer or build
	Value    string // the kind, the customer's UUID or the build
	Pause    bool
	Reason   string
	By       string // the operator
	At       time.Time
	LiftedBy string // "": in force
	LiftedAt *time.Time
}

// Halts lists those in force, then at most lifted of the others, each newest first.
func (db *DB) Halts(ctx context.Context, lifted int) (halts []Halt, err error) {
	type row struct {
		ID                                        dbID
		Scope, Value, Reason, CreatedBy, LiftedBy string
		Pause                                     bool
		CreatedAt                                 time.Time
		LiftedAt                                  *time.Time
	}
	rows, err := systemRows[row](ctx, db, "list halts", `SELECT id, scope, value, reason, created_by, lifted_by, pause, created_at, lifted_at FROM (
		(SELECT * FROM halts WHERE lifted_at IS NULL) UNION ALL (SELECT * FROM halts WHERE lifted_at IS NOT NULL ORDER BY lifted_at DESC LIMIT $1)
	) h ORDER BY lifted_at DESC NULLS FIRST, created_at DESC`, lifted)
	for _, r := range rows {
		halts = append(halts, Halt{ID: sweep.ID(r.ID), Scope: r.Scope, Value: r.Value, Pause: r.Pause, Reason: r.Reason, By: r.CreatedBy, At: r.CreatedAt.UTC(),
			LiftedBy: r.LiftedBy, LiftedAt: r.LiftedAt})
	}
	return halts, err
}

// Halt puts h in force and notes it in the operators' log, in one transaction. The id is that of the same halt if it is in force already.
func (db *DB) Halt(ctx context.Context, h Halt) (id sweep.ID, err error) {
	var got dbID
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT sys.halt(?, ?, ?, ?, ?, ?, ?)", dbID(tx.NewID()), tx.Now, h.Scope, h.Value, h.Pause, h.Reason, h.By).Row().Scan(&got)
	})
	return sweep.ID(got), doing(err, "halt")
}

// Lift ends a halt or pause and notes it in the operators' log; Conflict if it is not in force.
func (db *DB) Lift(ctx context.Context, id sweep.ID, reason, operator string) error {
	var lifted bool
	err := db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT sys.lift(?, ?, ?, ?)", dbID(id), tx.Now, reason, operator).Row().Scan(&lifted)
	})
	if err == nil && !lifted {
		return sweep.Errorf(sweep.Conflict, "this halt is not in force any more")
	}
	return doing(err, "lift halt")
}

// OpsEntry is what an operator asked for.
type OpsEntry struct {
	Seq                           int64
	At                            time.Time
	Operator, Act, Object, Reason string
}

// NoteOps appends to the operators' log. At is the database's time.
func (db *DB) NoteOps(ctx context.Context, e OpsEntry) error {
	err := db.System(ctx, func(tx *Tx) error {
		return tx.Exec("SELECT sys.ops_note(?, ?, ?, ?, ?)", tx.Now, e.Operator, e.Act, e.Object, e.Reason).Error
	})
	return doing(err, "note "+e.Act)
}

// OpsLog lists the newest n entries before an entry; a before of 0 begins at the newest.
func (db *DB) OpsLog(ctx context.Context, before int64, n int) (entries []OpsEntry, err error) {
	entries, err = systemRows[OpsEntry](ctx, db, "read operators' log",
		"SELECT seq, at, operator, act, object, reason FROM ops_log WHERE $1 = 0 OR seq < $1 ORDER BY seq DESC LIMIT $2", before, n)
	if err != nil {
		return nil, fmt.Errorf("operators' log: %w", err)
	}
	return entries, nil
}
