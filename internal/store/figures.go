package store

import (
	"context"
	"time"

	"mailsweep/internal/sweep"
)

// OpenJobs is how many jobs of a kind stand in a state, of all customers together.
type OpenJobs struct {
	Kind  sweep.JobKind
	State sweep.JobState
	N     int           // at most the cap
	Late  time.Duration // of the worst: queued since it may run, dispatched since it was handed to Redis, running since its lease ended
}

// OpenJobs counts the jobs that are not over, up to most of each kind. What it costs does not grow with the table or the pile. For the
// scheduler and ops.
func (db *DB) OpenJobs(ctx context.Context, most int) (open []OpenJobs, err error) {
	type row struct {
		Kind, State string
		N           int
		Late        float64
	}
	rows, err := systemRows[row](ctx, db, "count open jobs", "SELECT * FROM sys.open_jobs($1)", most)
	for _, r := range rows {
		open = append(open, OpenJobs{Kind: sweep.JobKind(r.Kind), State: sweep.JobState(r.State), N: r.N, Late: seconds(r.Late)})
	}
	return open, err
}

// UnsentPosts counts, up to most, the posts that are not sent yet and says how old the oldest of them is. For the scheduler and ops.
func (db *DB) UnsentPosts(ctx context.Context, most int) (n int, age time.Duration, err error) {
	type row struct {
		N   int
		Age float64
	}
	rows, err := systemRows[row](ctx, db, "count unsent posts", "SELECT * FROM sys.unsent_posts($1)", most)
	if err != nil || len(rows) == 0 {
		return 0, 0, err
	}
	return rows[0].N, seconds(rows[0].Age), nil
}

// UnitsSince is how many Gmail units the jobs that began since then are recorded to have spent, of all customers together. For workers.
func (db *DB) UnitsSince(ctx context.Context, since time.Time) (units int64, err error) {
	rows, err := systemRows[struct{ Units int64 }](ctx, db, "sum units", "SELECT sys.units_since($1) AS units", since)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return rows[0].Units, nil
}

// DutiesLate says for how long each duty has been due; zero for one that is not. For the scheduler and ops.
func (db *DB) DutiesLate(ctx context.Context) (late map[string]time.Duration, err error) {
	late = map[string]time.Duration{}
	err = db.System(ctx, func(tx *Tx) error {
		var rows []struct {
			Name    string
			NextDue time.Time
		}
		err := tx.Raw("SELECT name, next_due FROM duties").Scan(&rows).Error
		for _, r := range rows {
			late[r.Name] = max(0, tx.Now.Sub(r.NextDue))
		}
		return err
	})
	return late, doing(err, "read duties")
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
