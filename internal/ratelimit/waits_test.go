package ratelimit

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mailsweep/internal/testkit"
)

var guesses = Waits{Key: "login:a", Free: 5, First: time.Second, Longest: 900 * time.Second, Kept: 12 * time.Hour}

// doubled are the waits after the first sixteen failures, in seconds.
var doubled = []int{0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900}

// THR-1: two processes count one key together, and its waits double to 900 s.
func TestWaitsDoubleOverTwoProcesses(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	processes := []*Requests{{Redis: client(t, url)}, {Redis: client(t, url)}}
	c := processes[0].Redis
	for i, want := range doubled {
		wait, err := processes[i%2].Failed(t.Context(), guesses)
		if err != nil || wait != time.Duration(want)*time.Second {
			t.Fatalf("failure %d: %v instead of %d s, %v", i+1, wait, want, err)
		}
		if wait < time.Minute {
			continue // on a busy machine it may be over by now
		}
		for n, r := range processes {
			if left, err := r.Wait(t.Context(), guesses); err != nil || left > wait || left < wait-time.Minute {
				t.Errorf("process %d waits %v after failure %d, %v", n, left, i+1, err)
			}
		}
	}
	// the time goes by
	if err := c.HIncrBy(t.Context(), "http:login:a", "until", -guesses.Longest.Microseconds()).Err(); err != nil {
		t.Fatal(err)
	}
	for n, r := range processes {
		if left, err := r.Wait(t.Context(), guesses); err != nil || left != 0 {
			t.Errorf("process %d waits %v, %v", n, left, err)
		}
	}
	if wait, err := processes[0].Failed(t.Context(), guesses); err != nil || wait != guesses.Longest {
		t.Errorf("%v, %v: a wait that is over forgets nothing", wait, err)
	}
	if kept := c.PTTL(t.Context(), "http:login:a").Val(); kept > guesses.Kept || kept < guesses.Kept-time.Minute {
		t.Errorf("kept for %v", kept)
	}
	other := guesses
	other.Key = "login:b"
	if wait, err := processes[1].Failed(t.Context(), other); err != nil || wait != 0 {
		t.Errorf("%v, %v: another key waits for this one", wait, err)
	}
}

// THR-1: whoever tries as soon as they may, tries fourteen times in a quarter of an hour, and four times an hour from then on.
func TestAGuesserTriesFourteenTimesInAQuarterOfAnHour(t *testing.T) {
	t.Parallel()
	var r Requests
	now := time.Unix(1_800_000_000, 0)
	tries := func(span time.Duration) (n int) {
		for end := now.Add(span); now.Before(end); now = now.Add(time.Second / 4) {
			if r.waitAlone(guesses, 0, now) == 0 {
				n++
				r.waitAlone(guesses, 1, now)
			}
		}
		return n
	}
	if n := tries(900 * time.Second); n != 14 {
		t.Errorf("%d tries", n)
	}
	if n := tries(10 * time.Hour); n < 39 || n > 41 {
		t.Errorf("%d tries in ten hours", n)
	}
	now = now.Add(guesses.Kept)
	if wait := r.waitAlone(guesses, 1, now); wait != 0 {
		t.Errorf("%v after half a day without any", wait)
	}
}

// THR-6: a process alone counts by the same waits, in bounded memory.
func TestWithoutRedisWaitsDoubleToo(t *testing.T) {
	t.Parallel()
	r := &Requests{Redis: redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})}
	t.Cleanup(func() { r.Redis.Close() })
	for i, want := range doubled {
		if wait, err := r.Failed(t.Context(), guesses); err != nil || wait != time.Duration(want)*time.Second {
			t.Fatalf("failure %d: %v instead of %d s, %v", i+1, wait, want, err)
		}
	}
	if left, err := r.Wait(t.Context(), guesses); err != nil || left == 0 {
		t.Errorf("%v, %v", left, err)
	}
	now, shut := time.Now(), 0
	for i := range localKeys + 100 {
		w := guesses
		w.Key = fmt.Sprint(i)
		if r.waitAlone(w, 1, now) > 0 {
			shut++
		}
	}
	if len(r.failing) > localKeys+1 || shut < 90 {
		t.Errorf("%d keys, %d had to wait: a flood of keys lifts the limit", len(r.failing), shut)
	}
}

func TestWaitsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	var r Requests
	for _, w := range []Waits{{}, {Free: 1, First: 2, Longest: 1, Kept: 3}, {Free: 1, First: 1, Longest: 3, Kept: 3}, {Free: 0, First: 1, Longest: 2, Kept: 3}} {
		if _, err := r.Wait(t.Context(), w); err == nil {
			t.Errorf("%+v", w)
		}
	}
	odd := Waits{First: 3, Longest: 10}
	if steps := odd.steps(); !slices.Equal(steps, []time.Duration{3, 6, 10}) {
		t.Errorf("%v", steps)
	}
}
