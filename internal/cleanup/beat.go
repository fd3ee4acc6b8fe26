package cleanup

import (
	"context"
	"sync"
	"time"

	"mailsweep/internal/store"
)

// How often progress may be written, and how often the lease is renewed when nothing moves. Lease/3 leaves room for two misses.
const (
	beatEvery  = 500 * time.Millisecond
	renewEvery = 4 * time.Second
)

// beat keeps a claim alive: it renews the lease, shows progress and learns of orders.
type beat struct {
	mu     sync.Mutex
	now    store.Beat
	since  time.Time
	first  int // done when this claim began
	before int64
	units  func() int64
	cause  error
	yield  bool // a writing job wants the mailbox
	cancel context.CancelCauseFunc
}

func newBeat(c store.Claim) *beat {
	return &beat{since: time.Now(), before: c.Units, first: c.Progress.Done,
		now: store.Beat{Phase: c.Phase, Done: c.Progress.Done, Total: c.Progress.Total}, units: func() int64 { return 0 }}
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

func (b *beat) done() int    { b.mu.Lock(); defer b.mu.Unlock(); return b.now.Done }
func (b *beat) total() int   { b.mu.Lock(); defer b.mu.Unlock(); return b.now.Total }
func (b *beat) spent() int64 { return b.before + b.units() }

// reason is why the claim is to stop; nil while it goes on.
func (b *beat) reason() error { b.mu.Lock(); defer b.mu.Unlock(); return b.cause }

// mustYield says that a writing job of the customer wants the mailbox: an analysis gives way between two steps.
func (b *beat) mustYield() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.yield }

// stopWith notes the first reason. What reads is interrupted at once; what writes looks at reason at each batch's edge.
func (b *beat) stopWith(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cause == nil {
		b.cause = cause
	}
	if b.cancel != nil {
		b.cancel(cause)
	}
}

// start runs the heartbeat beside the work. A writing job's calls in flight are left to be answered, because an unanswered change is
// one whose effect is unknown; so its context is not canceled from here, unless the claim is lost.
func (b *beat) start(parent context.Context, w *work) (context.Context, func()) {
	base := parent
	if w.c.Kind.Writes() {
		base = context.WithoutCancel(parent)
	}
	ctx, cancel := context.WithCancelCause(base)
	if !w.c.Kind.Writes() {
		b.mu.Lock()
		b.cancel = cancel
		b.mu.Unlock()
	}
	quit := make(chan struct{})
	var loop sync.WaitGroup
	loop.Go(func() { b.loop(parent, w, quit, cancel) })
	return ctx, func() { close(quit); loop.Wait(); cancel(nil) }
}

func (b *beat) loop(parent context.Context, w *work, quit <-chan struct{}, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	var last store.Beat
	renewed := time.Now()
	for {
		select {
		case <-quit:
			return
		case <-parent.Done():
			b.stopWith(context.Canceled)
			parent = context.WithoutCancel(parent) // go on renewing until the work has reached an edge
		case <-tick.C:
		}
		b.mu.Lock()
		next := b.now
		b.mu.Unlock()
		if next == last && time.Since(renewed) < beatEvery*2 {
			continue
		}
		orders, err := b.renew(parent, w, next)
		switch {
		case err == nil:
			last, renewed = next, time.Now()
		case time.Since(renewed) > 3*renewEvery:
			b.stopWith(store.ErrFenced)
			cancel(store.ErrFenced)
		}
		b.obey(orders, err, cancel)
	}
}

func (b *beat) renew(ctx context.Context, w *work, next store.Beat) (store.Orders, error) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), renewEvery)
	defer stop()
	next.Units = b.spent()
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
	case o.Halt:
		b.stopWith(errHalted)
	}
}
