package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	"mailsweep/internal/dev/customer"
)

// outcome is what the client knows of one call.
type outcome string

const (
	ok      outcome = "ok"
	failed  outcome = "failed"  // answered: it has no effect
	unknown outcome = "unknown" // not answered, or asked to come again: it may have had its effect
)

// call is one attempt.
type call struct {
	Who, Method, Path, Key string
	Outcome                outcome
	Status                 int // zero: no answer
	Took                   time.Duration
}

// history is all that the client did. Bare counts answers of 5xx that are not a documented 503.
type history struct {
	mu    sync.Mutex
	calls []call
	bare  []call
}

func (h *history) add(c call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c)
	if c.Status >= 500 && c.Status != http.StatusServiceUnavailable {
		h.bare = append(h.bare, c)
	}
}

// mark is a place in the history.
func (h *history) mark() int { h.mu.Lock(); defer h.mu.Unlock(); return len(h.calls) }

// tally sums attempts up.
type tally struct {
	by       map[outcome]int
	slowest  time.Duration
	hopeless time.Duration // the slowest of those that came to nothing
}

func (t tally) String() string {
	return fmt.Sprintf("%d calls answered, %d refused, %d unknown and repeated; the slowest took %s, of the unknown %s", t.by[ok], t.by[failed], t.by[unknown],
		t.slowest.Round(10*time.Millisecond), t.hopeless.Round(10*time.Millisecond))
}

// since sums up the attempts after a mark.
func (h *history) since(mark int) tally {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := tally{by: map[outcome]int{}}
	for _, c := range h.calls[mark:] {
		t.by[c.Outcome]++
		t.slowest = max(t.slowest, c.Took)
		if c.Outcome == unknown {
			t.hopeless = max(t.hopeless, c.Took)
		}
	}
	return t
}

// attemptLimit is how long the client waits for one answer, repeatLimit how long it goes on repeating what it does not know.
const (
	attemptLimit = 10 * time.Second
	repeatLimit  = 3 * time.Minute
)

// do makes a call until its outcome is known, always with the same key and each time at another API.
func (p *person) do(ctx context.Context, method, path, key string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, repeatLimit)
	defer cancel()
	for try := 0; ; try++ {
		result, err := p.attempt(ctx, try, method, path, key, in, out)
		if result != unknown {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s %s stayed unknown for %s: %w", method, path, repeatLimit, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// attempt makes a call once.
func (p *person) attempt(ctx context.Context, try int, method, path, key string, in, out any) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	c := p.Client
	c.Base = p.rig.base(p.home + try)
	c.Header = http.Header{}
	maps.Copy(c.Header, p.Header)
	if key != "" {
		c.Header["Idempotency-Key"] = []string{key}
	}
	begun := time.Now()
	err := c.Do(ctx, method, path, in, out)
	result, status := judged(err)
	p.rig.calls.add(call{Who: p.Email, Method: method, Path: path, Key: key, Outcome: result, Status: status, Took: time.Since(begun)})
	return result, err
}

// judged says what an error means to a client that does not guess.
func judged(err error) (outcome, int) {
	var problem *customer.Problem
	switch {
	case err == nil:
		return ok, http.StatusOK
	case !errors.As(err, &problem):
		return unknown, 0
	case problem.Status >= 500, problem.Status == http.StatusTooManyRequests, problem.Code == "idempotency_in_flight":
		return unknown, problem.Status
	}
	return failed, problem.Status
}

func newKey() string { return rand.Text() }
