package google

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestLatencyHasGmailsMedianAndTail(t *testing.T) {
	t.Parallel()
	d := &dice{seed: 7}
	for method, c := range map[string]struct {
		ids         int
		median, p99 float64
	}{"messages.list": {0, 300, 900}, "messages.get": {1, 110, 500}, "messages.get full": {1, 400, 1500}, "history.list": {0, 150, 500},
		"getProfile": {0, 90, 300}, "messages.batchModify": {1000, 1400, 4000}, "token": {0, 120, 600}} {
		var all []time.Duration
		for range 20_000 {
			all = append(all, latencyOf(method, c.ids, d.throw(method)))
		}
		slices.Sort(all)
		for what, pair := range map[string][2]float64{"median": {float64(all[10_000].Milliseconds()), c.median}, "p99": {float64(all[19_800].Milliseconds()), c.p99}} {
			if math.Abs(pair[0]/pair[1]-1) > 0.08 {
				t.Errorf("%s of %s: %v ms, want %v", what, method, pair[0], pair[1])
			}
		}
	}
	if few, many := latencyOf("messages.batchModify", 10, 0.5), latencyOf("messages.batchModify", 1000, 0.5); many-few != 990*time.Millisecond {
		t.Errorf("a batch takes a millisecond per id: %v, %v", few, many)
	}
}

// A rule's n-th match is struck or not whatever other rules and mailboxes do meanwhile.
func TestChancesAreThoseOfTheSeedWhateverElseHappens(t *testing.T) {
	t.Parallel()
	struckOf := func(seed uint64, noise bool) (out []bool) {
		s := New(Config{Seed: seed})
		s.Inject(Fault{Method: "messages.list", Probability: 0.3, Latency: 1})
		s.Inject(Fault{Probability: 0.5, Latency: 1})
		for range 200 {
			if noise {
				s.spoil(target{method: "getProfile", now: time.Now()})
				s.dice.throw("latency getProfile other@example.org")
			}
			out = append(out, slices.ContainsFunc(s.spoil(target{method: "messages.list", now: time.Now()}), func(f Fault) bool { return f.Method != "" }))
		}
		return out
	}
	calm := struckOf(1, false)
	if !slices.Equal(calm, struckOf(1, true)) {
		t.Error("other calls changed which are struck")
	}
	if slices.Equal(calm, struckOf(2, false)) {
		t.Error("another seed strikes the same calls")
	}
	n := 0
	for _, s := range calm {
		if s {
			n++
		}
	}
	if n < 35 || n > 85 {
		t.Errorf("%d of 200 struck at 0.3", n)
	}
}
