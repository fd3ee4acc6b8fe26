package ratelimit

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"mailsweep/internal/testkit"
)

func TestPlacesInFlightAreSharedByAllProcesses(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	governors := []*Governor{{Redis: client(t, url)}, {Redis: client(t, url)}}
	var mu sync.Mutex
	var flying, most, done int
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for range 10 {
				leave, err := place(context.Background(), governors[i%2])
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				flying++
				most = max(most, flying)
				mu.Unlock()
				_ = sleep(context.Background(), 2*time.Millisecond)
				mu.Lock()
				flying--
				done++
				mu.Unlock()
				leave(false)
				leave(false)
			}
		})
	}
	all.Wait()
	if most != placesStart || done != 160 {
		t.Errorf("%d in flight at most, %d done", most, done)
	}
}

func TestAKilledWorkersPlacesComeBack(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	connection := client(t, url)
	killed := &Governor{Redis: connection, Lease: 9 * time.Second}
	alive := &Governor{Redis: client(t, url)}
	if _, err := place(t.Context(), alive); err != nil {
		t.Fatal(err)
	}
	for range placesStart - 1 {
		if _, err := place(t.Context(), killed); err != nil {
			t.Fatal(err)
		}
	}
	_ = connection.Close() // the dead renew nothing
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := place(short, alive); err == nil {
		t.Error("one place more than there are")
	}
	long, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := place(long, alive); err != nil {
		t.Errorf("the places stay taken: %v", err)
	}
}

func TestWithoutRedisHalfThePlacesRemain(t *testing.T) {
	t.Parallel()
	server := testkit.OwnRedis(t)
	g := &Governor{Redis: client(t, server.URL)}
	server.Kill()
	var leave func(bool)
	for range placesStart / 2 {
		var err error
		if leave, err = place(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := place(short, g); err == nil {
		t.Error("more than half of the places")
	}
	leave(true)
	leave(true)
	if _, err := place(t.Context(), g); err != nil {
		t.Error(err)
	}
}

// late is a context in the moment when its deadline has passed and its timer has not fired yet.
type late struct{ context.Context }

func (late) Deadline() (time.Time, bool) { return time.Now().Add(-time.Microsecond), true }
func (late) Err() error                  { return nil }

func TestACallersDeadlineIsNoFailureOfRedis(t *testing.T) {
	t.Parallel()
	server := testkit.OwnRedis(t)
	g := &Governor{Redis: client(t, server.URL)}
	if _, _, err := g.Enter(late{t.Context()}, "sub", 0, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, and a place in this process alone", err)
	}
	if g.link.awayUntil.Load() != 0 {
		t.Error("Redis counts as away")
	}
}

func TestAPlaceOfALongCallStaysTaken(t *testing.T) {
	t.Parallel()
	g := &Governor{Redis: client(t, testkit.Redis(t)), Lease: 9 * time.Second} // a stall of the machine is shorter
	leave, err := place(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := place(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	began := ends(t, g)
	if len(began) != 2 {
		t.Fatalf("%d of two places are in Redis", len(began))
	}
	testkit.Eventually(t, 30*time.Second, func() bool {
		now := ends(t, g)
		for id, end := range began {
			if now[id] <= end {
				return false
			}
		}
		return true
	}, "both places are held longer than they were at first")
	leave(true)
	testkit.Eventually(t, 30*time.Second, func() bool { return len(ends(t, g)) == 1 }, "the place that was given back is free")
}

// A renewal that comes late must not take a place again that was given back.
func TestARenewalTakesNoPlaceThatWasGivenBack(t *testing.T) {
	t.Parallel()
	g := &Governor{Redis: client(t, testkit.Redis(t))}
	renew := func(id string) int {
		t.Helper()
		held, err := renewScript.Run(t.Context(), g.Redis, []string{slotsKey("sub")}, id, time.Hour.Microseconds()).Int()
		if err != nil {
			t.Fatal(err)
		}
		return held
	}
	if _, _, err := g.book(t.Context(), "sub", "held", 0, 0); err != nil {
		t.Fatal(err)
	}
	before := ends(t, g)["held"]
	if held, after := renew("held"), ends(t, g)["held"]; held != 1 || after-before < time.Minute.Seconds()*1e6 {
		t.Errorf("%d places are renewed, from %.0f to %.0f", held, before, after)
	}
	g.giveBack("sub", "held", true)
	g.tell("sub")
	if held, left := renew("held"), ends(t, g); held != 0 || len(left) != 0 {
		t.Errorf("%d places are renewed, %v are taken", held, left)
	}
}

// Places that nobody gives back are waited for as long as the call has patience, and for its units only what is left of that.
func TestAPlaceIsWaitedForNoLongerThanTheCallWaits(t *testing.T) {
	t.Parallel()
	g := &Governor{Redis: client(t, testkit.Redis(t))}
	bears(t, g, 1)
	if _, err := place(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	leave, wait, err := g.Enter(t.Context(), "sub", 5, 20*time.Millisecond)
	if leave != nil || wait <= 0 || err != nil || time.Since(began) > placePatience/2 {
		t.Errorf("let in: %v, wait %s, %v after %s", leave != nil, wait, err, time.Since(began))
	}
}

// ends are the places in flight and the times, in microseconds, at which they free themselves.
func ends(t *testing.T, g *Governor) map[string]float64 {
	t.Helper()
	places, err := g.Redis.ZRangeWithScores(t.Context(), slotsKey("sub"), 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	ends := map[string]float64{}
	for _, p := range places {
		ends[p.Member.(string)] = p.Score
	}
	return ends
}

// bears sets how many calls in flight the account bears.
func bears(t *testing.T, g *Governor, places int) {
	t.Helper()
	if err := g.Redis.HSet(t.Context(), flowKey("sub"), "places", places).Err(); err != nil {
		t.Fatal(err)
	}
}

func place(ctx context.Context, g *Governor) (func(bool), error) {
	leave, _, err := g.Enter(ctx, "sub", 0, time.Minute)
	return leave, err
}

func TestAMinuteHoldsWhatTheTariffSays(t *testing.T) {
	t.Parallel()
	for _, units := range []int{6_000, 15_000} {
		r := MinuteRate(units)
		if sum := r.Capacity + 60*r.Refill; sum > float64(units)+1e-6 || sum < float64(units)-1 || r.Capacity < 500 {
			t.Errorf("%d: %+v", units, r)
		}
	}
	if r := AccountRate(); r != (Rate{78, 1320}) {
		t.Errorf("%+v", r)
	}
}
