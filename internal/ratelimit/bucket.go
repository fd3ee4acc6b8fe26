package ratelimit

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// bucket is kept as the time at which it would be full again (GCRA), in microseconds of Redis's clock: one number,
// nothing to refill, and bookings ahead are the same number further in the future.
type bucket struct{ full, closed float64 }

// booking is what Redis or this process decided.
type booking struct {
	now, start float64
	ok         bool
	account    bucket
	project    float64 // when the project's bucket would be full
}

// decide books units in both buckets, or in neither if the wait would exceed maxWait. reserveScript does the same sum; a
// test compares the two. The account is booked at the time the call will be made, which makes its window bound exact. The
// project is booked at the earliest time that suits the project: booking it at an account's far start would hold
// up everyone else.
func decide(now float64, a bucket, projectFull float64, account, project Rate, units, maxWait float64) booking {
	costA, burstA := units*account.microsPerUnit(), account.Capacity*account.microsPerUnit()
	costP, burstP := units*project.microsPerUnit(), project.Capacity*project.microsPerUnit()
	startP := max(now, projectFull+costP-burstP)
	start := max(startP, a.closed, a.full+costA-burstA)
	if start-now > maxWait {
		return booking{now: now, start: start, account: a, project: projectFull}
	}
	a.full = max(start, a.full) + costA
	return booking{now, start, true, a, max(startP, projectFull) + costP}
}

func (b *bucket) close(until float64, r Rate) {
	b.closed = max(b.closed, until)
	b.full = max(b.full, until+r.Capacity*r.microsPerUnit())
}

// The buckets of all accounts share one hash tag, so that both keys of a booking live on one node of a cluster.
const (
	keyPrefix  = "{gmail}:"
	projectKey = keyPrefix + "project"
)

func accountKey(account string) string { return keyPrefix + "account:" + account }

// reserveScript takes the units, the longest wait, both buckets' microseconds per unit and per capacity, and what the caller
// remembers of both buckets. The memory counts because Redis may have been emptied or away since.
var reserveScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local units, longest = tonumber(ARGV[1]), tonumber(ARGV[2])
local costA, burstA = units * tonumber(ARGV[3]), tonumber(ARGV[4])
local costP, burstP = units * tonumber(ARGV[5]), tonumber(ARGV[6])
local seen = redis.call('HMGET', KEYS[1], 'full', 'closed')
local fullA = math.max(tonumber(seen[1] or 0), tonumber(ARGV[7]))
local closed = math.max(tonumber(seen[2] or 0), tonumber(ARGV[8]))
local fullP = math.max(tonumber(redis.call('GET', KEYS[2]) or 0), tonumber(ARGV[9]))
local startP = math.max(now, fullP + costP - burstP)
local start = math.max(startP, closed, fullA + costA - burstA)
local function text(n) return string.format('%.0f', n) end
if start - now > longest then
  return {text(now), text(start), 0, text(fullA), text(closed), text(fullP)}
end
fullA = math.max(start, fullA) + costA
fullP = math.max(startP, fullP) + costP
redis.call('HSET', KEYS[1], 'full', text(fullA), 'closed', text(closed))
redis.call('PEXPIRE', KEYS[1], math.ceil((math.max(fullA, closed) - now) / 1000) + 1000)
redis.call('SET', KEYS[2], text(fullP), 'PX', math.ceil((fullP - now) / 1000) + 1000)
return {text(now), text(start), 1, text(fullA), text(closed), text(fullP)}
`)

// closeScript takes the microseconds left and the bucket's burst.
var closeScript = redis.NewScript(`
local t = redis.call('TIME')
local opens = t[1] * 1000000 + t[2] + tonumber(ARGV[1])
local seen = redis.call('HMGET', KEYS[1], 'full', 'closed')
local closed = math.max(tonumber(seen[2] or 0), opens)
local full = math.max(tonumber(seen[1] or 0), opens + tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'full', string.format('%.0f', full), 'closed', string.format('%.0f', closed))
redis.call('PEXPIRE', KEYS[1], math.ceil((full - opens + tonumber(ARGV[1])) / 1000) + 1000)
return 1
`)

// book asks Redis, and this process's own memory while Redis is away.
func (g *Governor) book(ctx context.Context, account string, units int, maxWait time.Duration) (booking, error) {
	var b booking
	a, project := g.recall(account)
	err := g.link.try(ctx, g.Log, func(ctx context.Context) error {
		reply, err := reserveScript.Run(ctx, g.Redis, []string{accountKey(account), projectKey}, units, maxWait.Microseconds(),
			g.account().microsPerUnit(), g.account().microsPerUnit()*g.account().Capacity,
			g.project().microsPerUnit(), g.project().microsPerUnit()*g.project().Capacity,
			a.full, a.closed, project).Float64Slice()
		if err == nil {
			b = booking{reply[0], reply[1], reply[2] == 1, bucket{reply[3], reply[4]}, reply[5]}
		}
		return err
	})
	switch {
	case err == nil:
		g.learn(account, b)
		return b, nil
	case ctx.Err() != nil:
		return booking{}, ctx.Err()
	}
	return g.bookAlone(account, units, maxWait), nil
}

// bookAlone is the same decision at half the rate, on the memory of this process.
func (g *Governor) bookAlone(account string, units int, maxWait time.Duration) booking {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.known.now()
	b := decide(now, g.known.accounts[account], g.known.project, g.account().half(), g.project().half(),
		float64(units), float64(maxWait.Microseconds()))
	g.known.keep(account, b)
	return b
}

// closed reports whether the account's bucket is shut now, as far as Redis or this process knows.
func (g *Governor) closed(ctx context.Context, account string) bool {
	a, _ := g.recall(account)
	_ = g.link.try(ctx, g.Log, func(ctx context.Context) error {
		closed, err := g.Redis.HGet(ctx, accountKey(account), "closed").Float64()
		if err == nil {
			a.closed = max(a.closed, closed)
		}
		return ignoreNil(err)
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	return a.closed > g.known.now()
}
