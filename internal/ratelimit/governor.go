// Package ratelimit says whether, or when, a key may go on: requests by the minute, Gmail calls by their units.
package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Rate is a bucket: Refill units a second, up to Capacity at once. No window of w seconds sees more than
// Capacity + w × Refill units.
type Rate struct{ Refill, Capacity float64 }

// AccountRate is one Google account's bucket under the tariff of new projects: 1,320 + 60 × 78 = 6,000 units a minute per user, in any
// window (Gmail API usage limits of 2026-05-01, tariff total_query_cost).
func AccountRate() Rate { return MinuteRate(6000) }

// MinuteRate is the bucket of which no minute sees more than that many units.
func MinuteRate(units int) Rate {
	refill := 0.013 * float64(units)
	return Rate{Refill: refill, Capacity: float64(units) - 60*refill}
}

// ProjectRate is our Google project's bucket: 80 % of Gmail's 1,200,000 units a minute per project. The capacity leaves
// room for calls that were booked up to ten seconds before they are made.
func ProjectRate() Rate { return Rate{Refill: 16000, Capacity: 80000} }

// Scale is the rate on a clock that runs factor times faster. The capacity stays: it is an amount, not a speed.
func (r Rate) Scale(factor float64) Rate { return Rate{r.Refill * factor, r.Capacity} }

// Late takes from the capacity what calls may bunch up when each reaches Gmail up to this much after its time.
func (r Rate) Late(by time.Duration) Rate {
	return Rate{r.Refill, max(r.Capacity-r.Refill*by.Seconds(), r.Capacity/2)}
}

// half is what one process allows itself while it cannot see the others. It is half because the usual deployment has
// at least two workers; with more, Gmail's own refusals slow them down, and that costs retries, not mail.
func (r Rate) half() Rate { return Rate{r.Refill / 2, r.Capacity / 2} }

func (r Rate) microsPerUnit() float64 { return 1e6 / r.Refill }

// Governor paces Gmail calls across all processes. Each call books its units in its account's bucket and in the project's
// at once and is told how long to wait, so calls go in the order in which they asked and nobody polls. While Redis is
// away each process goes on alone at half the rate. Use it by pointer. Its Redis client needs ContextTimeoutEnabled.
type Governor struct {
	Redis   redis.UniversalClient
	Account Rate          // every account's bucket; the zero value means AccountRate
	Project Rate          // the bucket of all accounts; the zero value means ProjectRate
	Lease   time.Duration // after which an in-flight slot frees itself; 0 means slotLease
	Log     *slog.Logger

	link  link
	mu    sync.Mutex
	known memory
	alone map[string]int // in-flight slots handed out without Redis
}

// Reserve books units for the account and gives the time to wait before the call. If that would exceed maxWait nothing is
// booked, ok is false and wait says how long it would have been. account is a keyed hash of Google's sub.
func (g *Governor) Reserve(ctx context.Context, account string, units int, maxWait time.Duration) (wait time.Duration, ok bool, err error) {
	if units < 0 || float64(units) > min(g.account().Capacity, g.project().Capacity) {
		return 0, false, fmt.Errorf("reserve %d units: no bucket holds that many", units)
	}
	b, err := g.book(ctx, account, units, maxWait)
	if err != nil {
		return 0, false, fmt.Errorf("reserve %d units: %w", units, err)
	}
	return micros(b.start - b.now), b.ok, nil
}

// Wait reserves and sleeps. If the bucket was closed while it slept, by whichever process, it books anew, as long as maxWait allows in
// sum. If it does not, ok is false and wait says how long it would have been from now.
func (g *Governor) Wait(ctx context.Context, account string, units int, maxWait time.Duration) (wait time.Duration, ok bool, err error) {
	for waited := time.Duration(0); ; waited += wait {
		wait, ok, err = g.Reserve(ctx, account, units, maxWait-waited)
		if err != nil || !ok {
			return wait, false, err
		}
		if err := sleep(ctx, wait); err != nil {
			return 0, false, err
		}
		if wait == 0 || !g.closed(ctx, account) {
			return waited + wait, true, nil
		}
	}
}

// CloseUntil keeps the account's bucket shut until a time that Gmail told; it never opens it earlier than told
// before. It reopens empty: Gmail's window has only just begun to let go. With Redis away it closes it for this process.
func (g *Governor) CloseUntil(ctx context.Context, account string, t time.Time) error {
	left := time.Until(t)
	if left <= 0 {
		return nil
	}
	g.remember(account, func(b *bucket, now float64) { b.close(now+float64(left.Microseconds()), g.account()) })
	err := g.link.try(ctx, g.Log, func(ctx context.Context) error {
		return closeScript.Run(ctx, g.Redis, []string{accountKey(account)}, left.Microseconds(),
			g.account().microsPerUnit()*g.account().Capacity).Err()
	})
	if ctx.Err() != nil {
		return fmt.Errorf("close bucket: %w", err)
	}
	return nil // the memory of this process has it, and hands it to Redis with the next booking
}

func (g *Governor) account() Rate { return orDefault(g.Account, AccountRate()) }
func (g *Governor) project() Rate { return orDefault(g.Project, ProjectRate()) }

func orDefault(r, fallback Rate) Rate {
	if r == (Rate{}) {
		return fallback
	}
	return r
}

func micros(n float64) time.Duration { return time.Duration(n) * time.Microsecond }

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
