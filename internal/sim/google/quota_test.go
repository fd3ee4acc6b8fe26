package google_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/googleapi"

	"mailsweep/internal/sim/google"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// spending is what was answered 2xx.
type spending struct {
	at    time.Time
	units int
}

// hammer calls without regard to the quota and keeps what was answered.
func (r *rig) hammer(t *testing.T, c *clock, rng *rand.Rand, calls int) (log []spending, refusals map[int]int) {
	t.Helper()
	refusals = map[int]int{}
	for range calls {
		c.Add(time.Duration(rng.IntN(120)) * time.Millisecond)
		var err error
		units := 5
		if rng.IntN(4) == 0 {
			units = 50
			err = r.svc.Users.Messages.BatchModify("me", &gmail.BatchModifyMessagesRequest{Ids: []string{"1"}, AddLabelIds: []string{"TRASH"}}).Do()
		} else {
			_, err = r.svc.Users.Messages.List("me").Do()
		}
		var e *googleapi.Error
		switch {
		case err == nil:
			log = append(log, spending{c.Now(), units})
		case errors.As(err, &e) && e.Errors[0].Reason == "rateLimitExceeded":
			refusals[e.Code]++
		default:
			t.Fatal(err)
		}
	}
	return log, refusals
}

func TestNoMinuteAboveTheQuotaIsAnswered(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	for _, charge := range []bool{false, true} {
		c := &clock{now: at}
		tariff := google.TariffNew()
		tariff.PerUserMinute = 600
		r := newRig(t, google.Config{Tariff: tariff, Now: c.Now, TimeScale: 10, Share429: 0.5, ChargeRefused: charge, Seed: seed}, 50)
		log, refusals := r.hammer(t, c, rand.New(rand.NewPCG(seed, 1)), 600)
		most := 0
		for i := range log {
			sum := 0
			for _, s := range log[i:] {
				if s.at.Sub(log[i].at) < 6*time.Second {
					sum += s.units
				}
			}
			most = max(most, sum)
		}
		if most > 600 || !charge && most < 560 {
			t.Errorf("charge %v: %d units in one (scaled) minute", charge, most)
		}
		if refusals[403] == 0 || refusals[429] == 0 {
			t.Errorf("both kinds of refusal are told: %v", refusals)
		}
		if ledger, _ := r.sim.Ledger(me); ledger.Refused != refusals[403]+refusals[429] {
			t.Errorf("%+v, %v", ledger.Refused, refusals)
		}
	}
}

func TestToldWaitIsLongEnough(t *testing.T) {
	t.Parallel()
	c := &clock{now: at}
	tariff := google.TariffNew()
	tariff.PerUserMinute = 52
	r := newRig(t, google.Config{Tariff: tariff, Now: c.Now, TimeScale: 60, Share429: 1}, 5)
	modify := func() error {
		return r.svc.Users.Messages.BatchModify("me", &gmail.BatchModifyMessagesRequest{Ids: []string{"1"}, AddLabelIds: []string{"TRASH"}}).Do()
	}
	if err := modify(); err != nil {
		t.Fatal(err)
	}
	c.Add(300 * time.Millisecond)
	e := wantError(t, modify(), 429, "rateLimitExceeded")
	_, told, ok := strings.Cut(e.Message, "exceeded.  Retry after ")
	retry, err := time.Parse(time.RFC3339, told)
	if !ok || err != nil || retry.Sub(at) != time.Second {
		t.Fatalf("%s: %v %v", e.Message, retry, err)
	}
	c.Add(retry.Sub(c.Now()))
	if err := modify(); err != nil {
		t.Error("after the told time the call is answered:", err)
	}
}

func TestProjectQuotaHoldsAcrossUsers(t *testing.T) {
	t.Parallel()
	tariff := google.TariffOld()
	tariff.PerProjectMinute = 12
	r := newRig(t, google.Config{Tariff: tariff}, 5)
	for range 2 {
		if _, err := r.svc.Users.Messages.List("me").Do(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.svc.Users.Messages.List("me").Do()
	if e := wantError(t, err, 403, "rateLimitExceeded"); !strings.Contains(e.Message, "'Queries per minute' of") || !strings.Contains(e.Body, `"quota_limit_value": "12"`) && !strings.Contains(e.Body, `"quota_limit_value":"12"`) {
		t.Error(e.Message, e.Body)
	}
}

func TestCallsInFlightAreLimitedPerMailbox(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{Concurrency: 3}, 5)
	r.sim.Inject(google.Fault{Method: "getProfile", Delay: 300 * time.Millisecond})
	var wg sync.WaitGroup
	var mu sync.Mutex
	ok, refused := 0, 0
	for range 6 {
		wg.Go(func() {
			_, err := r.svc.Users.GetProfile("me").Do()
			mu.Lock()
			defer mu.Unlock()
			var e *googleapi.Error
			switch {
			case err == nil:
				ok++
			case errors.As(err, &e) && e.Code == 429 && e.Message == "Too many concurrent requests for user.":
				refused++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ok != 3 || refused != 3 {
		t.Errorf("%d answered, %d refused", ok, refused)
	}
}

func TestLatencyIsGmailsAndScales(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{Latency: true, TimeScale: 10, Seed: 7}, 5)
	start := time.Now()
	for range 10 {
		if _, err := r.svc.Users.Messages.List("me").Do(); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took < 150*time.Millisecond {
		t.Errorf("ten listings of 30 ms each took %v", took)
	}
}

func TestBytesOfADayAreLimitedPerMailbox(t *testing.T) {
	t.Parallel()
	c := &clock{now: at.Truncate(24 * time.Hour)}
	r := newRig(t, google.Config{Now: c.Now, TimeScale: 48, BytesPerDay: 5000}, 200)
	list := func() error { _, err := r.svc.Users.Messages.List("me").Do(); return err }
	answered := 0
	for ; answered < 100; answered++ {
		if err := list(); err != nil {
			wantError(t, err, 429, "rateLimitExceeded")
			break
		}
	}
	if answered < 2 || answered > 5 {
		t.Errorf("%d pages of about 2 KB answered of 5,000 bytes", answered)
	}
	if c.Add(30 * time.Minute); list() != nil {
		t.Error("another day of Gmail's begins anew")
	}
}
