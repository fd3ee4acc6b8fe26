package store

import (
	"time"

	"mailsweep/internal/sweep"
)

// Ended is a job that is over, as figures see it.
type Ended struct {
	Kind  sweep.JobKind
	State sweep.JobState
	Code  sweep.Code    // "" where it did not fail
	Ran   time.Duration // from its first claim to its end; 0: it never began
}

// aftermath is what a transaction did that others hear of once it is committed.
type aftermath struct {
	changed map[sweep.ID]int64 // jobs and their new versions
	ended   []Ended
}

// tell is for after the commit.
func (db *DB) tell(customer sweep.ID, a aftermath) {
	for job, version := range a.changed {
		db.notifier.put(customer, job, version)
	}
	for _, e := range a.ended {
		if db.ended != nil {
			db.ended(e)
		}
	}
}
