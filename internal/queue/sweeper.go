package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const (
	lostAfter     = 5 * time.Second
	flushedAfter  = time.Second      // a flush is certain: ask about younger ones too, but not about those on their way
	stuckAfter    = 20 * time.Second // an active task whose worker died before it claimed
	asynqQueues   = "asynq:queues"
	poisonMessage = "the job was given up after its worker was lost %d times in a row"
)

// Sweeper finds what was lost: tasks that Redis forgot, jobs whose worker died, lanes that nobody freed. Of all processes that run one,
// one leads.
type Sweeper struct {
	DB    *store.DB
	Redis redis.UniversalClient
	// Fail ends a poisoned job, releasing what it reserved.
	Fail  func(ctx context.Context, customer, job sweep.ID, code sweep.Code, detail string) error
	Every time.Duration // 0: sweep.SweepEvery
	// Repaired is told of what was put right; nil: nobody counts.
	Repaired func(what Reason, n int)
	Watch    func(Round) // told of each look, for figures; nil: nobody counts
	Log      *slog.Logger

	inspector *asynq.Inspector
	mender    mender
	asked     bool // whether Redis is fit for a queue
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	s.inspector = asynq.NewInspectorFromRedisClient(s.Redis)
	s.mender = mender{redis: s.Redis, repaired: s.repaired, log: s.Log, cursors: map[string]string{}}
	leader := s.DB.Leader("sweeper")
	defer leader.Resign()
	every := s.Every
	if every == 0 {
		every = sweep.SweepEvery
	}
	for {
		began := time.Now()
		leads, err := leader.Lead(ctx)
		if leads {
			err = s.sweep(ctx)
		}
		if s.Watch != nil {
			s.Watch(Round{Leads: leads, Took: time.Since(began)})
		}
		if err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "sweep incomplete", "error", err)
		}
		if !pause(ctx, every) {
			return nil
		}
	}
}

// sweep does each part whether or not another failed: Redis may be away while leases die.
func (s *Sweeper) sweep(ctx context.Context) error {
	return errors.Join(s.deadLeases(ctx), s.lanes(ctx), s.tasks(ctx))
}

func (s *Sweeper) deadLeases(ctx context.Context) error {
	dead, err := s.DB.DeadLeases(ctx, sweep.PoisonLimit)
	for _, d := range dead {
		id := sweep.JobID.Show(d.Job)
		if !d.Poison {
			s.repaired(WorkerLost, 1)
			s.Log.WarnContext(ctx, "worker lost; job goes on elsewhere", "job_id", id)
			continue
		}
		s.repaired(GivenUp, 1)
		s.Log.ErrorContext(ctx, "job given up", "job_id", id)
		err = errors.Join(err, s.Fail(ctx, d.Customer, d.Job, sweep.Internal, fmt.Sprintf(poisonMessage, sweep.PoisonLimit)))
	}
	return err
}

func (s *Sweeper) lanes(ctx context.Context) error {
	n, err := s.DB.FreeLanes(ctx)
	s.repaired(LaneFreed, n)
	if n > 0 {
		s.Log.WarnContext(ctx, "lanes freed that nobody had freed", "lanes", n)
	}
	return err
}

func (s *Sweeper) tasks(ctx context.Context) error {
	// asynq announces a queue once per process: after a flush its inspectors would see none, and take every task for lost
	if err := s.Redis.SAdd(ctx, asynqQueues, lines()).Err(); err != nil {
		return fmt.Errorf("announce queues: %w", err)
	}
	return errors.Join(s.mender.mend(ctx), s.rebuild(ctx))
}

// rebuild sends again what Redis does not have any more, at once where a server is known to have lost everything.
func (s *Sweeper) rebuild(ctx context.Context) error {
	fresh, err := unmarked(ctx, s.Redis)
	if len(fresh) > 0 || !s.asked { // a failover may have brought a server forward that nobody has asked yet, and at the start it may have been away
		err := CheckRedis(ctx, s.Redis, s.Log)
		if s.asked = err == nil || errors.Is(err, ErrUnfit); err != nil {
			s.Log.ErrorContext(ctx, "Redis is not fit for a queue", "error", err)
		}
	}
	if err != nil || len(fresh) == 0 {
		return errors.Join(err, s.lost(ctx, lostAfter))
	}
	if err := s.lost(ctx, flushedAfter); err != nil {
		return err
	}
	return mark(ctx, s.Redis, fresh)
}

// lost gives jobs whose task Redis does not have back to the dispatcher. To be wrong does no harm: the old task's epoch is stale then.
func (s *Sweeper) lost(ctx context.Context, after time.Duration) error {
	waiting, err := s.DB.Unclaimed(ctx, after)
	if err != nil || len(waiting) == 0 {
		return err
	}
	old, err := s.DB.Unclaimed(ctx, stuckAfter)
	if err != nil {
		return err
	}
	stuck := map[sweep.ID]bool{}
	for _, j := range old {
		stuck[j.Job] = true
	}
	for _, j := range waiting {
		gone, err := s.gone(j, stuck[j.Job])
		if err != nil {
			return err
		}
		if !gone {
			continue
		}
		if moved, err := s.DB.Requeue(ctx, j.Customer, j.Job, j.Epoch); err != nil {
			return err
		} else if moved {
			s.repaired(TaskLost, 1)
			s.Log.WarnContext(ctx, "task lost; job is sent again", "job_id", sweep.JobID.Show(j.Job), "epoch", j.Epoch)
		}
	}
	return nil
}

func (s *Sweeper) gone(j store.Dispatched, stuck bool) (bool, error) {
	info, err := s.inspector.GetTaskInfo(lineOf(j.Kind), taskID(j.Job, j.Epoch))
	if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask for task: %w", err)
	}
	over := info.State == asynq.TaskStateArchived || info.State == asynq.TaskStateCompleted
	return over || stuck && info.State == asynq.TaskStateActive, nil
}
