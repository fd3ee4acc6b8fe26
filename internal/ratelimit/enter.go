package ratelimit

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	jitter "math/rand/v2"
	"sync"
	"time"
)

const (
	// slotLease is no longer than a claim's lease: whoever goes on with a dead worker's job must not wait for the dead one's calls. A place
	// that is held longer is renewed.
	slotLease = 15 * time.Second
	// placePatience is the longest that a call waits for a place, however patient it is: beyond it whoever has them is stuck, and a worker must
	// not be too.
	placePatience = 30 * time.Second
	// linger is how long a place that was given back waits for a call of this process that takes the word along. A call's answer is read
	// and the next call made well within it.
	linger = 5 * time.Millisecond
)

// Enter takes one of the account's places in flight, counted over all processes, books units for it and sleeps until the call may be made,
// also over a time for which a bucket is closed meanwhile. leave gives the place back, well telling that Google took the call; it may be
// called more than once, and a place not given back is free after the lease. leave is nil when all that would take longer than maxWait:
// wait is how long from now. The account bears more places the more calls go well, and fewer after Crowded. With Redis away this process
// counts alone, up to half of the places and at half the rate. account is a keyed hash of Google's sub.
func (g *Governor) Enter(ctx context.Context, account string, units int, maxWait time.Duration) (leave func(well bool), wait time.Duration, err error) {
	id, began, left := rand.Text(), time.Now(), maxWait
	for pause := 4 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		b, alone, err := g.book(ctx, account, id, units, left)
		switch {
		case err != nil:
			return nil, 0, fmt.Errorf("enter with %d units: %w", units, err)
		case b.ok:
			leave := g.leaving(account, id, alone)
			if wait, err := g.arrive(ctx, account, units, micros(b.start-b.now), left); wait > 0 || err != nil {
				leave(false)
				return nil, wait, err
			}
			return leave, 0, nil
		case !b.full:
			return nil, micros(b.start - b.now), nil
		case time.Since(began) > min(placePatience, maxWait):
			return nil, time.Second, nil
		}
		if err := g.awaitPlace(ctx, account, pause/2+jitter.N(pause)); err != nil {
			return nil, 0, fmt.Errorf("wait for a place in flight: %w", err)
		}
		left = max(0, maxWait-time.Since(began))
	}
}

// arrive sleeps until the booked time, and books anew if a bucket was closed meanwhile, by whichever process. wait is above 0 where that would
// take longer than maxWait in sum.
func (g *Governor) arrive(ctx context.Context, account string, units int, start, maxWait time.Duration) (wait time.Duration, err error) {
	for ok := true; ; maxWait -= start {
		if err := sleep(ctx, start); err != nil {
			return 0, err
		}
		if start == 0 || !g.closed(ctx, account) {
			return 0, nil
		}
		if start, ok, err = g.Reserve(ctx, account, units, maxWait-start); err != nil || !ok {
			return max(1, start), err
		}
	}
}

// leaving keeps a place until it is given back.
func (g *Governor) leaving(account, id string, alone bool) func(bool) {
	if alone {
		return g.leavingAlone(account)
	}
	stop := g.renewing(account, id)
	var once sync.Once
	return func(well bool) {
		once.Do(func() {
			stop()
			g.giveBack(account, id, well)
		})
	}
}

func (g *Governor) leavingAlone(account string) func(bool) {
	free := sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.alone[account]--; g.alone[account] == 0 {
			delete(g.alone, account)
		}
	})
	return func(bool) { free() }
}

// aloneFull reports whether this process has as many calls in flight as it allows itself without Redis, and counts one more if not.
func (g *Governor) aloneFull(account string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.alone == nil {
		g.alone = map[string]int{}
	}
	if g.alone[account] >= max(1, g.known.places(account)/2) {
		return true
	}
	g.alone[account]++
	return false
}

func (g *Governor) lease() time.Duration { return cmp.Or(g.Lease, slotLease) }

// renewing keeps a place until stop. A call is over long before the first renewal, as a rule, so that nothing runs for it.
func (g *Governor) renewing(account, id string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var timer *time.Timer
	var mu sync.Mutex
	renew := func() {
		_ = g.link.try(ctx, g.Log, func(ctx context.Context) error { // the link tells its log; the next try is soon
			return renewScript.Run(ctx, g.Redis, []string{slotsKey(account)}, id, g.lease().Microseconds()).Err()
		})
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() == nil {
			timer.Reset(g.lease() / 3)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(g.lease()/3, renew)
	return func() {
		cancel()
		mu.Lock()
		defer mu.Unlock()
		timer.Stop()
	}
}

// returns are an account's places that this process gave back and has not told Redis of.
type returns struct {
	ids     []any
	well    int
	told    *time.Timer
	waiting int           // calls of this process that wait for a place
	freed   chan struct{} // wakes one of them
}

// giveBack lets the next call of this process tell Redis, or does so itself if none comes.
func (g *Governor) giveBack(account, id string, well bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.returnsOf(account)
	r.ids = append(r.ids, id)
	if well {
		r.well++
	}
	if r.told == nil {
		r.told = time.AfterFunc(linger, func() { g.tell(account) })
	}
	select {
	case r.freed <- struct{}{}:
	default:
	}
}

func (g *Governor) returnsOf(account string) *returns {
	if g.back == nil {
		g.back = map[string]*returns{}
	}
	if g.back[account] == nil {
		g.back[account] = &returns{freed: make(chan struct{}, 1)}
	}
	return g.back[account]
}

// takeBack hands out what is to be told, once.
func (g *Governor) takeBack(account string) (ids []any, well int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.back[account]
	if r == nil {
		return nil, 0
	}
	ids, well = r.ids, r.well
	if r.told != nil {
		r.told.Stop()
	}
	r.ids, r.well, r.told = nil, 0, nil
	if r.waiting == 0 {
		delete(g.back, account)
	}
	return ids, well
}

// tell gives back what no call took along. What Redis does not hear ends with its lease.
func (g *Governor) tell(account string) {
	ids, well := g.takeBack(account)
	if len(ids) == 0 {
		return
	}
	_ = g.link.try(context.Background(), g.Log, func(ctx context.Context) error {
		args := append([]any{g.placesKnown(account), well}, ids...)
		return leaveScript.Run(ctx, g.Redis, []string{slotsKey(account), flowKey(account)}, args...).Err()
	})
}

// awaitPlace sleeps for d, or until a call of this process has given a place of the account back.
func (g *Governor) awaitPlace(ctx context.Context, account string, d time.Duration) error {
	r := g.waits(account, 1)
	defer g.waits(account, -1)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.freed:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (g *Governor) waits(account string, more int) *returns {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.returnsOf(account)
	if r.waiting += more; r.waiting == 0 && len(r.ids) == 0 {
		delete(g.back, account)
	}
	return r
}
