package cleanup_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// parallel is how many listings are on their way at most.
const parallel = 8

// asked counts the calls of a kind that were made, each by what it says.
type asked struct {
	next http.RoundTripper
	path string
	mu   sync.Mutex
	n    map[string]int
}

// asked counts from now on the calls whose path ends so.
func (r *rig) asked(path string) *asked {
	a := &asked{next: r.wire.next, path: path, n: map[string]int{}}
	r.wire.next = a
	return a
}

// RoundTrip implements http.RoundTripper.
func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, a.path) {
		a.mu.Lock()
		a.n[r.URL.RawQuery]++
		a.mu.Unlock()
	}
	return a.next.RoundTrip(r)
}

func (a *asked) times() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, times := range a.n {
		n += times
	}
	return n
}

// again is how many listings were asked for more than once.
func (a *asked) again() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, times := range a.n {
		if times > 1 {
			n++
		}
	}
	return n
}

// listed is a customer with an analysis to be done, of which everything is saved at once.
func listed(t *testing.T, seed uint64) (*customer, *asked, sweep.JobView) {
	t.Helper()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 500, Seed: seed})
	cleanup.KeepEvery(c.runner, 1)
	a := c.asked("/messages")
	v, err := c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{}, cleanup.Idempotency{})
	require.NoError(t, err)
	return c, a, v
}

func TestALostWorkersListingIsNotListedAgain(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"among the ranges": 22, "among the labels": 50} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, asked, v := listed(t, 201)
			c.lostAt(t, v, stop{path: "/messages", n: n}, false)
			var res sweep.Analysis
			c.succeeded(t, v, &res)
			c.equalsFacts(t, res)
			c.sendersEqual(t, res)
			require.LessOrEqual(t, asked.again(), 2*parallel, "only what was on its way, and what the lost one asked for before it heard")
			require.Zero(t, c.count(t, "SELECT count(*) FROM jobs WHERE checkpoint IS NOT NULL"), "it is in the index now")
		})
	}
}

func TestAListingOfWhichPartIsUnreadableBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{"its end is gone": "substring(checkpoint FOR length(checkpoint) - 1)", "its beginning is": "substring(checkpoint FROM 2)",
		"an entry stands twice": "checkpoint || checkpoint", "another build wrote it": "'{}'"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _, v := listed(t, 203)
			c.wire.at(stop{path: "/messages", n: 50, before: func() { panic("lost") }})
			c.run(t, c.take(t)[0])
			c.exec(t, "UPDATE jobs SET checkpoint = "+damage+" WHERE customer_id = $1", c.Customer.String())
			c.due(t)
			var res sweep.Analysis
			c.succeeded(t, v, &res)
			c.equalsFacts(t, res)
		})
	}
}

func TestAListingThatGoesOnFollowsWhatChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, expired := range map[string]bool{"by history": false, "or lists anew": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, asked, v := listed(t, 202)
			c.wire.at(stop{path: "/messages", n: 50, before: func() { panic("lost") }})
			c.run(t, c.take(t)[0])
			_, err := c.google.Deliver(c.email, google.Incoming{From: "New Sender <new@fresh.example>"})
			require.NoError(t, err)
			var inbox []string
			for _, m := range c.messages(t) {
				if labelled(m, sweep.LabelInbox) {
					inbox = append(inbox, m.ID)
				}
			}
			require.NoError(t, c.google.Delete(c.email, inbox[:20]))
			require.NoError(t, c.google.Relabel(c.email, inbox[20:40], []string{"TRASH"}, []string{"INBOX"}))
			require.NoError(t, c.google.Relabel(c.email, inbox[40:60], []string{"STARRED"}, []string{"UNREAD"}))
			if expired {
				require.NoError(t, c.google.ExpireHistory(c.email))
			}
			c.due(t)
			var res sweep.Analysis
			c.succeeded(t, v, &res)
			c.equalsFacts(t, res)
			c.sendersEqual(t, res)
			require.Equal(t, expired, asked.again() > parallel)
		})
	}
}

func TestAPreviewOnAListingThatWentOnProtectsAsOfNow(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 500, Seed: 205})
	r := wanted(t, sweep.Trash, `{"category":"promotions"}`)
	r.Spec.Protect.Starred = true
	v, err := c.SubmitDryRun(t.Context(), c.Actor, r, cleanup.Idempotency{})
	require.NoError(t, err)
	c.wire.at(stop{path: "/messages", n: 55, before: func() { panic("lost") }})
	c.run(t, c.take(t)[0])
	require.NotZero(t, c.count(t, "SELECT count(*) FROM jobs WHERE checkpoint IS NOT NULL"), "what breaks leaves what it has")
	var starred []string
	for _, m := range c.messages(t) {
		if labelled(m, "CATEGORY_PROMOTIONS") && labelled(m, sweep.LabelInbox) && !labelled(m, sweep.LabelStarred) && len(starred) < 30 {
			starred = append(starred, m.ID)
		}
	}
	require.Len(t, starred, 30)
	require.NoError(t, c.google.Relabel(c.email, starred, []string{sweep.LabelStarred}, nil))
	c.due(t)
	var p sweep.DryRunResult
	c.succeeded(t, v, &p)
	require.NotEmpty(t, c.members(t, p.CleanupPlanID))
	for _, id := range c.members(t, p.CleanupPlanID) {
		require.NotContains(t, starred, id)
	}
}

func TestAnAnalysisThatGetsOnIsNotGivenUp(t *testing.T) {
	t.Parallel()
	c, _, v := listed(t, 203)
	for n := 1; n <= sweep.PoisonLimit; n++ {
		c.wire.at(stop{path: "/messages", n: parallel + 2, before: func() { panic("lost") }})
		c.due(t)
		c.run(t, c.take(t)[0])
		require.False(t, c.job(t, v.ID).State.Done(), "after %d breaks", n)
	}
	c.due(t)
	var res sweep.Analysis
	c.succeeded(t, v, &res)
	c.equalsFacts(t, res)
}

// Each claim saves the index before it looks for senders: that alone is not getting on.
func TestAnAnalysisThatDoesNotGetOnIsGivenUp(t *testing.T) {
	t.Parallel()
	c, _, v := listed(t, 204)
	c.succeeded(t, v, &sweep.Analysis{})
	v, err := c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{}, cleanup.Idempotency{})
	require.NoError(t, err)
	for n := 1; n <= sweep.PoisonLimit; n++ {
		require.False(t, c.job(t, v.ID).State.Done(), "after %d breaks", n-1)
		c.wire.at(stop{path: "/history", n: 2, before: func() { panic("lost") }})
		c.due(t)
		c.run(t, c.take(t)[0])
	}
	require.Equal(t, sweep.Failed, c.job(t, v.ID).State)
}
