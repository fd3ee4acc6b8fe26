package gmail

import (
	"context"
	"sync/atomic"
	"time"
)

// patience is what a call may wait for in sum, over all its tries: the account's bucket, a place in flight, and the pauses between tries,
// told or ours. What asks for more becomes a *Wait and frees the worker.
type patience struct {
	whole time.Duration
	spent atomic.Int64
}

type patienceKey struct{}

// patient gives the patience of the call that ctx belongs to: a new one, unless ctx has one.
func (c *Client) patient(ctx context.Context) (context.Context, *patience) {
	if p, ok := ctx.Value(patienceKey{}).(*patience); ok {
		return ctx, p
	}
	p := &patience{whole: c.patience()}
	return context.WithValue(ctx, patienceKey{}, p), p
}

func (p *patience) left() time.Duration { return max(0, p.whole-time.Duration(p.spent.Load())) }

// waited counts the time since began.
func (p *patience) waited(began time.Time) { p.spent.Add(int64(time.Since(began))) }

// sleep waits for d or the end of ctx. What a busy machine sleeps longer is not the call's.
func (p *patience) sleep(ctx context.Context, d time.Duration) error {
	p.spent.Add(int64(d))
	return sleep(ctx, d)
}
