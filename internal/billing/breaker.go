package billing

import (
	"sync"
	"time"
)

const (
	breakAfter = 5 // calls in a row that found Stripe away
	breakFor   = 15 * time.Second
)

// breaker refuses calls while Stripe is away, so that nobody waits for it in vain: after breakAfter failures in a row for breakFor, then one call tries.
type breaker struct {
	mu       sync.Mutex
	failures int
	until    time.Time
	trying   bool
}

// enter lets a call through or says when to come back.
func (b *breaker) enter(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failures < breakAfter:
		return nil
	case now.Before(b.until):
		return away(b.until.Sub(now) + time.Second)
	case b.trying:
		return away(time.Second)
	}
	b.trying = true
	return nil
}

// leave notes how a call ended.
func (b *breaker) leave(now time.Time, outcome string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
	switch outcome {
	case "away":
		if b.failures++; b.failures >= breakAfter {
			b.until = now.Add(breakFor)
		}
	case "left": // whoever asked has gone: that says nothing
	default:
		b.failures = 0
	}
}
