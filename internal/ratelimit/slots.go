package ratelimit

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	jitter "math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// acquireScript keeps each slot as a member that expires by itself, so that a killed worker gives its slots back.
var acquireScript = redis.NewScript(`
local t = redis.call('TIME')
local now, lease = t[1] * 1000000 + t[2], tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease), ARGV[1])
local keep = math.ceil(lease / 1000) + 1000
if redis.call('PTTL', KEYS[1]) < keep then redis.call('PEXPIRE', KEYS[1], keep) end
return 1
`)

func slotsKey(account string) string { return keyPrefix + "slots:" + account }

// Acquire takes one of at most max in-flight slots of an account, counted over all processes, and waits for one until ctx
// ends. release gives it back and may be called more than once; a slot not given back is free after the lease. With Redis
// away this process counts alone, up to half of max.
func (g *Governor) Acquire(ctx context.Context, account string, max int) (release func(), err error) {
	id := rand.Text()
	for pause := 4 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		release, err := g.tryAcquire(ctx, account, id, max)
		if release != nil || err != nil {
			return release, err
		}
		if err := sleep(ctx, pause/2+jitter.N(pause)); err != nil {
			return nil, fmt.Errorf("wait for an in-flight slot: %w", err)
		}
	}
}

// tryAcquire gives neither a release nor an error when all slots are taken.
func (g *Governor) tryAcquire(ctx context.Context, account, id string, max int) (func(), error) {
	var got bool
	err := g.link.try(ctx, g.Log, func(ctx context.Context) (err error) {
		got, err = acquireScript.Run(ctx, g.Redis, []string{slotsKey(account)}, id, max, g.lease().Microseconds()).Bool()
		return err
	})
	switch {
	case err == nil && got:
		stop := g.renewing(account, id)
		return sync.OnceFunc(func() { stop(); g.release(ctx, account, id) }), nil
	case err == nil:
		return nil, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("take an in-flight slot: %w", ctx.Err())
	}
	return g.acquireAlone(account, max), nil
}

// release also runs for callers whose context has ended: their slot is wanted by others.
func (g *Governor) release(ctx context.Context, account, id string) {
	_ = g.link.try(context.WithoutCancel(ctx), g.Log, func(ctx context.Context) error {
		return g.Redis.ZRem(ctx, slotsKey(account), id).Err()
	})
}

func (g *Governor) acquireAlone(account string, limit int) func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.alone == nil {
		g.alone = map[string]int{}
	}
	if g.alone[account] >= max(1, limit/2) {
		return nil
	}
	g.alone[account]++
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.alone[account]--; g.alone[account] == 0 {
			delete(g.alone, account)
		}
	})
}

// slotLease is no longer than a claim's lease: whoever goes on with a dead worker's job must not wait for the dead one's calls. A slot that
// is held longer is renewed.
const slotLease = 15 * time.Second

func (g *Governor) lease() time.Duration { return cmp.Or(g.Lease, slotLease) }

// renewing keeps a slot until stop.
func (g *Governor) renewing(account, id string) (stop func()) {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		tick := time.NewTicker(g.lease() / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			_ = g.link.try(ctx, g.Log, func(ctx context.Context) error { // the link tells its log; the next try is soon
				return renewScript.Run(ctx, g.Redis, []string{slotsKey(account)}, id, g.lease().Microseconds()).Err()
			})
		}
	}()
	return stop
}

// renewScript renews a slot that is still held: one that was given back meanwhile stays free.
var renewScript = redis.NewScript(`
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
local t, lease = redis.call('TIME'), tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], string.format('%.0f', t[1] * 1000000 + t[2] + lease), ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.ceil(lease / 1000) + 1000)
return 1
`)
