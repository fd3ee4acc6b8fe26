package ratelimit

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailsweep/internal/testkit"
)

func TestRequestsBeyondTheLimitAreRefusedWithATime(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	processes := []*Requests{{Redis: client(t, url)}, {Redis: client(t, url)}}
	var passed atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 20 {
				d, err := processes[i%2].Allow(context.Background(), "key:1", 60, 1)
				if err != nil || d.Limit != 60 || d.Allowed != (d.RetryAfter == 0) || d.RetryAfter > 2*time.Second {
					t.Errorf("%+v, %v", d, err)
				}
				if d.Allowed {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := passed.Load(); n < 60 || n > 63 {
		t.Errorf("%d of 160 passed a limit of 60", n)
	}
	if d, err := processes[0].Allow(t.Context(), "key:2", 60, 60); err != nil || !d.Allowed || d.Remaining != 0 {
		t.Errorf("another key: %+v, %v", d, err)
	}
	if _, err := processes[0].Allow(t.Context(), "key:3", 60, 61); err == nil {
		t.Error("a cost above the limit is no error")
	}
}

func TestWithoutRedisALimitRemains(t *testing.T) { // THR-6
	t.Parallel()
	server := testkit.OwnRedis(t)
	r := &Requests{Redis: client(t, server.URL), Prefix: "login"}
	passed := 0
	for i := range 400 {
		if i == 200 {
			server.Kill()
		}
		d, err := r.AllowIn(t.Context(), "ip", 30, time.Hour, 1)
		if err != nil {
			t.Fatal(err)
		}
		if d.Allowed {
			passed++
		} else if d.RetryAfter <= 0 || d.RetryAfter > time.Hour {
			t.Fatalf("%+v", d)
		}
	}
	if passed < 59 || passed > 60 {
		t.Errorf("%d passed, twice the limit is 60", passed)
	}
}

func TestAFloodOfKeysDoesNotLiftTheLimit(t *testing.T) {
	t.Parallel()
	var r Requests
	now := time.Unix(1_800_000_000, 0)
	passed := 0
	for i := range 3 * localKeys {
		if r.allowAlone(fmt.Sprint(i), 5, time.Hour, 1, now).Allowed {
			passed++
		}
	}
	if len(r.local) > localKeys+1 || passed > localKeys+5 {
		t.Errorf("%d keys, %d passed", len(r.local), passed)
	}
	if !r.allowAlone("later", 5, time.Hour, 1, now.Add(2*time.Hour)).Allowed || len(r.local) > 2 {
		t.Errorf("%d keys after two hours", len(r.local))
	}
}

func TestTheLocalLimiterRefills(t *testing.T) {
	t.Parallel()
	var r Requests
	now := time.Unix(1_800_000_000, 0)
	for i := range 4 {
		d := r.allowAlone("k", 3, time.Minute, 1, now)
		if d.Allowed != (i < 3) || d.Remaining != max(0, 2-i) {
			t.Errorf("%d: %+v", i, d)
		}
	}
	if d := r.allowAlone("k", 3, time.Minute, 1, now.Add(19*time.Second)); d.Allowed || d.RetryAfter != time.Second {
		t.Errorf("%+v", d)
	}
	if d := r.allowAlone("k", 3, time.Minute, 1, now.Add(20*time.Second)); !d.Allowed {
		t.Errorf("%+v", d)
	}
}
