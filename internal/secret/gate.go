package secret

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"time"

	"mailsweep/internal/sweep"
)

// Slot is a place behind the gate, for one hash at a time.
type Slot struct{ p *Passwords }

// Leave gives the place to the next.
func (s Slot) Leave() { <-s.p.gate }

// Enter waits for a place behind the gate. What a hash is needed for is best looked up behind it: who is turned away has cost nothing then.
// Code: unavailable when none came free in time.
func (p *Passwords) Enter(ctx context.Context) (Slot, error) {
	p.once.Do(func() {
		slots := p.Slots
		if slots <= 0 {
			slots = max(1, runtime.GOMAXPROCS(0)-1)
		}
		p.gate = make(chan struct{}, slots)
	})
	patience := p.Patience
	if patience == 0 {
		patience = 2 * time.Second
	}
	// each gives up at a moment of their own: a crowd that came at once would be told at once to come back, and come back so
	timer := time.NewTimer(patience - upTo(patience/2+1))
	defer timer.Stop()
	select {
	case p.gate <- struct{}{}:
		return Slot{p}, nil
	case <-timer.C:
		return Slot{}, sweep.Errorf(sweep.Unavailable, "too many people are signing in; try again in a few seconds")
	case <-ctx.Done():
		return Slot{}, fmt.Errorf("wait to hash a password: %w", ctx.Err())
	}
}

// upTo is any time below d, which is positive.
func upTo(d time.Duration) time.Duration {
	return time.Duration(binary.NativeEndian.Uint64(random(8)) % uint64(d))
}
