package queue

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mailsweep/internal/sweep"
)

// hints tell dispatchers, here and in other processes, that looking is worth while, and workers that a job has new orders. They are never
// waited for and may be lost: both look by themselves before long.
type hints struct {
	redis   redis.UniversalClient
	log     *slog.Logger
	here    chan struct{}      // full: look
	out     chan struct{}      // full: tell the others
	look    string             // what this process publishes for "look": it hears itself, and has looked already
	orders  chan sweep.ID      // jobs with new orders, for the others
	ordered func(job sweep.ID) // hears of such jobs; nil: nobody here wants to
}

const lookPrefix = "look "

// ordersAtOnce is how many orders may wait to be published. One more is dropped: its worker hears at its next heartbeat.
const ordersAtOnce = 256

func newHints(c redis.UniversalClient, log *slog.Logger) *hints {
	return &hints{redis: c, log: log, here: make(chan struct{}, 1), out: make(chan struct{}, 1), look: lookPrefix + rand.Text(), orders: make(chan sweep.ID, ordersAtOnce)}
}

// hintChannel names the database too: published messages cross Redis' numbered databases. A cluster has number 0 only.
func hintChannel(c redis.UniversalClient) string {
	database := 0
	if one, numbered := c.(*redis.Client); numbered {
		database = one.Options().DB
	}
	return fmt.Sprintf("mailsweep:hint:%d", database)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// order says that a job has new orders; the zero id: all may have.
func (h *hints) order(job sweep.ID) {
	select {
	case h.orders <- job:
	default:
	}
}

// tell publishes the hints of this process, many at once as one, until ctx ends.
func (h *hints) tell(ctx context.Context) {
	for {
		message := h.look
		select {
		case <-ctx.Done():
			return
		case <-h.out:
		case job := <-h.orders:
			message = job.String()
		}
		short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		if err := h.redis.Publish(short, hintChannel(h.redis), message).Err(); err != nil {
			h.log.DebugContext(ctx, "hint not published", "error", err)
		}
		cancel()
	}
}

// hear receives the hints of all processes until ctx ends. The subscription renews itself after a loss of the connection.
func (h *hints) hear(ctx context.Context) {
	sub := h.redis.Subscribe(ctx, hintChannel(h.redis))
	defer sub.Close()
	messages := sub.Channel()
	for {
		select {
		case <-ctx.Done():
			return
		case m, open := <-messages:
			if !open {
				return
			}
			h.heard(m.Payload)
		}
	}
}

func (h *hints) heard(message string) {
	if message == "" || strings.HasPrefix(message, lookPrefix) { // the release before says nothing
		if message != h.look {
			poke(h.here)
		}
		return
	}
	if job, err := sweep.ParseUUID(message); err == nil && h.ordered != nil {
		h.ordered(job)
	}
}
