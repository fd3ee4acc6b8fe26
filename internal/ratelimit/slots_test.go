package ratelimit

import (
	"context"
	"sync"
	"testing"
	"time"

	"mailsweep/internal/testkit"
)

func TestInFlightSlotsAreSharedByAllProcesses(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	governors := []*Governor{{Redis: client(t, url)}, {Redis: client(t, url)}}
	var mu sync.Mutex
	var flying, most, done int
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for range 10 {
				release, err := governors[i%2].Acquire(context.Background(), "sub", 4)
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
				release()
				release()
			}
		})
	}
	all.Wait()
	if most != 4 || done != 160 {
		t.Errorf("%d in flight at most, %d done", most, done)
	}
}

func TestAKilledWorkersSlotsComeBack(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	connection := client(t, url)
	killed := &Governor{Redis: connection, Lease: 300 * time.Millisecond}
	alive := &Governor{Redis: client(t, url)}
	if _, err := alive.Acquire(t.Context(), "sub", 3); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := killed.Acquire(t.Context(), "sub", 3); err != nil {
			t.Fatal(err)
		}
	}
	_ = connection.Close() // the dead renew nothing
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := alive.Acquire(short, "sub", 3); err == nil {
		t.Error("a fourth slot of three")
	}
	long, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := alive.Acquire(long, "sub", 3); err != nil {
		t.Errorf("the slots stay taken: %v", err)
	}
}

func TestWithoutRedisHalfTheSlotsRemain(t *testing.T) {
	t.Parallel()
	server := testkit.OwnRedis(t)
	g := &Governor{Redis: client(t, server.URL)}
	server.Kill()
	var releases []func()
	for range 2 {
		release, err := g.Acquire(t.Context(), "sub", 4)
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, release)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := g.Acquire(short, "sub", 4); err == nil {
		t.Error("a third slot of two")
	}
	releases[0]()
	releases[0]()
	if _, err := g.Acquire(t.Context(), "sub", 4); err != nil {
		t.Error(err)
	}
}

func TestASlotOfALongCallStaysTaken(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	g, other := &Governor{Redis: client(t, url), Lease: 300 * time.Millisecond}, &Governor{Redis: client(t, url)}
	release, err := g.Acquire(t.Context(), "sub", 1)
	if err != nil {
		t.Fatal(err)
	}
	long, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := other.Acquire(long, "sub", 1); err == nil {
		t.Error("a second slot of one, while the first call is still on its way")
	}
	release()
	if _, err := other.Acquire(t.Context(), "sub", 1); err != nil {
		t.Error(err)
	}
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
