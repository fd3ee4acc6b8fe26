package queue

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// hints tell dispatchers, here and in other processes, that looking is worth while. They are never waited for and may be lost.
type hints struct {
	redis redis.UniversalClient
	log   *slog.Logger
	here  chan struct{} // full: look
	out   chan struct{} // full: tell the others
}

func newHints(c redis.UniversalClient, log *slog.Logger) *hints {
	return &hints{redis: c, log: log, here: make(chan struct{}, 1), out: make(chan struct{}, 1)}
}

// channel names the database too: published messages cross Redis' numbered databases. A cluster has number 0 only.
func (h *hints) channel() string {
	database := 0
	if c, numbered := h.redis.(*redis.Client); numbered {
		database = c.Options().DB
	}
	return fmt.Sprintf("mailsweep:hint:%d", database)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// tell publishes the hints of this process, many at once as one, until ctx ends.
func (h *hints) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.out:
		}
		short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		if err := h.redis.Publish(short, h.channel(), "").Err(); err != nil {
			h.log.DebugContext(ctx, "hint not published", "error", err)
		}
		cancel()
	}
}

// hear receives the hints of all processes until ctx ends. The subscription renews itself after a loss of the connection.
func (h *hints) hear(ctx context.Context) {
	sub := h.redis.Subscribe(ctx, h.channel())
	defer sub.Close()
	messages := sub.Channel()
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-messages:
			if !open {
				return
			}
			poke(h.here)
		}
	}
}
