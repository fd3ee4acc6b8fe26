package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mailsweep/internal/queue"
	"mailsweep/internal/sweep"
)

const openJobs = 2000

// flush measures from FLUSHALL until every open job has been claimed and ended by a worker that starts at the flush.
func flush(ctx context.Context, b *bench) ([]line, error) {
	r, err := b.start(ctx, "api", "scheduler")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	if _, err := r.people(ctx, openJobs/2); err != nil {
		return nil, err
	}
	for _, kind := range []sweep.JobKind{sweep.Execute, sweep.DryRun} { // both lines
		if err := r.fill(ctx, backlog{kind: kind, each: 1, state: sweep.Queued}); err != nil {
			return nil, err
		}
	}
	window, err := r.settled(ctx)
	if err != nil {
		return nil, err
	}
	redis, err := queue.Connect(queue.Redis{URL: r.Env["REDIS_URL"]})
	if err != nil {
		return nil, err
	}
	defer redis.Close()
	if err := redis.FlushAll(ctx).Err(); err != nil {
		return nil, fmt.Errorf("flush: %w", err)
	}
	h, err := newHands(ctx, r.Env, 32, claimed(succeed))
	if err != nil {
		return nil, err
	}
	defer h.run(ctx)()
	took, err := until(ctx, 2*time.Minute, "all jobs are over", func() (bool, error) {
		n, err := r.count(ctx, "state <> 'succeeded'")
		return n == 0, err
	})
	if err != nil {
		return nil, err
	}
	twice, err := r.count(ctx, "fence <> 2") // the claim and the end raise it by one each
	if err != nil {
		return nil, err
	}
	return []line{goal(line{what: fmt.Sprintf("all %d open jobs back, and done, after FLUSHALL (%d were in Redis)", openJobs, window),
		ours: fmt.Sprintf("%.1f s, %d claimed twice", took.Seconds(), twice), limit: "asynq alone: lost", ratio: "–", goal: "≤ 20 s"}, took <= 20*time.Second && twice == 0)}, nil
}

// settled waits until the dispatcher's windows are full, and says how many jobs they hold.
func (r *rig) settled(ctx context.Context) (n int, err error) {
	last, since := -1, time.Now()
	_, err = until(ctx, time.Minute, "the windows are full", func() (bool, error) {
		if n, err = r.count(ctx, "state = 'dispatched'"); n != last {
			last, since = n, time.Now()
		}
		return n > 0 && time.Since(since) > 2*time.Second, err
	})
	return n, err
}

// memory measures what Redis holds for 10^6 queued jobs, above what it held for none.
func memory(ctx context.Context, b *bench) ([]line, error) {
	r, err := b.start(ctx, "api", "scheduler")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	before, err := r.redisBytes(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := r.people(ctx, 1000); err != nil {
		return nil, err
	}
	if err := r.fill(ctx, backlog{kind: sweep.DryRun, each: 1000, state: sweep.Queued}); err != nil {
		return nil, err
	}
	window, err := r.settled(ctx)
	if err != nil {
		return nil, err
	}
	after, err := r.redisBytes(ctx)
	if err != nil {
		return nil, err
	}
	queued, err := r.count(ctx, "state IN ('queued','dispatched')")
	if err != nil {
		return nil, err
	}
	const asynqTask = 560 // bytes a pending task of asynq's, of the same payload
	grown := float64(after-before) / 1e6
	all := float64(queued) * asynqTask / 1e6
	return []line{goal(line{what: fmt.Sprintf("Redis memory for %d queued jobs (%d in the window)", queued, window), ours: fmt.Sprintf("%.2f MB more than for none", grown),
		limit: fmt.Sprintf("asynq alone: %.0f MB at %d bytes a task", all, asynqTask), ratio: fmt.Sprintf("%.4fx", grown/all), goal: "≤ 5 MB"}, grown <= 5)}, nil
}

func (r *rig) redisBytes(ctx context.Context) (int64, error) {
	redis, err := queue.Connect(queue.Redis{URL: r.Env["REDIS_URL"]})
	if err != nil {
		return 0, err
	}
	defer redis.Close()
	info, err := redis.Info(ctx, "memory").Result()
	if err != nil {
		return 0, fmt.Errorf("ask Redis for its memory: %w", err)
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	text, _, _ := strings.Cut(rest, "\r\n")
	return strconv.ParseInt(text, 10, 64)
}
