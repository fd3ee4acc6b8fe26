package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"mailsweep/internal/queue"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// hands are a worker of ours whose jobs have a body of the bench's instead of Gmail's: the line, the claim and the books are the product's.
type hands struct {
	db   *store.DB
	work *queue.Worker
	stop func()
}

// body is what becomes of a claimed job.
type body func(ctx context.Context, db *store.DB, c *store.Claim) error

// newHands makes hands that work in this process from run on.
func newHands(ctx context.Context, env map[string]string, slots int, handle func(context.Context, *store.DB, queue.Task) error) (*hands, error) {
	db, err := store.Open(ctx, store.Options{URL: env["WORKER_DATABASE_URL"], Process: "bench", MaxConns: 16})
	if err != nil {
		return nil, err
	}
	redis, err := queue.Connect(queue.Redis{URL: env["REDIS_URL"]})
	if err != nil {
		db.Close()
		return nil, err
	}
	h := &hands{db: db, stop: func() { redis.Close(); db.Close() }}
	h.work = &queue.Worker{Redis: redis, Concurrency: slots, Shutdown: time.Second, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Job: func(ctx context.Context, t queue.Task) error { return handle(ctx, db, t) }}
	return h, nil
}

// run works until the function it gives is called.
func (h *hands) run(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.work.Run(ctx) // a start that fails shows as a job that does not
	}()
	return func() { cancel(); <-ended; h.stop() }
}

// claimed claims the task's job, then does what the body says. A stale task is nothing to do.
func claimed(do body) func(context.Context, *store.DB, queue.Task) error {
	return func(ctx context.Context, db *store.DB, t queue.Task) error {
		c, ok, err := db.Claim(ctx, t.Customer, t.Job, t.Epoch, store.Worker{Name: "bench", Build: "bench"})
		if err != nil || !ok {
			return err
		}
		return do(ctx, db, &c)
	}
}

func succeed(ctx context.Context, db *store.DB, c *store.Claim) error {
	return db.Finish(ctx, c, store.Ending{State: sweep.Succeeded})
}

// settle charges one message to the ledger, then ends the job.
func settle(ctx context.Context, db *store.DB, c *store.Claim) error {
	if err := db.SettleBatch(ctx, c, 1, 1, c.Now); err != nil {
		return err
	}
	return succeed(ctx, db, c)
}

// drained is what a drain took. CPU is the worker process's alone.
type drained struct {
	Jobs    int
	Seconds float64
	CPU     float64
	P50     time.Duration
	P99     time.Duration
}

func (d drained) perSecond() float64 { return float64(d.Jobs) / d.Seconds }
func (d drained) perCPU() float64    { return float64(d.Jobs) / d.CPU }

// Hands is the program behind the row drain: a worker process that does n jobs, with the books ("settle") or without even a claim
// ("empty"), and prints what that took. Its settings are a worker's.
func Hands(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: dev hands empty|settle N")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("read N: %w", err)
	}
	handle := claimed(settle)
	if args[0] == "empty" {
		handle = func(context.Context, *store.DB, queue.Task) error { return nil }
	}
	var left atomic.Int64
	left.Store(int64(n))
	done := make(chan struct{})
	h, err := newHands(ctx, environment("WORKER_DATABASE_URL", "REDIS_URL"), drainSlots*4/3, func(ctx context.Context, db *store.DB, t queue.Task) error {
		err := handle(ctx, db, t)
		if err == nil && left.Add(-1) == 0 {
			close(done)
		}
		return err
	})
	if err != nil {
		return err
	}
	began, before := time.Now(), cpu()
	stop := h.run(ctx)
	defer stop()
	select {
	case <-done:
	case <-time.After(5 * time.Minute): // a task that Redis handed out to nobody comes back after one
		return fmt.Errorf("%d of %d jobs are left", left.Load(), n)
	}
	return json.NewEncoder(os.Stdout).Encode(drained{Jobs: n, Seconds: time.Since(began).Seconds(), CPU: cpu() - before})
}

// drainSlots are the handlers at once of every drain, ours and the peers'.
const drainSlots = 50

func environment(names ...string) map[string]string {
	env := map[string]string{}
	for _, n := range names {
		env[n] = os.Getenv(n)
	}
	return env
}

func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// drainHands runs Hands as a process of its own.
func (b *bench) drainHands(ctx context.Context, r *rig, what string, n int) (drained, error) {
	self, err := os.Executable()
	if err != nil {
		return drained{}, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "hands", what, strconv.Itoa(n))
	cmd.Env = append(os.Environ(), "WORKER_DATABASE_URL="+r.Env["WORKER_DATABASE_URL"], "REDIS_URL="+r.Env["REDIS_URL"])
	return measured(cmd)
}

// peer runs one measurement of a peer: "asynq" or "river"; "drain", "start" or "insert".
func (b *bench) peer(ctx context.Context, r *rig, name, what string, n int) (drained, error) {
	at := r.Env["REDIS_URL"]
	if name == "river" {
		var err error
		if at, err = r.database(); err != nil {
			return drained{}, err
		}
	}
	return measured(exec.CommandContext(ctx, b.peers(), name, at, what, strconv.Itoa(n)))
}

func measured(cmd *exec.Cmd) (d drained, err error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &d)
	}
	if err != nil {
		return d, fmt.Errorf("run %v: %w", cmd.Args[1:], err)
	}
	return d, nil
}
