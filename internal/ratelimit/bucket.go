package ratelimit

import "time"

// bucket is kept as the time at which it would be full again (GCRA), in microseconds of Redis's clock: one number,
// nothing to refill, and bookings ahead are the same number further in the future.
type bucket struct {
	full, closed float64
	share        float64 // of its rate that was ours at the time learnt, because others eat the rest; 0 means all
	learnt       float64
}

// The share that is ours is learnt from refusals that tell no time: so much less after each, and so much of the whole back each
// minute. It does not fall below so many units a second.
const (
	shareCut   = 0.7
	shareBack  = 0.05
	shareFloor = 20
)

// shareAt is the share at a time, minute being as long as one of Gmail's.
func (b bucket) shareAt(now, minute float64) float64 {
	if b.share == 0 {
		return 1
	}
	return min(1, b.share+shareBack*(now-b.learnt)/minute)
}

// booking is what Redis or this process decided.
type booking struct {
	now, start float64
	ok         bool
	full       bool // no place was left, nothing was booked
	account    bucket
	project    bucket
	places     float64 // that the account bears, as far as Redis knows; 0 = nobody asked
	day        string  // Google's, in which it was booked
	spent      float64 // units that the project has booked in it; 0 = nobody asked
}

// demand is a wish for units, and the rules of the two buckets that it is booked in.
type demand struct {
	units, maxWait   float64
	account, project Rate
	minute           float64
}

// decide books units in both buckets, or in neither if the wait would exceed maxWait. enterScript does the same sum; a
// test compares the two. The account is booked at the time the call will be made, which makes its window bound exact. The
// project is booked at the earliest time that suits the project: booking it at an account's far start would hold
// up everyone else.
func decide(now float64, a, p bucket, d demand) booking {
	costA, burstA := d.units*d.account.microsPerUnit()/a.shareAt(now, d.minute), d.account.Capacity*d.account.microsPerUnit()
	costP, burstP := d.units*d.project.microsPerUnit(), d.project.Capacity*d.project.microsPerUnit()
	startP := max(now, p.closed, p.full+costP-burstP)
	start := max(startP, a.closed, a.full+costA-burstA)
	if start-now > d.maxWait {
		return booking{now: now, start: start, account: a, project: p}
	}
	a.full, p.full = max(start, a.full)+costA, max(startP, p.full)+costP
	return booking{now: now, start: start, ok: true, account: a, project: p}
}

func (b *bucket) close(until float64, r Rate) {
	b.closed = max(b.closed, until)
	b.full = max(b.full, until+r.Capacity*r.microsPerUnit())
}

// slower takes from the share, once for all calls that were on their way together.
func (b *bucket) slower(began, now, minute, floor float64) {
	if began < b.learnt {
		return
	}
	b.share, b.learnt = max(floor, shareCut*b.shareAt(now, minute)), now
}

// merge takes from each what is later.
func (b bucket) merge(o bucket) bucket {
	if o.learnt > b.learnt {
		b.share, b.learnt = o.share, o.learnt
	}
	b.full, b.closed = max(b.full, o.full), max(b.closed, o.closed)
	return b
}

// idle says that nothing is left to remember.
func (b bucket) idle(now, minute float64) bool {
	return max(b.full, b.closed) < now && b.shareAt(now, minute) == 1
}

// bookAlone is the same decision at half the rate, on the memory of this process.
func (g *Governor) bookAlone(account string, units int, maxWait time.Duration) booking {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.demand(units, maxWait)
	d.account, d.project = d.account.half(), d.project.half()
	b := decide(g.known.now(), g.known.accounts[account].bucket, g.known.project, d)
	if b.ok {
		b.day, _ = dayOf(time.Now())
		b.spent = g.known.spentOn(b.day) + d.units
	}
	g.known.keep(account, b, g.minute())
	return b
}

func (g *Governor) demand(units int, maxWait time.Duration) demand {
	return demand{float64(units), float64(maxWait.Microseconds()), g.account(), g.project(), g.minute()}
}
