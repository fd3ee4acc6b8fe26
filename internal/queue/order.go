package queue

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"mailsweep/internal/sweep"
)

// Order tells all workers at once that a job has new orders (the zero id: all jobs may have), for a process that runs no dispatcher. A
// message that gets lost is made good by the next heartbeat.
func Order(ctx context.Context, c redis.UniversalClient, job sweep.ID) error {
	if err := c.Publish(ctx, hintChannel(c), job.String()).Err(); err != nil {
		return fmt.Errorf("publish order: %w", err)
	}
	return nil
}
