package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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
	sentinelKey   = "mailsweep:sentinel"
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
	Log   *slog.Logger

	inspector *asynq.Inspector
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	s.inspector = asynq.NewInspectorFromRedisClient(s.Redis)
	leader := s.DB.Leader("sweeper")
	defer leader.Resign()
	every := s.Every
	if every == 0 {
		every = sweep.SweepEvery
	}
	for {
		leads, err := leader.Lead(ctx)
		if leads {
			err = s.sweep(ctx)
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
			s.Log.WarnContext(ctx, "worker lost; job goes on elsewhere", "job_id", id)
			continue
		}
		s.Log.ErrorContext(ctx, "job given up", "job_id", id)
		err = errors.Join(err, s.Fail(ctx, d.Customer, d.Job, sweep.Internal, fmt.Sprintf(poisonMessage, sweep.PoisonLimit)))
	}
	return err
}

func (s *Sweeper) lanes(ctx context.Context) error {
	n, err := s.DB.FreeLanes(ctx)
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
	if err := s.mend(ctx); err != nil {
		return err
	}
	server, flushed, err := s.flushed(ctx)
	if err != nil {
		return err
	}
	after := lostAfter
	if flushed {
		after = flushedAfter
	}
	if err := s.lost(ctx, after); err != nil || !flushed {
		return err
	}
	return s.Redis.Set(ctx, sentinelKey, server, 0).Err()
}

// flushed says whether Redis was emptied or restarted since the last sweep; server names its present run.
func (s *Sweeper) flushed(ctx context.Context) (server string, flushed bool, err error) {
	info, err := s.Redis.Info(ctx, "server").Result()
	if err != nil {
		return "", false, fmt.Errorf("ask Redis who it is: %w", err)
	}
	_, rest, _ := strings.Cut(info, "run_id:")
	server, _, _ = strings.Cut(rest, "\r\n")
	mark, err := s.Redis.Get(ctx, sentinelKey).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", false, fmt.Errorf("read sentinel: %w", err)
	}
	return server, mark != server, nil
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

// mendScript drops ids from a queue's active list that have no task: one of them makes every listing of every queue fail.
const mendScript = `
local n = 0
for _, id in ipairs(redis.call("LRANGE", KEYS[1], 0, -1)) do
  if redis.call("HEXISTS", ARGV[1] .. id, "msg") == 0 then
    redis.call("LREM", KEYS[1], 0, id)
    redis.call("ZREM", KEYS[2], id)
    redis.call("DEL", ARGV[1] .. id)
    n = n + 1
  end
end
return n`

func (s *Sweeper) mend(ctx context.Context) error {
	for _, line := range lines() {
		prefix := "asynq:{" + line + "}:"
		n, err := s.Redis.Eval(ctx, mendScript, []string{prefix + "active", prefix + "lease"}, prefix+"t:").Int()
		if err != nil {
			return fmt.Errorf("mend queue: %w", err)
		}
		if n > 0 {
			s.Log.WarnContext(ctx, "ids without a task dropped", "queue", line, "ids", n)
		}
	}
	return nil
}
