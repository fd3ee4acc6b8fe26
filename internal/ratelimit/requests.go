package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Allowance is what a key may take in any span of time: Limit at once, and as much again in each Per. Keys hold ids or keyed hashes, never
// an address in clear. Those that are taken from together share a hash tag, such as {id}, so that they live on one node of a cluster.
type Allowance struct {
	Key   string
	Limit int
	Per   time.Duration
}

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

	failing map[string]failing
}

// Allow takes cost from the key's allowance of perMinute.
func (r *Requests) Allow(ctx context.Context, key string, perMinute, cost int) (Decision, error) {
	return r.AllowIn(ctx, key, perMinute, time.Minute, cost)
}

// AllowIn takes cost from the key's allowance of limit in each span of time, such as 5 sign-ups an hour.
func (r *Requests) AllowIn(ctx context.Context, key string, limit int, per time.Duration, cost int) (Decision, error) {
	d, err := r.Take(ctx, cost, Allowance{key, limit, per})
	if err != nil {
		return Decision{}, err
	}
	return d[0], nil
}

// Take takes cost from all of the allowances, or from none if one of them does not have it. It answers a decision for each, in their order.
func (r *Requests) Take(ctx context.Context, cost int, from ...Allowance) ([]Decision, error) {
	keys, args := make([]string, len(from)), []any{cost}
	for i, a := range from {
		if a.Limit < 1 || cost < 0 || cost > a.Limit || a.Per <= 0 {
			return nil, fmt.Errorf("rate limit: a cost of %d can never pass a limit of %d", cost, a.Limit)
		}
		keys[i] = r.key(a.Key)
		args = append(args, a.Per.Microseconds(), a.step().Seconds()*1e6)
	}
	var ahead []float64
	err := r.link.try(ctx, r.Log, func(ctx context.Context) (err error) {
		ahead, err = takeScript.Run(ctx, r.Redis, keys, args...).Float64Slice()
		return err
	})
	switch {
	case err == nil && len(ahead) != len(from):
		return nil, fmt.Errorf("rate limit: %d answers to %d allowances", len(ahead), len(from))
	case err == nil:
		return judge(cost, from, func(i int) time.Duration { return time.Duration(ahead[i] * 1e3) }), nil
	case ended(ctx) != nil:
		return nil, fmt.Errorf("rate limit: %w", ended(ctx))
	}
	return r.takeAlone(cost, from, time.Now()), nil
}

// step is the time in which one comes back.
func (a Allowance) step() time.Duration { return max(1, a.Per/time.Duration(a.Limit)) }

// judge says what became of a cost, from how far ahead of now each allowance was used up beforehand. It passes if each has room.
func judge(cost int, from []Allowance, ahead func(i int) time.Duration) []Decision {
	out := make([]Decision, len(from))
	passes := true
	for i, a := range from {
		over := ahead(i) + time.Duration(cost)*a.step() - a.Per
		out[i] = Decision{Allowed: over <= 0, Limit: a.Limit, RetryAfter: max(0, over)}
		passes = passes && over <= 0
	}
	for i, a := range from {
		used := ahead(i)
		if passes {
			used += time.Duration(cost) * a.step()
		}
		out[i].Remaining, out[i].ResetAfter = max(0, int((a.Per-used)/a.step())), used
	}
	return out
}

// takeScript takes a cost from each key, or from none. A key holds the microsecond at which its allowance would be whole again; one that lies
// beyond a whole span was written by another clock. It answers how far ahead of now each was before.
var takeScript = redis.NewScript(`
local t = redis.call('TIME')
local now, cost, passes, ahead = t[1] * 1000000 + t[2], tonumber(ARGV[1]), true, {}
for i, key in ipairs(KEYS) do
  local per, step = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  ahead[i] = math.min(per, math.max(0, tonumber(redis.call('GET', key) or 0) - now))
  if ahead[i] + cost * step > per then passes = false end
end
for i, key in ipairs(KEYS) do
  local used = ahead[i] + cost * ARGV[2 * i + 1]
  if passes and cost > 0 then redis.call('SET', key, string.format('%.0f', now + used), 'PX', math.ceil(used / 1000)) end
  ahead[i] = string.format('%.0f', ahead[i])
end
return ahead
`)

func (r *Requests) key(key string) string {
	if r.Prefix == "" {
		return "http:" + key
	}
	return r.Prefix + ":" + key
}
