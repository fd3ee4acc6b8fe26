package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// entriesBeat is how often the entries are shown anew: so soon they are back after Redis was emptied.
const entriesBeat = 4 * time.Second

// Periodic shows the duties as periodic tasks on the queue page, and enqueues them by the clock of its process. That is only a second
// way to a duty: whoever comes first takes its row, the others find nothing due.
type Periodic struct {
	Redis  redis.UniversalClient
	Duties map[string]string // name: cron spec
	Log    *slog.Logger
}

// Run keeps the entries until ctx ends.
func (p *Periodic) Run(ctx context.Context) error {
	s := asynq.NewScheduler(shared{unclosed{p.Redis}}, &asynq.SchedulerOpts{
		Logger: asynqLog{p.Log}, LogLevel: asynq.WarnLevel, HeartbeatInterval: entriesBeat,
		PostEnqueueFunc: func(_ *asynq.TaskInfo, err error) {
			if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
				p.Log.WarnContext(ctx, "periodic task not enqueued", "error", err)
			}
		},
	})
	for name, spec := range p.Duties {
		// the fixed id lets several schedulers add one task, and one that nobody works on stay one
		_, err := s.Register(spec, asynq.NewTask(dutyType+name, nil), asynq.TaskID(dutyType+name), asynq.Queue(dutyLine),
			asynq.MaxRetry(manyTimes), asynq.Timeout(dutyTimeout), asynq.Retention(0))
		if err != nil {
			return fmt.Errorf("register duty %s: %w", name, err)
		}
	}
	if err := s.Start(); err != nil {
		return fmt.Errorf("start periodic tasks: %w", err)
	}
	<-ctx.Done()
	s.Shutdown()
	return nil
}
