package ratelimit

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailsweep/internal/testkit"
)

func TestRedisAndThisProcessDecideAlike(t *testing.T) {
	t.Parallel()
	c, ctx := client(t, testkit.Redis(t)), context.Background()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(50, 1000)
		g := &Governor{Redis: c, Account: Rate{rate.Draw(t, "account"), 500}, Project: Rate{rate.Draw(t, "project"), 700}}
		base := float64(time.Now().UnixMicro())
		around := func(label string) float64 { return base + 1e6*rapid.Float64Range(-2, 5).Draw(t, label) }
		share := rapid.Float64Range(0.3, 1)
		draw := func(what string) bucket {
			return bucket{around(what + " full"), around(what + " closed"), share.Draw(t, what+" share"), around(what + " learnt")}
		}
		a, p, known, knownP := draw("account"), draw("project"), draw("known"), draw("known project")
		p.share, p.learnt, knownP.share, knownP.learnt = 0, 0, 0, 0
		c.HSet(ctx, accountKey("sub"), "full", a.full, "closed", a.closed, "share", a.share, "learnt", a.learnt)
		c.HSet(ctx, projectKey, "full", p.full, "closed", p.closed)
		g.known.keep("sub", booking{account: known, project: knownP}, g.minute())
		units, longest := rapid.IntRange(0, 500).Draw(t, "units"), time.Duration(rapid.IntRange(0, 6_000_000).Draw(t, "longest"))*time.Microsecond
		got, _, err := g.book(ctx, "sub", "", units, longest)
		if err != nil {
			t.Fatal(err)
		}
		want := decide(got.now, a.merge(known), p.merge(knownP), g.demand(units, longest))
		if got.ok != want.ok || !near(got.start, want.start) || !same(got.account, want.account) || !same(got.project, want.project) {
			t.Fatalf("redis %+v, here %+v", got, want)
		}
	})
}

// TestNoWindowOfBookingsExceedsTheAccountsRate simulates days of bookings without waiting for them: idle times, other accounts
// that hold the project up, and closings.
func TestNoWindowOfBookingsExceedsTheAccountsRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		project := Rate{rapid.Float64Range(60, 400).Draw(t, "project"), 1500}
		var accounts [2]bucket
		var calls []spent
		var all bucket
		now := 1.7e15
		for range rapid.IntRange(1, 120).Draw(t, "calls") {
			now += 1e6 * rapid.SampledFrom([]float64{0, 0, 0.01, 1, 20}).Draw(t, "idle")
			who := rapid.IntRange(0, 1).Draw(t, "who")
			if rapid.IntRange(0, 30).Draw(t, "close") == 0 {
				accounts[who].close(now+5e6, AccountRate())
			}
			units := float64(rapid.SampledFrom([]int{1, 5, 50, 500, 1320}).Draw(t, "units"))
			b := decide(now, accounts[who], all, demand{units, 60e6, AccountRate(), project, 60e6})
			if accounts[who], all = b.account, b.project; b.ok && who == 0 {
				calls = append(calls, spent{units: units, booked: seconds(b.start)})
			}
		}
		if most := worst(calls, 60, func(s spent) float64 { return s.booked }); most > 6000 {
			t.Fatalf("%.0f units in a minute", most)
		}
	})
}

func TestAGreedyCallerGetsNearlyAllOfTheQuota(t *testing.T) {
	t.Parallel()
	var a, project bucket
	var calls []spent
	now := 1.7e15
	for range 3000 {
		b := decide(now, a, project, demand{5, 1e12, AccountRate(), ProjectRate(), 60e6})
		a, project = b.account, b.project
		calls = append(calls, spent{units: 5, booked: seconds(b.start)})
	}
	if most := worst(calls, 60, func(s spent) float64 { return s.booked }); most > 6000 || most < 5990 {
		t.Errorf("%.0f units in a minute", most)
	}
}

func near(a, b float64) bool { return a-b < 4 && b-a < 4 }

func same(a, b bucket) bool {
	return near(a.full, b.full) && near(a.closed, b.closed) && a.share-b.share < 1e-6 && b.share-a.share < 1e-6 && near(a.learnt, b.learnt)
}
