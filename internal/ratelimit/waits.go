package ratelimit

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Waits is how long a key has to wait between failures: not at all before the Free-th, First after that, and after each further one twice as
// long, up to Longest. All is forgotten when none came for Kept, which is longer than Longest. Keys are as an Allowance's.
type Waits struct {
	Key                  string
	Free                 int
	First, Longest, Kept time.Duration
}

// steps are the waits from the Free-th failure on; the last one is for all that follow.
func (w Waits) steps() (steps []time.Duration) {
	for wait := w.First; wait < w.Longest; wait *= 2 {
		steps = append(steps, wait)
	}
	return append(steps, w.Longest)
}

// Wait is how long a key has to wait still; 0: it may try.
func (r *Requests) Wait(ctx context.Context, w Waits) (time.Duration, error) {
	return r.wait(ctx, w, 0)
}

// Failed counts a failure, over all processes, and gives how long the key has to wait now. Which of several processes count does not matter, nor whether
// a wait was over. While Redis is away each counts by itself.
func (r *Requests) Failed(ctx context.Context, w Waits) (time.Duration, error) {
	return r.wait(ctx, w, 1)
}

func (r *Requests) wait(ctx context.Context, w Waits, failures int) (time.Duration, error) {
	if w.Free < 1 || w.First <= 0 || w.Longest < w.First || w.Kept <= w.Longest {
		return 0, fmt.Errorf("rate limit: %+v are no waits", w)
	}
	args := []any{failures, w.Free, w.Kept.Milliseconds()}
	for _, step := range w.steps() {
		args = append(args, step.Microseconds())
	}
	var left int64
	err := r.link.try(ctx, r.Log, func(ctx context.Context) (err error) {
		left, err = waitScript.Run(ctx, r.Redis, []string{r.key(w.Key)}, args...).Int64()
		return err
	})
	switch {
	case err == nil:
		return time.Duration(left) * time.Microsecond, nil
	case ended(ctx) != nil:
		return 0, fmt.Errorf("rate limit: %w", ended(ctx))
	}
	return r.waitAlone(w, failures, time.Now()), nil
}

// waitScript takes how many failures to add, how many are free, how long in milliseconds all is kept, and the waits in microseconds. A key holds the
// number of failures and until when it waits; what lies beyond the longest wait was written by another clock. It answers the microseconds left.
var waitScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local seen = redis.call('HMGET', KEYS[1], 'n', 'until')
local n, free, waits = tonumber(seen[1] or 0) + ARGV[1], tonumber(ARGV[2]), #ARGV - 3
local left = math.min(math.max(0, tonumber(seen[2] or 0) - now), tonumber(ARGV[#ARGV]))
if tonumber(ARGV[1]) > 0 then
  if n >= free then left = math.max(left, tonumber(ARGV[3 + math.min(n - free + 1, waits)])) end
  redis.call('HSET', KEYS[1], 'n', n, 'until', string.format('%.0f', now + left))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return string.format('%.0f', left)
`)

// failing is what a process knows of a key's failures.
type failing struct {
	n              int
	until, forgets time.Time
}

// waitAlone is wait while Redis is away.
func (r *Requests) waitAlone(w Waits, failures int, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := r.failingKey(w, now)
	f := r.failing[key]
	if !f.forgets.After(now) {
		f = failing{}
	}
	left := max(0, f.until.Sub(now))
	if failures == 0 {
		return left
	}
	if f.n += failures; f.n >= w.Free {
		steps := w.steps()
		left = max(left, steps[min(f.n-w.Free, len(steps)-1)])
	}
	r.failing[key] = failing{f.n, now.Add(left), now.Add(w.Kept)}
	return left
}

// failingKey is as room: a flood of new keys shares one. It needs r.mu.
func (r *Requests) failingKey(w Waits, now time.Time) string {
	if r.failing == nil {
		r.failing = map[string]failing{}
	}
	if _, known := r.failing[w.Key]; known || len(r.failing) < localKeys {
		return w.Key
	}
	if now.Sub(r.swept) >= time.Second {
		r.swept = now
		maps.DeleteFunc(r.failing, func(_ string, f failing) bool { return !f.forgets.After(now) })
	}
	if len(r.failing) < localKeys {
		return w.Key
	}
	return "everyone else of " + strconv.Itoa(w.Free)
}
