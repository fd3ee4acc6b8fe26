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
	"mailsweep/internal/telemetry"
)

const (
	idleGap      = 250 * time.Millisecond // between two looks when nobody hints
	restsPerLook = 4                      // between two looks when somebody does: so many times as long as the first took,
	shortest     = 2 * time.Millisecond   // at least this,
	longest      = 20 * time.Millisecond  // and at most this
	standbyGap   = time.Second
	postsAtOne   = 100
)

// Dispatcher carries queued jobs and due posts from PostgreSQL to Redis, the least served customer first. Of all processes that run
// one, one leads and the others stand by; two at once do no harm.
type Dispatcher struct {
	DB          *store.DB
	Redis       redis.UniversalClient
	Interactive int               // so many analyses and dry runs may be in Redis or running; with many workers, twice what they run at once
	Bulk        int               // so many executes and undos, likewise
	Each        int               // of one customer at most so many of either
	Watch       func(Round)       // told of each look, for figures; nil: nobody counts
	Trace       *telemetry.Tracer // nil: no traces
	Log         *slog.Logger

	once   sync.Once
	hints  *hints
	client client
	slots  slots
	broken bool      // Redis failed us last time
	looked time.Time // when the last look ended
	round  Round     // the last look, or the one under way
}

func (d *Dispatcher) init() {
	d.hints = newHints(d.Redis, d.Log)
	d.client = client{asynq.NewClientFromRedisClient(d.Redis), d.Trace}
	d.slots.inspector = asynq.NewInspectorFromRedisClient(d.Redis)
}

// Hint says that something was queued. It never blocks, and may be called before Run.
func (d *Dispatcher) Hint() {
	d.once.Do(d.init)
	poke(d.hints.here)
	poke(d.hints.out)
}

// Order says that a running job was told to stop or to rest: its worker looks at once. It never blocks.
func (d *Dispatcher) Order(job sweep.ID) {
	d.once.Do(d.init)
	d.hints.order(job)
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
		leads := d.watched(ctx, leader)
		if !leads && !pause(ctx, standbyGap) || leads && !d.rest(ctx) {
			return nil
		}
	}
}

// rest waits until the next look; false at the end of ctx. The first hint after a silence is followed at once; those that come behind it
// are gathered, so that looking takes a fifth of the time at most.
func (d *Dispatcher) rest(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-d.hints.here:
		gap := min(max(restsPerLook*d.round.Took, shortest), longest) - time.Since(d.looked)
		return gap <= 0 || pause(ctx, gap)
	case <-time.After(idleGap):
		return true
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (d *Dispatcher) watched(ctx context.Context, leader *store.Leader) bool {
	began := time.Now()
	d.round = Round{}
	d.round.Leads = d.look(ctx, leader)
	d.looked = time.Now()
	d.round.Took = d.looked.Sub(began)
	if d.Watch != nil {
		d.Watch(d.round)
	}
	return d.round.Leads
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
	d.slots.count()
	d.jobs(ctx, store.Line{Writes: false, Window: d.slots.window(interactiveLine, d.Interactive), Each: d.Each})
	d.jobs(ctx, store.Line{Writes: true, Window: d.slots.window(bulkLine, d.Bulk), Each: d.Each})
	if d.round.Jobs > 0 && !d.broken {
		poke(d.hints.here) // what the first in line may not take is there for those behind them
	}
	d.posts(ctx)
	return true
}

// jobs sends what may go. After a failure the rest goes back to the queue; the failed one may have arrived, the sweeper will see.
func (d *Dispatcher) jobs(ctx context.Context, line store.Line) {
	jobs, err := d.DB.Dispatch(ctx, line)
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
			continue
		}
		d.round.Jobs++
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
		d.round.Posts++
	}
	if len(posts) == postsAtOne {
		poke(d.hints.here)
	}
}
