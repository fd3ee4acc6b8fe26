package cleanup_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// watching looks at each call to Google before it leaves.
type watching struct {
	next http.RoundTripper
	mu   sync.Mutex
	see  func(path string)
}

// RoundTrip implements http.RoundTripper.
func (w *watching) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.see(r.URL.Path)
	w.mu.Unlock()
	return w.next.RoundTrip(r)
}

func TestAnAnalysisShowsWhatItHasFoundWhileItGoesOn(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 400, Seed: 271})
	cleanup.ShowEvery(c.runner, time.Nanosecond)
	v, err := c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{}, cleanup.Idempotency{})
	require.NoError(t, err)
	shown := map[sweep.Stage]sweep.Analysis{}
	var stages []sweep.Stage
	c.wire.next = &watching{next: c.wire.next, see: func(path string) {
		job := c.job(t, v.ID)
		if job.Result == nil {
			require.False(t, strings.HasSuffix(path, "/messages"), "nothing is listed before there is something to see")
			return
		}
		var a sweep.Analysis
		require.NoError(t, json.Unmarshal(job.Result, &a))
		if len(stages) == 0 || stages[len(stages)-1] != a.Stage {
			stages = append(stages, a.Stage)
		}
		shown[a.Stage] = a
	}}
	var done sweep.Analysis
	c.succeeded(t, v, &done)
	require.Equal(t, []sweep.Stage{sweep.StageCounts, sweep.StageFacets, sweep.StageSenders}, stages)
	require.Equal(t, sweep.StageDone, done.Stage)
	c.equalsFacts(t, done)

	facts, err := c.google.Facts(c.email)
	require.NoError(t, err)
	counts := shown[sweep.StageCounts]
	require.LessOrEqual(t, counts.UnitsSpent, int64(20))
	require.Equal(t, []int{facts.Messages, facts.Unread}, []int{counts.Messages, counts.Unread})
	require.InDelta(t, facts.Categories["CATEGORY_PROMOTIONS"].Messages, counts.ByCategory[sweep.Promotions].Messages, 10, "spam and trash are in it")
	require.Empty(t, counts.Exact, "Gmail's counts may hold what ours leave out")
	c.equalsFacts(t, shown[sweep.StageFacets])
	require.Zero(t, shown[sweep.StageFacets].SendersTotal)
	require.Positive(t, shown[sweep.StageSenders].SendersTotal)
}
