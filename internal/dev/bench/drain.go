package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"mailsweep/internal/queue"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const drainJobs = 8000

// drain measures a worker process that claims, settles one message into the ledger and ends jobs that are all in Redis already; then the
// same tasks with no books at all, which is our wrapper around asynq.
func drain(ctx context.Context, b *bench) ([]line, error) {
	r, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	if _, err := r.people(ctx, drainJobs); err != nil { // one mailbox each: an account has one lane for what writes
		return nil, err
	}
	books, empty, asynq, river := &drains{}, &drains{}, &drains{}, &drains{}
	for range rounds {
		for _, turn := range []struct {
			to   *drains
			what string
		}{{books, "settle"}, {empty, "empty"}} {
			if err := r.refill(ctx); err != nil {
				return nil, err
			}
			if err := turn.to.add(b.drainHands(ctx, r, turn.what, drainJobs)); err != nil {
				return nil, err
			}
		}
		if err := asynq.add(b.peer(ctx, r, "asynq", "drain", drainJobs)); err != nil {
			return nil, err
		}
		if err := river.add(b.peer(ctx, r, "river", "drain", drainJobs)); err != nil {
			return nil, err
		}
	}
	peers := "asynq alone " + asynq.show() + "; River tuned " + river.show()
	perCPU := books.perCPU()
	same := empty.perCPU() / asynq.perCPU()
	return []line{
		goal(line{what: "drain, claim + settle + ledger + end, empty body", ours: books.show(), limit: peers, ratio: times(perCPU / asynq.perCPU()),
			goal: "≥ 5,500 jobs per worker-CPU-second"}, perCPU >= 5500),
		goal(line{what: "the same tasks without claim and ledger", ours: empty.show(), limit: "asynq alone " + asynq.show(), ratio: times(same) + " per CPU-second",
			goal: "≥ 0.90x"}, same >= 0.9),
	}, nil
}

// drains are the rounds of one contender.
type drains struct{ wall, cpu []float64 }

func (d *drains) add(one drained, err error) error {
	if err == nil {
		d.wall, d.cpu = append(d.wall, one.perSecond()), append(d.cpu, one.perCPU())
	}
	return err
}

func (d *drains) perCPU() float64 { return median(d.cpu) }
func (d *drains) show() string {
	return fmt.Sprintf("%.0f jobs per worker-CPU-second, %s", d.perCPU(), rate(median(d.wall)))
}

// refill writes one execute for each mailbox and sends them all to Redis.
func (r *rig) refill(ctx context.Context) error {
	if err := r.clearJobs(ctx); err != nil {
		return err
	}
	if err := r.fill(ctx, backlog{kind: sweep.Execute, each: 1, state: sweep.Queued}); err != nil {
		return err
	}
	return r.dispatchAll(ctx)
}

// dispatchAll hands everything out that is queued, with a window as wide as that.
func (r *rig) dispatchAll(ctx context.Context) error {
	db, err := store.Open(ctx, store.Options{URL: r.Env["SCHEDULER_DATABASE_URL"], Process: "bench"})
	if err != nil {
		return err
	}
	defer db.Close()
	redis, err := queue.Connect(queue.Redis{URL: r.Env["REDIS_URL"]})
	if err != nil {
		return err
	}
	defer redis.Close()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	d := &queue.Dispatcher{DB: db, Redis: redis, Interactive: 1 << 20, Bulk: 1 << 20, Each: 1 << 20, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	go func() { defer close(ended); _ = d.Run(ctx) }() // what it does not do is seen below
	defer func() { cancel(); <-ended }()
	_, err = until(ctx, 2*time.Minute, "everything is in Redis", func() (bool, error) {
		n, err := r.count(ctx, "state = 'queued'")
		if err != nil || n > 0 {
			return false, err
		}
		jobs, err := r.count(ctx, "state = 'dispatched'")
		if err != nil {
			return false, err
		}
		var sent int64
		for _, line := range []string{"bulk", "interactive"} {
			sent += redis.LLen(ctx, "asynq:{"+line+"}:pending").Val()
		}
		return sent >= int64(jobs), nil
	})
	return err
}
