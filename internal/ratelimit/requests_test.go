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

// RAT-1: three processes with one Redis, 10,000 calls at once, cheap and dear ones.
func TestThreeProcessesShareOneLimit(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	processes := []*Requests{{Redis: client(t, url)}, {Redis: client(t, url)}, {Redis: client(t, url)}}
	const limit, calls = 3000, 10_000
	from := []Allowance{{"{customer}", limit, time.Hour}, {"{customer}:key", limit - 600, time.Hour}} // an hour: next to nothing comes back meanwhile
	var taken, passed, next atomic.Int64
	began := time.Now()
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			for n := next.Add(1); n <= calls; n = next.Add(1) {
				cost, allowances := 1+9*int(n%5/4), from
				if n%2 == 0 {
					allowances = from[:1]
				}
				d, err := processes[i%3].Take(context.Background(), cost, allowances...)
				if err != nil {
					t.Error(err)
					return
				}
				ok := true
				for _, one := range d {
					ok = ok && one.Allowed
				}
				if ok {
					passed.Add(1)
					taken.Add(int64(cost))
				}
			}
		})
	}
	all.Wait()
	refilled := int64(time.Since(began)/(time.Hour/limit)) + 1
	if n := taken.Load(); n < limit-9 || n > limit+limit/100 && n > limit+refilled {
		t.Errorf("%d taken of %d by %d calls, %d could come back", n, limit, passed.Load(), refilled)
	}
}

func TestWhatOneAllowanceRefusesCostsNoOther(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*Requests{"redis": {Redis: client(t, testkit.Redis(t))}, "alone": {Redis: client(t, "redis://127.0.0.1:1")}} {
		large, small := Allowance{"{c}", 100, time.Hour}, Allowance{"{c}:key", 20, time.Hour}
		for i := range 4 {
			d, err := r.Take(t.Context(), 10, large, small)
			if err != nil || len(d) != 2 || !d[0].Allowed || d[1].Allowed != (i < 2) {
				t.Fatalf("%s, %d: %+v, %v", name, i, d, err)
			}
		}
		d, err := r.Take(t.Context(), 0, large, small)
		if err != nil || d[0].Remaining != 80 || d[1].Remaining != 0 {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// A clock that jumped back, or another server's, must not shut anybody out for longer than a span.
func TestAKeyFromTheFutureShutsNobodyOut(t *testing.T) {
	t.Parallel()
	c := client(t, testkit.Redis(t))
	r := &Requests{Redis: c}
	if err := c.Set(t.Context(), "http:k", time.Now().Add(240*time.Hour).UnixMicro(), 0).Err(); err != nil {
		t.Fatal(err)
	}
	if d, err := r.Allow(t.Context(), "k", 60, 1); err != nil || d.Allowed || d.RetryAfter > time.Second {
		t.Errorf("%+v, %v", d, err)
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

// allowAlone is AllowIn without Redis, at a time.
func (r *Requests) allowAlone(key string, limit int, per time.Duration, cost int, now time.Time) Decision {
	return r.takeAlone(cost, []Allowance{{key, limit, per}}, now)[0]
}

func TestAFloodOfKeysDoesNotLiftTheLimit(t *testing.T) { // THR-6
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
	for i := range 12 {
		if passes := r.allowAlone(fmt.Sprint("customer ", i), 10, time.Minute, 1, now).Allowed; passes != (i < 10) {
			t.Errorf("%d: keys of another limit share another allowance", i)
		}
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
