package ratelimit

import (
	"context"
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
	killed := &Governor{Redis: connection, Lease: 300 * time.Millisecond}
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
	long, cancel := context.WithTimeout(t.Context(), 10*time.Second)
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

func TestAPlaceOfALongCallStaysTaken(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	g, other := &Governor{Redis: client(t, url), Lease: time.Second}, &Governor{Redis: client(t, url)} // renewed three times in it, on a busy machine too
	bears(t, g, 2)
	var leave func(bool)
	for range 2 {
		var err error
		if leave, err = place(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	long, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	if _, err := place(long, other); err == nil {
		t.Error("a third place of two, while the first calls are still on their way")
	}
	leave(true)
	if _, err := place(t.Context(), other); err != nil {
		t.Error(err)
	}
}

// bears sets how many calls in flight the account bears.
func bears(t *testing.T, g *Governor, places int) {
	t.Helper()
	if err := g.Redis.HSet(t.Context(), flowKey("sub"), "places", places).Err(); err != nil {
		t.Fatal(err)
	}
}

func place(ctx context.Context, g *Governor) (func(bool), error) {
	leave, _, err := g.Enter(ctx, "sub", 0, 0)
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
