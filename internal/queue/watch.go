package queue

import "time"

// Round is one look of a dispatcher or a sweeper, for figures.
type Round struct {
	Leads bool // else it stands by, and did nothing
	Jobs  int  // tasks of jobs sent
	Posts int  // tasks of posts sent
	Took  time.Duration
}

// Reason is what a sweeper put right.
type Reason string

// The reasons.
const (
	WorkerLost  Reason = "worker_lost"   // a lease ran out: the job goes on elsewhere
	GivenUp     Reason = "given_up"      // a job that cost too many workers was failed
	LaneFreed   Reason = "lane_freed"    // of a writing job that is over
	TaskLost    Reason = "task_lost"     // Redis forgot a job's task: the job is sent again
	IDDropped   Reason = "id_dropped"    // an active id of asynq's without its task
	LeaseLent   Reason = "lease_lent"    // an active task of asynq's had none
	LeaseSpare  Reason = "lease_dropped" // a lease of asynq's without an active task
	TaskDropped Reason = "task_dropped"  // a task of asynq's that stood in no list
)

// Reasons lists them all.
func Reasons() []Reason {
	return []Reason{WorkerLost, GivenUp, LaneFreed, TaskLost, IDDropped, LeaseLent, LeaseSpare, TaskDropped}
}

func (s *Sweeper) repaired(what Reason, n int) {
	if s.Repaired != nil && n > 0 {
		s.Repaired(what, n)
	}
}
