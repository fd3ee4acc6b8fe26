package ratelimit

import (
	"fmt"
	"maps"
	"time"
)

// localKeys bounds the memory of one process. Keys beyond it share one allowance with all others of the same limit: too strict for some,
// but a flood of new keys must not lift the limit.
const localKeys = 20000

// takeAlone is Take while Redis is away.
func (r *Requests) takeAlone(cost int, from []Allowance, now time.Time) []Decision {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys, ahead := make([]string, len(from)), make([]time.Duration, len(from))
	for i, a := range from {
		keys[i] = r.room(a, now)
		ahead[i] = max(0, r.local[keys[i]].Sub(now))
	}
	out := judge(cost, from, func(i int) time.Duration { return ahead[i] })
	for i, d := range out {
		if d.ResetAfter > ahead[i] {
			r.local[keys[i]] = now.Add(d.ResetAfter)
		}
	}
	return out
}

// room finds the key under which to count, after clearing out what is whole again. It needs r.mu.
func (r *Requests) room(a Allowance, now time.Time) string {
	if r.local == nil {
		r.local = map[string]time.Time{}
	}
	if _, known := r.local[a.Key]; known || len(r.local) < localKeys {
		return a.Key
	}
	if now.Sub(r.swept) >= time.Second { // looking at every key for each request would be a weapon
		r.swept = now
		maps.DeleteFunc(r.local, func(_ string, whole time.Time) bool { return !whole.After(now) })
	}
	if len(r.local) < localKeys {
		return a.Key
	}
	return fmt.Sprintf("everyone else of %d in %s", a.Limit, a.Per)
}
