// Package ratelimit says whether, or when, a key may go on: requests by the minute, Gmail calls by their units.
package ratelimit

import (
	"cmp"
	"context"
	"errors"
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

// Governor paces Gmail calls across all processes. Each call takes a place in flight and books its units in its account's bucket and in
// the project's, all in one round trip, and is told how long to wait, so calls go in the order in which they asked and nobody polls. While Redis is
// away each process goes on alone at half the rate. Use it by pointer. Its Redis client needs ContextTimeoutEnabled.
type Governor struct {
	Redis   redis.UniversalClient
	Account Rate          // every account's bucket; the zero value means AccountRate
	Project Rate          // the bucket of all accounts; the zero value means ProjectRate
	Minute  time.Duration // as long as a minute of Gmail's; 0 means that
	Lease   time.Duration // after which an in-flight slot frees itself; 0 means slotLease
	Log     *slog.Logger

	// Recorded is how many units jobs are known to have spent since a time, at least: it outlives Redis. nil: nobody records.
	Recorded func(ctx context.Context, since time.Time) (units int64, err error)

	recalling sync.Mutex
	recalled  bool // what is recorded of the day is known

	link  link
	mu    sync.Mutex
	known memory
	alone map[string]int // places in flight handed out without Redis
	back  map[string]*returns
}

// Reserve books units for the account and gives the time to wait before the call. If that would exceed maxWait nothing is
// booked, ok is false and wait says how long it would have been. account is a keyed hash of Google's sub.
func (g *Governor) Reserve(ctx context.Context, account string, units int, maxWait time.Duration) (wait time.Duration, ok bool, err error) {
	b, _, err := g.book(ctx, account, "", units, maxWait)
	if err != nil {
		return 0, false, fmt.Errorf("reserve %d units: %w", units, err)
	}
	return micros(b.start - b.now), b.ok, nil
}

// book asks Redis, and this process's own memory while Redis is away: alone tells which. With id a place in flight is taken too.
func (g *Governor) book(ctx context.Context, account, id string, units int, maxWait time.Duration) (b booking, alone bool, err error) {
	if units < 0 || float64(units) > min(g.account().Capacity, g.project().Capacity) {
		return booking{}, false, errors.New("no bucket holds that many")
	}
	err = g.link.try(ctx, g.Log, func(ctx context.Context) (err error) {
		b, err = g.ask(ctx, account, id, units, maxWait)
		return err
	})
	switch {
	case err == nil:
		g.learn(account, b)
		return b, false, nil
	case ended(ctx) != nil:
		return booking{}, false, ended(ctx)
	case id != "" && g.aloneFull(account):
		return booking{full: true}, true, nil
	}
	if b = g.bookAlone(account, units, maxWait); id != "" && !b.ok {
		g.leavingAlone(account)(false)
	}
	return b, true, nil
}

// ask takes along what this process has given back.
func (g *Governor) ask(ctx context.Context, account, id string, units int, maxWait time.Duration) (booking, error) {
	a, p := g.recall(account)
	args := []any{units, maxWait.Microseconds(), g.minute(),
		g.account().microsPerUnit(), g.account().microsPerUnit() * g.account().Capacity,
		g.project().microsPerUnit(), g.project().microsPerUnit() * g.project().Capacity,
		a.full, a.closed, a.share, a.learnt, p.full, p.closed, id, g.lease().Microseconds(), g.placesKnown(account)}
	ids, well := g.takeBack(account)
	day, spent := g.today()
	args = append(append(args, well, spent), ids...)
	r, err := enterScript.Run(ctx, g.Redis, []string{accountKey(account), projectKey, slotsKey(account), flowKey(account), dayKey(day)}, args...).Float64Slice()
	if err != nil {
		return booking{}, err
	}
	return booking{now: r[0], start: r[1], ok: r[2] == 1, full: r[2] == -1,
		account: bucket{r[3], r[4], r[5], r[6]}, project: bucket{full: r[7], closed: r[8]}, places: r[9], day: day, spent: r[10]}, nil
}

// CloseUntil keeps the account's bucket shut until a time that Gmail told; it never opens it earlier than told
// before. It reopens empty: Gmail's window has only just begun to let go. With Redis away it closes it for this process.
func (g *Governor) CloseUntil(ctx context.Context, account string, t time.Time) error {
	left := time.Until(t)
	if left <= 0 {
		return nil
	}
	g.remember(account, func(b *bucket, now float64) { b.close(now+float64(left.Microseconds()), g.account()) })
	return g.shut(ctx, accountKey(account), left, g.account())
}

// CloseProject is CloseUntil for the bucket of all accounts.
func (g *Governor) CloseProject(ctx context.Context, t time.Time) error {
	left := time.Until(t)
	if left <= 0 {
		return nil
	}
	g.rememberProject(func(b *bucket, now float64) { b.close(now+float64(left.Microseconds()), g.project()) })
	return g.shut(ctx, projectKey, left, g.project())
}

func (g *Governor) shut(ctx context.Context, key string, left time.Duration, r Rate) error {
	_ = g.link.try(ctx, g.Log, func(ctx context.Context) error {
		return closeScript.Run(ctx, g.Redis, []string{key}, left.Microseconds(), g.minute(), r.microsPerUnit()*r.Capacity).Err()
	})
	if ended(ctx) != nil {
		return fmt.Errorf("close bucket: %w", ended(ctx))
	}
	return nil // the memory of this process has it, and hands it to Redis with the next booking
}

// Slow tells that a call that began then was refused for its units without a time to come back: others eat from the account's quota. Its
// rate falls by a share that comes back by and by.
func (g *Governor) Slow(ctx context.Context, account string, began time.Time) {
	since := g.redisTime(began)
	a, _ := g.recall(account)
	err := g.link.try(ctx, g.Log, func(ctx context.Context) error {
		r, err := slowScript.Run(ctx, g.Redis, []string{accountKey(account)}, since, g.minute(), shareCut, g.shareFloor(), a.share, a.learnt).Float64Slice()
		if err == nil {
			a.share, a.learnt = r[0], r[1]
		}
		return err
	})
	g.remember(account, func(b *bucket, now float64) {
		if err != nil {
			a.slower(since, now, g.minute(), g.shareFloor())
		}
		*b = b.merge(a)
	})
}

func (g *Governor) shareFloor() float64 { return min(1, shareFloor*60e6/g.minute()/g.account().Refill) }

// Crowded tells that a call that began then was refused because too many were in flight: the account bears half of them.
func (g *Governor) Crowded(ctx context.Context, account string, began time.Time) {
	left := max(placesMin, g.placesKnown(account)/2)
	err := g.link.try(ctx, g.Log, func(ctx context.Context) (err error) {
		left, err = crowdScript.Run(ctx, g.Redis, []string{flowKey(account)}, g.redisTime(began), g.placesKnown(account), placesMin).Int()
		return err
	})
	if err != nil {
		left = max(placesMin, g.placesKnown(account)/2)
	}
	g.rememberPlaces(account, left)
}

// closed reports whether a bucket that the account's calls go through is shut now, as far as Redis or this process knows.
func (g *Governor) closed(ctx context.Context, account string) bool {
	a, p := g.recall(account)
	_ = g.link.try(ctx, g.Log, func(ctx context.Context) error {
		pipe := g.Redis.Pipeline()
		told := []*redis.StringCmd{pipe.HGet(ctx, accountKey(account), "closed"), pipe.HGet(ctx, projectKey, "closed")}
		_, err := pipe.Exec(ctx)
		for _, t := range told {
			at, _ := t.Float64() // what Redis does not have does not count
			a.closed = max(a.closed, at)
		}
		return ignoreNil(err)
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(a.closed, p.closed) > g.known.now()
}

func (g *Governor) minute() float64 { return float64(cmp.Or(g.Minute, time.Minute).Microseconds()) }
func (g *Governor) account() Rate   { return orDefault(g.Account, AccountRate()) }
func (g *Governor) project() Rate   { return orDefault(g.Project, ProjectRate()) }

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
