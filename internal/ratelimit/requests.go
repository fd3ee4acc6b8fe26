package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

// Decision says whether a request may pass, in the terms of the RateLimit headers. RetryAfter is 0 when it may.
type Decision struct {
	Allowed    bool
	Limit      int
	Remaining  int
	RetryAfter time.Duration
	ResetAfter time.Duration
}

// Requests limits requests per key over all processes (GCRA in Redis). While Redis is away each process counts by itself:
// at most the limit once more per process, never without limit. Use it by pointer.
type Requests struct {
	Redis  redis.UniversalClient
	Prefix string // of the keys; "" means http
	Log    *slog.Logger

	link  link
	mu    sync.Mutex
	local map[string]time.Time // when each key's allowance would be whole again
	swept time.Time            // when room last cleared out
}

// Allow takes cost from the key's allowance of perMinute. Keys hold ids or keyed hashes, never an address in clear.
func (r *Requests) Allow(ctx context.Context, key string, perMinute, cost int) (Decision, error) {
	return r.AllowIn(ctx, key, perMinute, time.Minute, cost)
}

// AllowIn takes cost from the key's allowance of limit in each span of time, such as 5 sign-ups an hour.
func (r *Requests) AllowIn(ctx context.Context, key string, limit int, per time.Duration, cost int) (Decision, error) {
	if limit < 1 || cost < 0 || cost > limit || per <= 0 {
		return Decision{}, fmt.Errorf("rate limit: a cost of %d can never pass a limit of %d", cost, limit)
	}
	var d Decision
	err := r.link.try(ctx, r.Log, func(ctx context.Context) error {
		result, err := redis_rate.NewLimiter(r.Redis).AllowN(ctx, r.key(key), redis_rate.Limit{Rate: limit, Burst: limit, Period: per}, cost)
		if err == nil {
			d = Decision{cost == 0 || result.Allowed > 0, limit, result.Remaining, max(0, result.RetryAfter), max(0, result.ResetAfter)}
		}
		return err
	})
	switch {
	case err == nil:
		return d, nil
	case ctx.Err() != nil:
		return Decision{}, fmt.Errorf("rate limit: %w", ctx.Err())
	}
	return r.allowAlone(key, limit, per, cost, time.Now()), nil
}

func (r *Requests) key(key string) string {
	if r.Prefix == "" {
		return "http:" + key
	}
	return r.Prefix + ":" + key
}

// localKeys bounds the memory of one process. Keys beyond it share one allowance: too strict for some, but a flood of new
// keys must not lift the limit.
const localKeys = 20000

func (r *Requests) allowAlone(key string, limit int, per time.Duration, cost int, now time.Time) Decision {
	r.mu.Lock()
	defer r.mu.Unlock()
	key = r.room(key, now)
	step := per / time.Duration(limit)
	whole := r.local[key]
	if whole.Before(now) {
		whole = now
	}
	next := whole.Add(step * time.Duration(cost))
	if over := next.Sub(now) - per; over > 0 {
		return Decision{false, limit, int((per - whole.Sub(now)) / step), over, whole.Sub(now)}
	}
	r.local[key] = next
	return Decision{true, limit, int((per - next.Sub(now)) / step), 0, next.Sub(now)}
}

// room finds the key under which to count, after clearing out what is whole again. It needs r.mu.
func (r *Requests) room(key string, now time.Time) string {
	if r.local == nil {
		r.local = map[string]time.Time{}
	}
	if _, known := r.local[key]; known || len(r.local) < localKeys {
		return key
	}
	if now.Sub(r.swept) >= time.Second { // looking at every key for each request would be a weapon
		r.swept = now
		maps.DeleteFunc(r.local, func(_ string, whole time.Time) bool { return !whole.After(now) })
	}
	if len(r.local) < localKeys {
		return key
	}
	return "everyone else"
}
