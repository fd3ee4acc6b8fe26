package ratelimit

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mailsweep/internal/testkit"
)

func client(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	options.ContextTimeoutEnabled = true
	options.MaxRetries, options.DialerRetries = -1, 1
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// spent is one granted call: units, the time it was booked for and the time it was made, in seconds.
type spent struct{ units, booked, made float64 }

// worst is the most units in any window of that many seconds.
func worst(calls []spent, window float64, at func(spent) float64) float64 {
	slices.SortFunc(calls, func(a, b spent) int { return int((at(a) - at(b)) * 1e6) })
	most, sum, from := 0.0, 0.0, 0
	for _, c := range calls {
		for sum += c.units; at(calls[from]) <= at(c)-window; from++ {
			sum -= calls[from].units
		}
		most = max(most, sum)
	}
	return most
}

func seconds(micros float64) float64 { return (micros - 1.7e15) / 1e6 }

// storm lets 16 callers in two processes spend on one account until the deadline.
func storm(t *testing.T, governors []*Governor, account string, length time.Duration) []spent {
	t.Helper()
	var mu sync.Mutex
	var calls []spent
	var all sync.WaitGroup
	random := testkit.Seed(t)
	end := time.Now().Add(length)
	for i := range 16 {
		g, choice := governors[i%len(governors)], rand.New(rand.NewPCG(random.Uint64(), 1))
		all.Go(func() {
			for time.Now().Before(end) {
				units := []int{1, 2, 5, 5, 10, 20, 50}[choice.IntN(7)]
				b, _, err := g.book(context.Background(), account, "", units, time.Minute)
				if err != nil || !b.ok {
					t.Errorf("refused: %+v, %v", b, err)
					return
				}
				_ = sleep(context.Background(), micros(b.start-b.now))
				made := spent{float64(units), seconds(b.start), seconds(float64(time.Now().UnixMicro()))}
				mu.Lock()
				calls = append(calls, made)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return calls
}

func TestNoMinuteExceedsGmailsQuota(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	const scale = 60 // a quota minute takes a second
	governors := []*Governor{
		{Redis: client(t, url), Account: AccountRate().Scale(scale), Project: ProjectRate().Scale(scale)},
		{Redis: client(t, url), Account: AccountRate().Scale(scale), Project: ProjectRate().Scale(scale)},
	}
	calls := storm(t, governors, "sub", 4*time.Second)
	if most := worst(calls, 60.0/scale, func(s spent) float64 { return s.booked }); most > 6000 || most < 4680 {
		t.Errorf("%.0f units were booked in one quota minute", most)
	}
	late := 0.0
	for _, c := range calls {
		late = max(late, c.made-c.booked)
	}
	slack := late * AccountRate().Scale(scale).Refill
	if most := worst(calls, 60.0/scale, func(s spent) float64 { return s.made }); most > 6000+slack {
		t.Errorf("%.0f units were spent in one quota minute, lateness explains %.0f", most, slack)
	}
	t.Logf("%d calls, latest by %.1f ms", len(calls), late*1000)
}

func TestTheProjectsQuotaHoldsOverAllAccounts(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	project := Rate{Refill: 2000, Capacity: 500}
	g := &Governor{Redis: client(t, url), Account: Rate{Refill: 1e6, Capacity: 1e6}, Project: project}
	var mu sync.Mutex
	var calls []spent
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			mine := storm(t, []*Governor{g}, string(rune('a'+i)), time.Second)
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, mine...)
		})
	}
	all.Wait()
	if most := worst(calls, 0.5, func(s spent) float64 { return s.booked }); most > 500+0.5*2000+1 || most < 1000 {
		t.Errorf("%.0f units of 1500 in half a second", most)
	}
}

func TestFirstComeIsFirstServed(t *testing.T) {
	t.Parallel()
	g := &Governor{Redis: client(t, testkit.Redis(t)), Account: Rate{Refill: 1000, Capacity: 50}}
	random, last := testkit.Seed(t), 0.0
	for range 200 {
		b, _, err := g.book(t.Context(), "sub", "", 1+random.IntN(50), time.Hour)
		if err != nil || !b.ok || b.start < last {
			t.Fatalf("%+v after %.0f, %v", b, last, err)
		}
		last = b.start
	}
}

func TestARefusalBooksNothingAnywhere(t *testing.T) {
	t.Parallel()
	c := client(t, testkit.Redis(t))
	state := func() string {
		a, err := c.HGetAll(t.Context(), accountKey("full")).Result()
		if err != nil {
			t.Fatal(err)
		}
		return a["full"] + " " + c.HGet(t.Context(), projectKey, "full").Val()
	}
	g := &Governor{Redis: c, Account: Rate{10, 100}, Project: Rate{10, 300}}
	book := func(account string, units int) (time.Duration, bool) {
		wait, ok, err := g.Reserve(t.Context(), account, units, 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		return wait, ok
	}
	if wait, ok := book("full", 100); !ok || wait != 0 {
		t.Fatalf("%v, %v", wait, ok)
	}
	before := state()
	if wait, ok := book("full", 50); ok || wait < 4*time.Second || wait > 6*time.Second {
		t.Errorf("the account's bucket: %v, %v", wait, ok)
	}
	if after := state(); after != before {
		t.Errorf("booked %s → %s", before, after)
	}
	for account := range 5 { // the project's bucket runs dry although each account has room
		book(string(rune('a'+account)), 90)
	}
	if _, ok := book("fresh", 90); ok {
		t.Error("the project's bucket lets go on")
	}
	if n := c.Exists(t.Context(), accountKey("fresh")).Val(); n != 0 {
		t.Error("the account was booked although the project refused")
	}
	if _, _, err := g.Reserve(t.Context(), "full", 101, time.Hour); err == nil {
		t.Error("a cost above the capacity is taken")
	}
}

func TestAClosedBucketStaysClosedAndReopensEmpty(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	here := &Governor{Redis: client(t, url), Account: Rate{100, 100}}
	there := &Governor{Redis: client(t, url), Account: Rate{100, 100}}
	if err := here.CloseUntil(t.Context(), "sub", time.Now().Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := here.CloseUntil(t.Context(), "sub", time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := there.Reserve(t.Context(), "sub", 1, time.Second); ok || err != nil {
		t.Fatalf("open elsewhere: %v, %v", ok, err)
	}
	wait, ok, err := there.Reserve(t.Context(), "sub", 50, time.Minute)
	if !ok || err != nil || wait < 2300*time.Millisecond || wait > 2600*time.Millisecond {
		t.Errorf("50 units wait %v (%v, %v), want 2 s closed and half a second of refill", wait, ok, err)
	}
	if wait, ok, _ := there.Reserve(t.Context(), "other", 50, 0); !ok || wait != 0 {
		t.Error("another account is closed too")
	}
}

func TestWhoSleepsThroughAClosingWaitsOn(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	g := &Governor{Redis: client(t, url), Account: Rate{100, 10}}
	other := &Governor{Redis: client(t, url), Account: Rate{100, 10}}
	if _, ok, err := g.Reserve(t.Context(), "sub", 10, 0); !ok || err != nil {
		t.Fatal(ok, err)
	}
	opens := make(chan time.Time, 1)
	go func() {
		testkit.Eventually(t, 5*time.Second, func() bool { // until the sleeper has booked
			full, _ := g.Redis.HGet(context.Background(), accountKey("sub"), "full").Float64()
			return full > float64(time.Now().UnixMicro())+100e3
		}, "the sleeper books")
		at := time.Now().Add(400 * time.Millisecond)
		_ = other.CloseUntil(context.Background(), "sub", at)
		opens <- at
	}()
	leave, _, err := g.Enter(t.Context(), "sub", 10, 5*time.Second)
	if at := <-opens; leave == nil || err != nil || time.Now().Before(at.Add(-2*time.Millisecond)) {
		t.Errorf("went on %v before the bucket opened (%v, %v)", time.Until(at), leave != nil, err)
	}
}

func TestAnEmptiedRedisGivesNoSecondBurst(t *testing.T) {
	t.Parallel()
	c := client(t, testkit.Redis(t))
	g := &Governor{Redis: c, Account: Rate{10, 100}}
	if _, ok, err := g.Reserve(t.Context(), "sub", 100, 0); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := c.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if wait, ok, _ := g.Reserve(t.Context(), "sub", 50, time.Second); ok {
		t.Errorf("50 more units after %v", wait)
	}
}

func TestWithoutRedisTheRateIsHalfNotUnlimited(t *testing.T) {
	t.Parallel()
	server := testkit.OwnRedis(t)
	g := &Governor{Redis: client(t, server.URL), Account: Rate{2000, 400}, Project: Rate{1e6, 1e6}}
	if _, ok, err := g.Reserve(t.Context(), "warm", 1, 0); !ok || err != nil {
		t.Fatal(ok, err)
	}
	server.Kill()
	calls := storm(t, []*Governor{g}, "sub", time.Second)
	if most := worst(calls, 0.5, func(s spent) float64 { return s.booked }); most > 200+0.5*1000+1 || most < 500 {
		t.Errorf("%.0f units of 700 in half a second", most)
	}
	if err := g.CloseUntil(t.Context(), "sub", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := g.Reserve(t.Context(), "sub", 1, time.Minute); ok {
		t.Error("closing has no effect without Redis")
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, func() bool {
		_, _, _ = g.Reserve(context.Background(), "back", 1, time.Minute)
		return g.Redis.Exists(context.Background(), accountKey("back")).Val() == 1
	}, "Redis is used again")
	if _, ok, _ := g.Reserve(t.Context(), "sub", 1, time.Minute); ok {
		t.Error("what was closed meanwhile is open when Redis is back")
	}
}

func TestMemoryOfAccountsIsBounded(t *testing.T) {
	t.Parallel()
	var m memory
	for i := range 3 * rememberedAccounts {
		now := float64(i) * 1000
		m.keep(string(rune(i+1000)), booking{now: now, account: bucket{full: now + 500}}, 60e6)
	}
	if len(m.accounts) > rememberedAccounts {
		t.Errorf("%d accounts", len(m.accounts))
	}
}
