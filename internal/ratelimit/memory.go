package ratelimit

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// rememberedAccounts is where memory begins to look for buckets that are full again.
const rememberedAccounts = 4096

// memory is what one process last saw of the buckets, on Redis's clock. It carries on while Redis is away, and it goes along
// with every booking, so that an emptied Redis does not hand out a second burst.
type memory struct {
	ahead    float64 // Redis's clock less ours, microseconds
	project  bucket
	accounts map[string]seen
	day      string // Google's
	spent    float64
}

// seen is what is known of an account.
type seen struct {
	bucket
	borne   float64 // calls in flight; 0 = nobody told
	borneAt float64
}

func (m *memory) now() float64 { return float64(time.Now().UnixMicro()) + m.ahead }

func (m *memory) keep(account string, b booking, minute float64) {
	if m.accounts == nil {
		m.accounts = map[string]seen{}
	}
	if len(m.accounts) >= rememberedAccounts {
		for name, old := range m.accounts {
			if old.idle(b.now, minute) {
				delete(m.accounts, name)
			}
		}
	}
	known := m.accounts[account]
	known.bucket = known.merge(b.account)
	if b.places > 0 {
		known.borne, known.borneAt = b.places, b.now
	}
	m.accounts[account] = known
	m.spend(b.day, b.spent)
	m.project = m.project.merge(b.project)
}

// places is how many calls in flight the account bears.
func (m *memory) places(account string) int {
	known := m.accounts[account]
	if known.borne == 0 || m.now()-known.borneAt > float64(flowKept.Microseconds()) {
		return placesStart
	}
	return int(known.borne)
}

func (g *Governor) recall(account string) (a, project bucket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known.accounts[account].bucket, g.known.project
}

func (g *Governor) placesKnown(account string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known.places(account)
}

func (g *Governor) learn(account string, b booking) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known.ahead = b.now - float64(time.Now().UnixMicro())
	g.known.keep(account, b, g.minute())
}

// redisTime is a time of ours on Redis's clock.
func (g *Governor) redisTime(t time.Time) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return float64(t.UnixMicro()) + g.known.ahead
}

func (g *Governor) remember(account string, change func(b *bucket, now float64)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a, now := g.known.accounts[account].bucket, g.known.now()
	change(&a, now)
	g.known.keep(account, booking{now: now, account: a}, g.minute())
}

func (g *Governor) rememberProject(change func(b *bucket, now float64)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.known.project, g.known.now())
}

func (g *Governor) rememberPlaces(account string, places int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known.keep(account, booking{now: g.known.now(), places: float64(places)}, g.minute())
}

const (
	redisPatience = time.Second // for one answer
	redisPause    = time.Second // before asking again after a failure
)

var errAway = errors.New("redis is away")

// link remembers for a moment that Redis did not answer, so that not every caller waits for the same time-out.
type link struct{ awayUntil atomic.Int64 }

// try asks Redis unless it failed just now. A failure that is the caller's own end is not held against Redis.
func (l *link) try(ctx context.Context, log *slog.Logger, ask func(context.Context) error) error {
	away := l.awayUntil.Load()
	if away > time.Now().UnixNano() {
		return errAway
	}
	limited, cancel := context.WithTimeout(ctx, redisPatience)
	defer cancel()
	err := ask(limited)
	switch {
	case err == nil && away != 0 && l.awayUntil.CompareAndSwap(away, 0) && log != nil:
		log.InfoContext(ctx, "redis answers again, limits are shared")
	case err != nil && ended(ctx) == nil:
		l.awayUntil.Store(time.Now().Add(redisPause).UnixNano())
		if away == 0 && log != nil {
			log.WarnContext(ctx, "redis is away, this process limits alone", "error", err)
		}
	}
	return err
}

// ended is the context's error, also in the moment when its deadline has passed and its own timer is late: a connection's deadline is the same
// instant, and Redis is not away because a caller's time is up.
func ended(ctx context.Context) error {
	if until, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(until) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

func ignoreNil(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}
