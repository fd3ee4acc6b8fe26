package ratelimit

import (
	"context"
	"testing"
	"time"

	"mailsweep/internal/testkit"
)

// borne is how many calls in flight Redis lets an account have.
func borne(t *testing.T, g *Governor) int {
	t.Helper()
	b, _, err := g.book(t.Context(), "sub", "", 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return int(b.places)
}

// wells makes so many calls that go well.
func wells(t *testing.T, g *Governor, n int) {
	t.Helper()
	for range n {
		leave, err := place(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		leave(true)
	}
}

func TestTheNumberInFlightFollowsGooglesRefusalsInAllProcesses(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	g, other := &Governor{Redis: client(t, url)}, &Governor{Redis: client(t, url)}
	if n := borne(t, other); n != 8 {
		t.Errorf("starts at %d, want 8", n)
	}
	wells(t, g, roundsToMore*placesStart-1)
	if n := borne(t, g); n != 8 {
		t.Errorf("%d before the last call of the fourth round, want 8", n)
	}
	wells(t, g, 1)
	if n := borne(t, g); n != 9 {
		t.Errorf("%d after it, want 9", n)
	}
	wells(t, g, 200)
	if n := borne(t, g); n != 10 || borne(t, other) != 10 {
		t.Errorf("grew to %d, want 10", n)
	}
	began := time.Now()
	for range 10 { // one crowd, refused together
		g.Crowded(t.Context(), "sub", began)
		other.Crowded(t.Context(), "sub", began)
	}
	if n := borne(t, other); n != 5 {
		t.Errorf("one crowd cut it to %d, want 5", n)
	}
	for range 5 {
		time.Sleep(2 * time.Millisecond) // the next call begins after the last cut
		other.Crowded(t.Context(), "sub", time.Now())
	}
	if n := borne(t, g); n != 2 {
		t.Errorf("cut to %d, want 2", n)
	}
	if left := g.Redis.PTTL(t.Context(), flowKey("sub")).Val(); left < 50*time.Minute || left > time.Hour {
		t.Errorf("forgotten after %v", left)
	}
	if err := g.Redis.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if n := borne(t, g); n != 2 {
		t.Errorf("%d after Redis was emptied", n)
	}
}

func TestACrowdIsHeardWithoutRedis(t *testing.T) {
	t.Parallel()
	server := testkit.OwnRedis(t)
	g := &Governor{Redis: client(t, server.URL)}
	server.Kill()
	g.Crowded(t.Context(), "sub", time.Now())
	for range 2 {
		if _, err := place(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := place(short, g); err == nil {
		t.Error("more than half of the four that are left")
	}
}

func TestACallIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	c, h := client(t, testkit.Redis(t)), &trips{}
	c.AddHook(h)
	g := &Governor{Redis: c}
	wells(t, g, 1) // loads the script
	h.n.Store(0)
	wells(t, g, 100)
	if n := h.n.Load(); n > 120 { // a pause of the machine's may be longer than a place lingers
		t.Errorf("%d round trips for 100 calls", n)
	}
	testkit.Eventually(t, 5*time.Second, func() bool {
		return g.Redis.ZCard(context.Background(), slotsKey("sub")).Val() == 0
	}, "the last call's place is given back")
	if len(g.back) != 0 {
		t.Errorf("%d accounts are remembered", len(g.back))
	}
}

func TestWhoWaitsForAPlaceGetsTheNextOfItsProcess(t *testing.T) {
	t.Parallel()
	g := &Governor{Redis: client(t, testkit.Redis(t))}
	bears(t, g, 2)
	var leave func(bool)
	for range 2 {
		leave, _ = place(t.Context(), g)
	}
	got := make(chan error, 1)
	go func() { _, err := place(context.Background(), g); got <- err }()
	testkit.Eventually(t, 5*time.Second, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.back["sub"] != nil && g.back["sub"].waiting == 1
	}, "a third call waits")
	leave(true)
	select {
	case err := <-got:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it waits on")
	}
}

func TestAProjectThatIsClosedIsClosedToAllAccounts(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	here, there := &Governor{Redis: client(t, url)}, &Governor{Redis: client(t, url)}
	if err := here.CloseProject(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, g := range []*Governor{here, there} {
		leave, wait, err := g.Enter(t.Context(), "any", 5, time.Minute)
		if leave != nil || err != nil || wait < 59*time.Minute || wait > 61*time.Minute {
			t.Errorf("let in: %v, wait %v, %v", leave != nil, wait, err)
		}
	}
	if err := here.Redis.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if leave, _, _ := here.Enter(t.Context(), "another", 5, time.Minute); leave != nil {
		t.Error("open after Redis was emptied")
	}
}

func TestWhoSleepsThroughAClosingOfTheProjectWaitsOn(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	g, other := &Governor{Redis: client(t, url), Account: Rate{100, 10}}, &Governor{Redis: client(t, url)}
	if _, ok, err := g.Reserve(t.Context(), "sub", 10, 0); !ok || err != nil {
		t.Fatal(ok, err)
	}
	time.AfterFunc(30*time.Millisecond, func() { _ = other.CloseProject(context.Background(), time.Now().Add(time.Hour)) })
	leave, wait, err := g.Enter(t.Context(), "sub", 10, 5*time.Second)
	if leave != nil || err != nil || wait < 50*time.Minute {
		t.Errorf("let in: %v, wait %v, %v", leave != nil, wait, err)
	}
	testkit.Eventually(t, 5*time.Second, func() bool {
		return g.Redis.ZCard(context.Background(), slotsKey("sub")).Val() == 0
	}, "its place is given back")
}

// pace is the units a second that an account gets once its burst is spent.
func pace(t *testing.T, g *Governor) float64 {
	t.Helper()
	at := func() float64 {
		b, _, err := g.book(t.Context(), "sub", "", 50, time.Hour)
		if err != nil || !b.ok {
			t.Fatal(b, err)
		}
		return b.account.full
	}
	first := at()
	return 50 / ((at() - first) / 1e6)
}

func TestTheRateIsLearntFromRefusalsWithoutATime(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	g, other := &Governor{Redis: client(t, url)}, &Governor{Redis: client(t, url)}
	check := func(when string, g *Governor, want float64) {
		t.Helper()
		if got := pace(t, g); got < 0.97*want || got > 1.03*want {
			t.Errorf("%s: %.1f units a second, want %.1f", when, got, want)
		}
	}
	check("untouched", g, 78)
	began := time.Now()
	for range 8 { // refused together
		g.Slow(t.Context(), "sub", began)
		other.Slow(t.Context(), "sub", began)
	}
	check("refused once", other, 0.7*78)
	if err := g.Redis.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	check("with Redis emptied", g, 0.7*78)
	minute := func() { // ago
		learnt, err := g.Redis.HGet(t.Context(), accountKey("sub"), "learnt").Float64()
		if err != nil {
			t.Fatal(err)
		}
		g.Redis.HSet(t.Context(), accountKey("sub"), "learnt", learnt-60e6)
	}
	minute()
	check("a minute later", &Governor{Redis: g.Redis}, 0.75*78)
	for range 10 {
		time.Sleep(2 * time.Millisecond)
		g.Slow(t.Context(), "sub", time.Now())
	}
	check("refused again and again", g, 20)
	server := testkit.OwnRedis(t)
	alone := &Governor{Redis: client(t, server.URL)}
	server.Kill()
	alone.Slow(t.Context(), "sub", time.Now())
	check("without Redis, half the rate", alone, 0.7*78/2)
}
