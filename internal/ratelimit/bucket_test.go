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
		a, project := bucket{around("full"), around("closed")}, around("project full")
		c.HSet(ctx, accountKey("sub"), "full", a.full, "closed", a.closed)
		c.Set(ctx, projectKey, project, 0)
		g.known.keep("sub", booking{account: bucket{around("known full"), around("known closed")}, project: around("known project")})
		hint, hintProject := g.recall("sub")
		units, longest := rapid.IntRange(0, 500).Draw(t, "units"), time.Duration(rapid.IntRange(0, 6_000_000).Draw(t, "longest"))*time.Microsecond
		got, err := g.book(ctx, "sub", units, longest)
		if err != nil {
			t.Fatal(err)
		}
		a = bucket{max(a.full, hint.full), max(a.closed, hint.closed)}
		want := decide(got.now, a, max(project, hintProject), g.Account, g.Project, float64(units), float64(longest.Microseconds()))
		if got.ok != want.ok || !near(got.start, want.start) || !near(got.account.full, want.account.full) ||
			!near(got.account.closed, want.account.closed) || !near(got.project, want.project) {
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
		now, projectFull := 1.7e15, 0.0
		for range rapid.IntRange(1, 120).Draw(t, "calls") {
			now += 1e6 * rapid.SampledFrom([]float64{0, 0, 0.01, 1, 20}).Draw(t, "idle")
			who := rapid.IntRange(0, 1).Draw(t, "who")
			if rapid.IntRange(0, 30).Draw(t, "close") == 0 {
				accounts[who].close(now+5e6, AccountRate())
			}
			units := float64(rapid.SampledFrom([]int{1, 5, 50, 500, 1320}).Draw(t, "units"))
			b := decide(now, accounts[who], projectFull, AccountRate(), project, units, 60e6)
			if accounts[who], projectFull = b.account, b.project; b.ok && who == 0 {
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
	var a bucket
	var calls []spent
	now, project := 1.7e15, 0.0
	for range 3000 {
		b := decide(now, a, project, AccountRate(), ProjectRate(), 5, 1e12)
		a, project = b.account, b.project
		calls = append(calls, spent{units: 5, booked: seconds(b.start)})
	}
	if most := worst(calls, 60, func(s spent) float64 { return s.booked }); most > 6000 || most < 5990 {
		t.Errorf("%.0f units in a minute", most)
	}
}

func near(a, b float64) bool { return a-b < 4 && b-a < 4 }
