package ratelimit

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"mailsweep/internal/testkit"
)

// The day is Google's: midnight in Pacific Time, whatever the season.
func TestADayOfQuotaEndsAtMidnightPacific(t *testing.T) {
	t.Parallel()
	for at, want := range map[string][2]string{
		"2026-11-27T07:59:59Z": {"20261126", "2026-11-27T08:00:00Z"},
		"2026-11-27T08:00:00Z": {"20261127", "2026-11-28T08:00:00Z"},
		"2026-07-01T06:59:59Z": {"20260630", "2026-07-01T07:00:00Z"},
		"2026-03-08T09:00:00Z": {"20260308", "2026-03-09T07:00:00Z"}, // 23 hours
		"2026-11-01T09:00:00Z": {"20261101", "2026-11-02T08:00:00Z"}, // 25 hours
	} {
		moment, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		name, ends := dayOf(moment)
		if got := [2]string{name, ends.Format(time.RFC3339)}; got != want {
			t.Errorf("%s: %v, want %v", at, got, want)
		}
	}
}

func TestTheDayIsTheSumOfWhatAllProcessesBookedAndSurvivesAnEmptiedRedis(t *testing.T) {
	t.Parallel()
	url := testkit.OwnRedis(t).URL // it is emptied
	fast := Rate{Refill: 1e7, Capacity: 1e7}
	var processes []*Governor
	for range 3 {
		processes = append(processes, &Governor{Redis: client(t, url), Account: fast, Project: fast})
	}
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			leave, _, err := processes[i%3].Enter(t.Context(), "account", 10, time.Minute)
			if err != nil || leave == nil {
				t.Errorf("entered not: %v", err)
				return
			}
			leave(true)
		})
	}
	all.Wait()
	for _, g := range processes {
		if got := g.Day(t.Context()).Units; got != 300 {
			t.Errorf("a process knows of %d units", got)
		}
	}
	if err := client(t, url).FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := processes[1].Reserve(t.Context(), "account", 5, time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, g := range append(processes, &Governor{Redis: client(t, url)}) {
		if got := g.Day(t.Context()).Units; got != 305 {
			t.Errorf("after FLUSHALL a process knows of %d units", got)
		}
	}
}

// Redis was emptied while no worker lived: a worker that starts knows the day from what jobs are recorded to have spent.
func TestADayThatRedisAndEveryWorkerForgotIsKnownFromWhatWasRecorded(t *testing.T) {
	t.Parallel()
	c := client(t, testkit.Redis(t))
	recorded, fail := int64(400), errors.New("away")
	asked := 0
	g := &Governor{Redis: c, Recorded: func(_ context.Context, since time.Time) (int64, error) {
		if asked++; time.Since(since) > 25*time.Hour || since.After(time.Now()) || since.In(googleDay).Hour() != 0 {
			t.Errorf("asked since %v", since)
		}
		return recorded, fail
	}}
	if got := g.Day(t.Context()).Units; got != 0 {
		t.Errorf("%d units with nothing recorded", got)
	}
	fail = nil
	if got := g.Day(t.Context()).Units; got != 400 {
		t.Errorf("%d units, want 400", got)
	}
	if _, _, err := g.Reserve(t.Context(), "account", 5, time.Minute); err != nil {
		t.Fatal(err)
	}
	recorded = 9_000 // what this process books itself is not counted again
	for _, g := range []*Governor{g, {Redis: c}} {
		if got := g.Day(t.Context()).Units; got != 405 || asked != 2 {
			t.Errorf("%d units after asking %d times, want 405", got, asked)
		}
	}
}

func TestWhatIsNotBookedIsNotOfTheDay(t *testing.T) {
	t.Parallel()
	g := &Governor{Redis: client(t, testkit.Redis(t)), Account: Rate{Refill: 1, Capacity: 10}}
	for _, want := range []bool{true, false} {
		if _, ok, err := g.Reserve(t.Context(), "account", 10, time.Second); err != nil || ok != want {
			t.Fatal(ok, err)
		}
	}
	if got := g.Day(t.Context()); got.Units != 10 || !got.Ends.After(time.Now()) {
		t.Errorf("%+v", got)
	}
}

func TestWithoutRedisAProcessCountsItsOwnDay(t *testing.T) {
	t.Parallel()
	g := &Governor{Redis: client(t, "redis://127.0.0.1:1")}
	if _, ok, err := g.Reserve(t.Context(), "account", 20, time.Minute); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if got := g.Day(t.Context()).Units; got != 20 {
		t.Errorf("%d units", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := g.Day(ended).Units; got != 20 {
		t.Errorf("%d units", got)
	}
}
