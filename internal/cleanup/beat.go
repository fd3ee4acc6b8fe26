package cleanup

import (
	"context"
	"fmt"
	"sync"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// How often progress may be written, how long a renewal may take, and after how long without one the claim stops by itself: a last try, begun
// just before, ends before the lease does.
const (
	beatEvery   = 500 * time.Millisecond
	renewLimit  = 4 * time.Second
	giveUpAfter = 10 * time.Second
	stallLimit  = 10 * time.Minute // no wait for quota and no call takes as long: the work hangs or turns in circles
)

// beat keeps a claim alive: it renews the lease, shows progress and learns of orders.
type beat struct {
	mu     sync.Mutex
	now    store.Beat
	since  time.Time
	first  int // done when this claim began
	before int64
	units  func() int64
	yield  bool            // a writing job wants the mailbox
	told   context.Context // ends, with its cause, when the claim is to stop
	tell   context.CancelCauseFunc
	nudged chan struct{} // full: ask for orders at once
	moved  time.Time     // when the work last showed a sign of life
	stall  time.Duration // how long it may show none
	ending sync.Mutex    // held while the lease is renewed, or the job ended
	over   bool          // the job is ended: there is nothing to renew
}

func newBeat(c store.Claim, stall time.Duration) *beat {
	b := &beat{since: time.Now(), before: c.Units, first: c.Progress.Done,
		now: store.Beat{Phase: c.Phase, Done: c.Progress.Done, Total: c.Progress.Total}, units: func() int64 { return 0 }, nudged: make(chan struct{}, 1),
		stall: stall}
	b.told, b.tell = context.WithCancelCause(context.Background())
	return b
}

// claims are the heartbeats of a worker's claims at work.
type claims struct {
	mu    sync.Mutex
	beats map[sweep.ID]*beat
}

// add returns what takes the claim out again.
func (c *claims) add(job sweep.ID, b *beat) (remove func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.beats == nil {
		c.beats = map[sweep.ID]*beat{}
	}
	c.beats[job] = b
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.beats[job] == b {
			delete(c.beats, job)
		}
	}
}

func (c *claims) nudge(job sweep.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if job.IsZero() {
		for _, b := range c.beats {
			b.hurry()
		}
	} else if b := c.beats[job]; b != nil {
		b.hurry()
	}
}

func (b *beat) hurry() {
	select {
	case b.nudged <- struct{}{}:
	default:
	}
}

// phase begins a new phase of so many steps.
func (b *beat) phase(name string, total int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now.Phase, b.now.Done, b.now.Total, b.now.PerSecond = name, 0, total, 0
	b.since, b.first = time.Now(), 0
}

// advance adds n done steps.
func (b *beat) advance(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now.Done += n
	if took := time.Since(b.since).Seconds(); took > 0.1 {
		b.now.PerSecond = float64(b.now.Done-b.first) / took
	}
}

// shown is what the next heartbeat says.
func (b *beat) shown() store.Beat {
	units := b.spent()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now.Units = units
	return b.now
}

func (b *beat) done() int    { b.mu.Lock(); defer b.mu.Unlock(); return b.now.Done }
func (b *beat) total() int   { b.mu.Lock(); defer b.mu.Unlock(); return b.now.Total }
func (b *beat) spent() int64 { return b.before + b.units() }

// reason is why the claim is to stop; nil while it goes on.
func (b *beat) reason() error { return context.Cause(b.told) }

// mustYield says that a writing job of the customer wants the mailbox: an analysis gives way between two steps.
func (b *beat) mustYield() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.yield }

// stopWith notes the first reason, and ends what hears.
func (b *beat) stopWith(cause error) { b.tell(cause) }

// start runs the heartbeat beside the work. ctx is for what has to come to its end once it has begun: it is canceled only when the claim
// is lost. All else hears: it ends as soon as the claim is to stop, for the customer's, an operator's or the process's sake.
func (b *beat) start(parent context.Context, w *work) (ctx, hear context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	hear, deafen := context.WithCancelCause(ctx)
	context.AfterFunc(b.told, func() { deafen(b.reason()) })
	forget := context.AfterFunc(parent, func() { b.stopWith(context.Canceled) })
	quit := make(chan struct{})
	var loop sync.WaitGroup
	loop.Go(func() { b.loop(ctx, w, quit, cancel) })
	return ctx, hear, func() { close(quit); loop.Wait(); forget(); cancel(nil) }
}

func (b *beat) loop(ctx context.Context, w *work, quit <-chan struct{}, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	var last store.Beat
	renewed, hurry := w.began, false
	for {
		select {
		case <-quit:
			return
		case <-b.nudged:
			hurry = true
		case <-tick.C:
		}
		next := b.shown()
		if !hurry && next == last && time.Since(renewed) < beatEvery*2 {
			continue
		}
		hurry = false
		if b.stalled(next, last) {
			b.giveUp(next, cancel)
			return // the lease runs out, should the work not even hear this
		}
		asked := time.Now()
		orders, err, over := b.renewed(ctx, w, next)
		switch {
		case over:
			return
		case err == nil:
			last, renewed = next, asked // the lease counts from somewhere between then and now
		case time.Since(renewed) > giveUpAfter:
			err = store.ErrFenced // or so it will be before anybody says so
		}
		if orders.Gone && w.mbox != nil {
			w.mbox.Lose() // as if Google had said so: the work ends by its next call
		}
		b.obey(orders, err, cancel)
		if err == store.ErrFenced {
			return
		}
	}
}

// stalled says whether the work has shown nothing new for too long.
func (b *beat) stalled(next, last store.Beat) bool {
	if next != last || b.moved.IsZero() {
		b.moved = time.Now()
	}
	return time.Since(b.moved) > b.stall
}

// giveUp lets the lease go of a claim that does not get on.
func (b *beat) giveUp(at store.Beat, cancel context.CancelCauseFunc) {
	cause := &broken{trouble: fmt.Sprintf("no progress for %s while %s", b.stall, at.Phase)}
	b.stopWith(cause)
	cancel(cause)
}

// renewed renews unless the job has ended meanwhile.
func (b *beat) renewed(ctx context.Context, w *work, next store.Beat) (o store.Orders, err error, over bool) {
	b.ending.Lock()
	defer b.ending.Unlock()
	if b.over {
		return o, nil, true
	}
	o, err = b.renew(ctx, w, next)
	return o, err, false
}

// end lets f end the job with no renewal beside it: that would find the job over, and take the claim for lost whose end is being written.
func (b *beat) end(f func() error) error {
	b.ending.Lock()
	defer b.ending.Unlock()
	err := f()
	b.over = err == nil
	return err
}

func (b *beat) renew(ctx context.Context, w *work, next store.Beat) (store.Orders, error) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), renewLimit)
	defer stop()
	return w.DB.Renew(ctx, w.c, next)
}

func (b *beat) obey(o store.Orders, err error, cancel context.CancelCauseFunc) {
	b.mu.Lock()
	b.yield = o.Yield
	b.mu.Unlock()
	switch {
	case err == store.ErrFenced:
		b.stopWith(store.ErrFenced)
		cancel(store.ErrFenced)
	case o.Cancel:
		b.stopWith(errCanceled)
	case o.Pause:
		b.stopWith(errPaused)
	case o.Halt:
		b.stopWith(errHalted)
	}
}
