package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

// Worker takes tasks from Redis and hands them to its handlers. A handler that is nil leaves its tasks to other processes.
//
// A handler's context ends when the worker is told to stop (it hands the job back and returns nil), when the task's time is up or
// when Redis was away so long that the task counts as lost; the handler must not rely on it to know which.
type Worker struct {
	Redis       redis.UniversalClient
	Concurrency int           // handlers of jobs at once: a quarter for what customers wait for, the rest for what writes
	LookEvery   time.Duration // how often it looks for jobs when idle; 0: 5 ms
	Shutdown    time.Duration // how long handlers may take to end; 0: 25 s
	Job         func(context.Context, Task) error
	Mail        func(context.Context, Post) error
	Duty        func(ctx context.Context, name string) error
	Order       func(job sweep.ID) // a job that may run here has new orders; the zero id: all may have; nil: the heartbeats find out
	Trace       *telemetry.Tracer  // nil: no traces
	Log         *slog.Logger
}

// sideSlots are for mail and duties beside jobs: weighted queues reserve nothing, and a sign-up's mail must not wait for an execute.
const sideSlots = 2

// Run works until ctx ends; then it takes no more, ends the handlers' contexts, waits for them and shuts down. Leave the process soon
// after: a handler that was deaf for longer than Shutdown still runs, and its task is given to somebody else.
func (w *Worker) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	h := &handler{Worker: w, work: work, hints: newHints(w.Redis, w.Log)}
	telling, quiet := context.WithCancel(context.WithoutCancel(ctx))
	var side sync.WaitGroup
	defer side.Wait()
	defer quiet()
	side.Go(func() { h.hints.tell(telling) })
	if h.hints.ordered = w.Order; w.Order != nil {
		side.Go(func() { h.hints.hear(telling) })
	}

	servers := w.servers()
	defer func() { shutdown(servers) }()
	for _, s := range servers {
		if err := s.Start(h); err != nil {
			return fmt.Errorf("start worker: %w", err)
		}
	}
	<-ctx.Done()
	for _, s := range servers {
		s.Stop()
	}
	cancel()
	return nil
}

func shutdown(servers []*asynq.Server) {
	var all sync.WaitGroup
	for _, s := range servers {
		all.Go(s.Shutdown)
	}
	all.Wait()
}

// servers are several, because the queues of one asynq server share all its slots.
func (w *Worker) servers() (servers []*asynq.Server) {
	if w.Job != nil {
		quick, look := max(1, w.Concurrency/4), cmp.Or(w.LookEvery, 5*time.Millisecond)
		servers = append(servers, w.server(quick, look, map[string]int{interactiveLine: 1}),
			w.server(max(1, w.Concurrency-quick), look, map[string]int{bulkLine: 1}))
	}
	rest := map[string]int{}
	if w.Mail != nil {
		rest[mailLine] = 3
		servers = append(servers, w.server(1, time.Second, map[string]int{errandLine: 1}))
	}
	if w.Duty != nil {
		rest[dutyLine] = 1
	}
	if len(rest) > 0 {
		servers = append(servers, w.server(sideSlots, 50*time.Millisecond, rest))
	}
	return servers
}

func (w *Worker) server(slots int, check time.Duration, queues map[string]int) *asynq.Server {
	timeout := w.Shutdown
	if timeout == 0 {
		timeout = 25 * time.Second
	}
	return asynq.NewServerFromRedisClient(w.Redis, asynq.Config{
		Concurrency: slots, Queues: queues, TaskCheckInterval: check, DelayedTaskCheckInterval: time.Second,
		ShutdownTimeout: timeout, RetryDelayFunc: retryDelay, IsFailure: isFailure,
		ErrorHandler: asynq.ErrorHandlerFunc(w.failed), Logger: asynqLog{w.Log}, LogLevel: asynq.WarnLevel,
	})
}

// taskError is all that Redis, and so the queue page, learns of a failure.
type taskError struct {
	code     sweep.Code
	stopping bool
}

func (e taskError) Error() string { return string(e.code) }

func isFailure(err error) bool {
	var e taskError
	return !errors.As(err, &e) || !e.stopping
}

func retryDelay(n int, err error, _ *asynq.Task) time.Duration {
	var e taskError
	if errors.Is(err, asynq.ErrLeaseExpired) || errors.As(err, &e) && e.stopping {
		return time.Second
	}
	return time.Second<<min(n, 6) + rand.N(time.Second)
}

// failed notes what no handler can: that asynq gave up waiting for one.
func (w *Worker) failed(ctx context.Context, t *asynq.Task, err error) {
	var e taskError
	if !errors.As(err, &e) && !errors.Is(err, asynq.RevokeTask) {
		w.Log.WarnContext(follow(ctx, t), "task taken from its handler", "task", t.Type(), "error", err)
	}
}

type handler struct {
	*Worker
	work  context.Context // ends when the worker stops
	hints *hints
}

// ProcessTask implements asynq.Handler. It is the edge where errors become log lines and codes.
func (h *handler) ProcessTask(ctx context.Context, t *asynq.Task) (err error) {
	ctx = follow(ctx, t)
	ctx, span := h.Trace.Begin(ctx, telemetry.Traceparent(ctx), telemetry.Consumer, "claim", t.Type())
	defer func() { span.End(err != nil) }()
	// asynq itself must not see the end of work: it would abandon the handler in the middle of handing its job back
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.work, cancel)()
	defer func() {
		if p := recover(); p != nil {
			h.Log.ErrorContext(ctx, "handler panicked", "task", t.Type(), "panic", telemetry.Panicked(p), "stack", string(debug.Stack()))
			err = taskError{code: sweep.Internal}
		}
	}()
	if err := h.handle(ctx, t); err != nil {
		stopping := h.work.Err() != nil
		if errors.Is(err, asynq.RevokeTask) || !stopping {
			h.Log.ErrorContext(ctx, "task failed", "task", t.Type(), "error", err)
		}
		if errors.Is(err, asynq.RevokeTask) {
			return asynq.RevokeTask
		}
		return taskError{code: sweep.CodeOf(err), stopping: stopping}
	}
	return nil
}

func (h *handler) handle(ctx context.Context, t *asynq.Task) error {
	switch {
	case strings.HasPrefix(t.Type(), jobType) && h.Job != nil:
		task, err := readTask(t)
		if err != nil {
			return unfit(err)
		}
		// room for the next: the dispatcher's windows count what is in flight
		defer poke(h.hints.out)
		return h.Job(telemetry.WithJobID(ctx, sweep.JobID.Show(task.Job)), task)
	case t.Type() == mailType && h.Mail != nil:
		post, err := readPost(t)
		if err != nil {
			return unfit(err)
		}
		return h.Mail(ctx, post)
	case strings.HasPrefix(t.Type(), dutyType) && h.Duty != nil:
		return h.duty(ctx, strings.TrimPrefix(t.Type(), dutyType))
	}
	return unfit(errors.New("no handler for this type"))
}

// duty never fails its task: the duty's row says what is still due, and an archived task would block the periodic entry for ever.
func (h *handler) duty(ctx context.Context, name string) error {
	if err := h.Duty(ctx, name); err != nil {
		h.Log.ErrorContext(ctx, "duty failed", "duty", name, "error", err)
	}
	return nil
}

// unfit drops a task that no retry can help.
func unfit(err error) error { return errors.Join(asynq.RevokeTask, err) }
