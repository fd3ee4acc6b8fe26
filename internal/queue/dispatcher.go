package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const (
	hintedGap  = 20 * time.Millisecond // between two looks when hinted
	idleGap    = 250 * time.Millisecond
	standbyGap = time.Second
	postsAtOne = 100
)

// Dispatcher carries queued jobs and due posts from PostgreSQL to Redis, the least served customer first. Of all processes that run
// one, one leads and the others stand by; two at once do no harm.
type Dispatcher struct {
	DB          *store.DB
	Redis       redis.UniversalClient
	Interactive int // at most so many analyses and dry runs are in Redis or running
	Bulk        int // at most so many executes and undos
	Log         *slog.Logger

	once   sync.Once
	hints  *hints
	client client
	broken bool // Redis failed us last time
}

func (d *Dispatcher) init() {
	d.hints = newHints(d.Redis, d.Log)
	d.client = client{asynq.NewClientFromRedisClient(d.Redis)}
}

// Hint says that something was queued. It never blocks, and may be called before Run.
func (d *Dispatcher) Hint() {
	d.once.Do(d.init)
	poke(d.hints.here)
	poke(d.hints.out)
}

// Run dispatches until ctx ends.
func (d *Dispatcher) Run(ctx context.Context) error {
	d.once.Do(d.init)
	leader := d.DB.Leader("dispatcher")
	defer leader.Resign()
	var side sync.WaitGroup
	defer side.Wait()
	side.Go(func() { d.hints.tell(ctx) })
	side.Go(func() { d.hints.hear(ctx) })
	for {
		leads := d.look(ctx, leader)
		if !d.rest(ctx, leads) {
			return nil
		}
	}
}

// rest waits until the next look; false at the end of ctx. A standby does not listen to hints.
func (d *Dispatcher) rest(ctx context.Context, leads bool) bool {
	if !leads {
		return pause(ctx, standbyGap)
	}
	if !pause(ctx, hintedGap) {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-d.hints.here:
	case <-time.After(idleGap - hintedGap):
	}
	return true
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (d *Dispatcher) look(ctx context.Context, leader *store.Leader) (leads bool) {
	leads, err := leader.Lead(ctx)
	if err != nil && ctx.Err() == nil {
		d.Log.WarnContext(ctx, "dispatcher cannot reach the database", "error", err)
	}
	// while Redis is away jobs stay queued: what is handed out and not sent would wait for the sweeper
	if !leads || d.broken && d.Redis.Ping(ctx).Err() != nil {
		return leads
	}
	d.broken = false
	d.jobs(ctx, sweep.DryRun.Rank(), sweep.Analyze.Rank(), d.Interactive)
	d.jobs(ctx, sweep.Undo.Rank(), sweep.Execute.Rank(), d.Bulk)
	d.posts(ctx)
	return true
}

// jobs sends what may go. After a failure the rest goes back to the queue; the failed one may have arrived, the sweeper will see.
func (d *Dispatcher) jobs(ctx context.Context, low, high, window int) {
	jobs, err := d.DB.Dispatch(ctx, low, high, window)
	if err != nil && ctx.Err() == nil {
		d.Log.ErrorContext(ctx, "dispatch failed", "error", err)
	}
	for _, j := range jobs {
		if d.broken {
			d.back(ctx, j)
			continue
		}
		if err := d.client.job(ctx, j); err != nil {
			d.broken = true
			d.Log.WarnContext(ctx, "task not sent; the sweeper will see to it", "job_id", sweep.JobID.Show(j.Job), "error", err)
		}
	}
}

func (d *Dispatcher) back(ctx context.Context, j store.Dispatched) {
	if _, err := d.DB.Requeue(ctx, j.Customer, j.Job, j.Epoch); err != nil {
		d.Log.WarnContext(ctx, "job not put back; the sweeper will see to it", "job_id", sweep.JobID.Show(j.Job), "error", err)
	}
}

// posts sends what is due; one that does not arrive is handed out again after a minute.
func (d *Dispatcher) posts(ctx context.Context) {
	if d.broken {
		return
	}
	posts, err := d.DB.OutboxDue(ctx, postsAtOne)
	if err != nil && ctx.Err() == nil {
		d.Log.ErrorContext(ctx, "dispatch of posts failed", "error", err)
	}
	for _, p := range posts {
		if err := d.client.post(ctx, p); err != nil {
			d.broken = true
			d.Log.WarnContext(ctx, "post not sent", "error", err)
			return
		}
	}
	if len(posts) == postsAtOne {
		poke(d.hints.here)
	}
}
