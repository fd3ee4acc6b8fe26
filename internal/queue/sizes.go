package queue

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Size is how many tasks of a queue stand in a state of asynq's.
type Size struct {
	Queue, State string
	N            int
}

// Sizes counts the tasks in Redis in one round trip. asynq's own inspector would also weigh each queue's memory, and fails for all
// queues when one has an id without a task.
func Sizes(ctx context.Context, c redis.UniversalClient) ([]Size, error) {
	pipe := c.Pipeline()
	var sizes []Size
	var counts []*redis.IntCmd
	for _, line := range lines() {
		prefix := "asynq:{" + line + "}:"
		for _, state := range []string{"pending", "active"} {
			sizes, counts = append(sizes, Size{Queue: line, State: state}), append(counts, pipe.LLen(ctx, prefix+state))
		}
		for _, state := range []string{"scheduled", "retry", "archived"} {
			sizes, counts = append(sizes, Size{Queue: line, State: state}), append(counts, pipe.ZCard(ctx, prefix+state))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("count tasks: %w", err)
	}
	for i, n := range counts {
		sizes[i].N = int(n.Val())
	}
	return sizes, nil
}
