package gmail

import (
	"sync"
	"time"
)

// Bounds of the calls in flight at one mailbox. Google refuses beyond a number that it does not tell; reports put it near 10,
// shared by all programs that use the mailbox.
const (
	flowMin   = 2
	flowStart = 8
	flowMax   = 10
)

// flow finds the number of calls a mailbox bears at once: one more after each full round of successes, half after a refusal.
type flow struct {
	mu    sync.Mutex
	max   int
	run   int       // successes since the last change
	cutAt time.Time // refusals of calls that began earlier belong to the same crowd
}

func newFlow() *flow { return &flow{max: flowStart} }

func (f *flow) limit() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.max
}

func (f *flow) succeeded() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.run++
	if f.run >= 4*f.max && f.max < flowMax {
		f.max, f.run = f.max+1, 0
	}
}

func (f *flow) crowded(began, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if began.Before(f.cutAt) {
		return
	}
	f.max, f.run, f.cutAt = max(flowMin, f.max/2), 0, now
}
