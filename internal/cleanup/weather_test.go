package cleanup_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/ratelimit"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// storm is one way in which Gmail may be in a mood. It lasts from 25 % to 60 % of the calls that a job makes on a calm day.
type storm struct {
	name  string
	fault google.Fault // of every call in the window
	// once happens before the first call of the window, calm after its last.
	once, calm func(*testing.T, *act)
	quota      bool   // Gmail's own is in force
	vain       bool   // what is spent in the window brings nothing, or need not
	action     bool   // the job ends with mailbox_needs_reconnect, and the customer connects anew
	again      string // why what was done before has to be done again
}

// storms are all of them.
func storms() []storm {
	const list = "messages.list"
	return []storm{
		{name: "429 without a word", fault: google.Fault{Status: 429}, vain: true},
		{name: "429 with Retry-After", fault: google.Fault{Status: 429, RetryAfter: 100 * time.Second, Times: 16}, vain: true},
		{name: "403 for quota, the time in the text", fault: google.Fault{Status: 403, Reason: "userRateLimitExceeded", TextRetryAfter: 5 * time.Second}, vain: true},
		{name: "503 in HTML", fault: google.Fault{HTML503: true}, vain: true},
		{name: "resets before the effect", fault: google.Fault{ResetBefore: true}, vain: true},
		{name: "resets after the effect", fault: google.Fault{ResetAfterEffect: true}, vain: true},
		{name: "truncated JSON", fault: google.Fault{TruncateJSON: true}, vain: true},
		{name: "hangs", fault: google.Fault{Hang: true, Times: 24}, vain: true},
		{name: "an expired token", once: func(_ *testing.T, a *act) { a.google.ExpireAccess(a.email) }},
		{name: "invalid_grant", once: func(t *testing.T, a *act) { assertNo(t, a.google.Revoke(a.email)) }, action: true},
		{name: "a scope removed", fault: google.Fault{DropScope: google.ScopeModify, Times: 1}, action: true},
		{name: "history expired", once: expire, calm: expire, again: "without history the mailbox is listed anew"},
		{name: "a page token refused", fault: google.Fault{Method: list, Paged: true, Status: 400, Message: "Invalid pageToken", Times: 2}, again: "a range is listed anew from its first page"},
		{name: "ids that vanish", fault: google.Fault{Vanish: 2}, once: vanish, calm: vanish, vain: true},
		{name: "new mail while pages are turned", fault: google.Fault{Method: list, Paged: true, Arrive: 1, Times: 5}, once: arrive, again: "what is new is placed and read"},
		{name: "a label deleted", fault: google.Fault{DeleteLabel: "Receipts", Times: 1}},
		{name: "messages on two pages", fault: google.Fault{Method: list, Paged: true, Repeat: 30}},
		{name: "another client eats half the quota", once: func(t *testing.T, a *act) {
			assertNo(t, a.google.SetOther(a.email, google.OtherClient{Slots: 4, UnitsPerSecond: 50}))
		}, calm: func(t *testing.T, a *act) { assertNo(t, a.google.SetOther(a.email, google.OtherClient{})) }, quota: true},
	}
}

func expire(t *testing.T, a *act) { assertNo(t, a.google.ExpireHistory(a.email)) }

func arrive(t *testing.T, a *act) {
	_, err := a.google.Deliver(a.email, google.Incoming{From: "just.now@fresh.example"})
	assertNo(t, err)
}

// vanish deletes the oldest and the newest mail of the mailbox for good.
func vanish(t *testing.T, a *act) {
	list, err := a.google.Messages(a.email)
	assertNo(t, err)
	assertNo(t, a.google.Delete(a.email, []string{list[len(list)-1].ID, list[len(list)/2].ID, list[len(list)/3].ID}))
}

// assertNo is for what may run beside the test, where FailNow is not allowed.
func assertNo(t *testing.T, err error) {
	if err != nil {
		t.Error(err)
	}
}

// cell is a storm over a kind of job.
type cell struct {
	storm
	kind sweep.JobKind
}

func (c cell) String() string { return c.name + ", " + string(c.kind) }

// Nothing is lost, nothing is done twice, nothing protected is touched, and when the weather is over a job does no more than was left of it.
func TestWeatherDelaysAJobAndChangesNothingElse(t *testing.T) {
	t.Parallel()
	var cells []cell
	for _, s := range storms() {
		for _, kind := range sweep.Kinds() {
			cells = append(cells, cell{s, kind})
		}
	}
	calm := map[sweep.JobKind]func() []int{}
	for _, kind := range sweep.Kinds() {
		calm[kind] = sync.OnceValue(func() []int { return calmDay(t, kind) })
	}
	for _, c := range drawn(t, cells, 6) {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			c.blow(t, calm[c.kind]())
		})
	}
}

// act is a job that is ready to be asked for, and what it is to be judged by.
type act struct {
	*customer
	kind    sweep.JobKind
	asks    cleanup.DryRunRequest
	plan    string   // execute
	ids     []string // of the plan
	listing int      // what listing the mailbox costs, where the job needs not do so
	run     string   // undo
	mail    []google.Message
	changed map[string]int
}

// prepare makes a mailbox on a calm day, up to the job.
func prepare(t *testing.T, kind sweep.JobKind, quota bool) *act {
	t.Helper()
	r := newRigAt(t, func(c *google.Config) {
		if quota {
			c.Tariff, c.Concurrency = google.TariffNew(), 10
		}
	})
	g := google.Generate{Messages: 1400, Seed: 320, Years: 1, Now: testNow}
	if kind.Writes() {
		g.Messages = 9000
	}
	a := &act{customer: r.customer(t, "one@gmail.example", g), kind: kind}
	a.budget(8_000)
	a.asks = protected(t, sweep.Trash, `{"any":[{"older_than_days":60},{"category":"promotions"}]}`)
	if kind.Writes() {
		a.google.Mark("listing")
		a.plan = a.preview(t, a.asks).CleanupPlanID
		a.listing = a.since(t, "listing")
		a.ids = a.members(t, a.plan)
	}
	if kind == sweep.Undo {
		a.mail = a.messages(t)
		a.run, _ = a.executed(t, a.plan)
	} else {
		a.mail = a.messages(t)
	}
	a.changed = a.changes(t)
	if quota {
		r.runner.Gmail.Pacer.(*ratelimit.Governor).Account = ratelimit.Rate{Refill: 78 * scale, Capacity: 1320}
	}
	return a
}

// submitJob asks for the job.
func (a *act) submitJob(t *testing.T) (v sweep.JobView) {
	t.Helper()
	var err error
	switch a.kind {
	case sweep.Analyze:
		v, err = a.SubmitAnalyze(t.Context(), a.Actor, cleanup.Target{}, cleanup.Idempotency{})
	case sweep.DryRun:
		v, err = a.SubmitDryRun(t.Context(), a.Actor, a.asks, cleanup.Idempotency{})
	case sweep.Execute:
		v, err = a.SubmitExecute(t.Context(), a.Actor, cleanup.ExecuteRequest{Plan: planID(t, a.plan)}, cleanup.Idempotency{})
	case sweep.Undo:
		v, err = a.SubmitUndo(t.Context(), a.Actor, jobID(t, a.run), cleanup.Idempotency{})
	}
	require.NoError(t, err)
	return v
}

// calmDay does a job without any weather: what had been spent as each of its calls left, and at last in all.
func calmDay(t *testing.T, kind sweep.JobKind) (spent []int) {
	a := prepare(t, kind, false)
	a.google.Mark("calm")
	w := &counting{next: a.wire.next, before: func(int) { spent = append(spent, a.since(t, "calm")) }}
	a.wire.next = w
	a.judge(t, a.finished(t, a.submitJob(t)))
	spent = append(spent, a.since(t, "calm"))
	t.Logf("a calm %s: %d calls, %d units", kind, len(spent)-1, spent[len(spent)-1])
	return spent
}

// since is what the mailbox was charged since a mark.
func (c *customer) since(t *testing.T, mark string) int {
	l, _, err := c.google.Since(mark, c.email)
	assertNo(t, err)
	return l.Sum()
}

// counting does something before each call, with its number.
type counting struct {
	next   http.RoundTripper
	mu     sync.Mutex
	n      int
	before func(n int)
}

// RoundTrip implements http.RoundTripper.
func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.n++
	c.before(c.n)
	c.mu.Unlock()
	return c.next.RoundTrip(r)
}

// blow does the job in the storm, and judges it against the calm day.
func (c cell) blow(t *testing.T, calm []int) {
	a := prepare(t, c.kind, c.quota)
	if c.fault.Hang {
		a.runner.Gmail.Timeout = time.Second
	}
	first, last := (len(calm)-1)/4+1, (len(calm)-1)*6/10
	a.wire.next = &counting{next: a.wire.next, before: func(n int) {
		switch n {
		case first:
			c.begin(t, a, last-first+1)
		case last + 1:
			if c.calm != nil {
				c.calm(t, a)
			}
			a.google.Mark("over")
		}
	}}
	v := a.finished(t, a.submitJob(t))
	if c.action && v.State != sweep.Succeeded {
		require.Equal(t, sweep.MailboxNeedsReconnect, v.Error.Code)
		a.google.ClearFaults()
		a.reconnect(t)
		a.goOn(t, v)
		v = a.finished(t, a.submitJob(t))
	}
	a.judge(t, v)
	c.thrifty(t, a, calm, first, last)
}

// begin begins the storm, for so many calls.
func (c cell) begin(t *testing.T, a *act, calls int) {
	if c.once != nil {
		c.once(t, a)
	}
	if f := c.fault; f != (google.Fault{}) {
		if f.Times == 0 || f.Times > calls {
			f.Times = calls
		}
		a.google.Inject(f)
	}
}

// thrifty compares what the job spent after the storm with what was left of it: on a calm day after the same call, after the storm's first
// call where the storm brought nothing, or all of it where what was done has to be done again.
func (c cell) thrifty(t *testing.T, a *act, calm []int, first, last int) {
	t.Helper()
	spent, _, err := a.google.Since("over", a.email)
	if errors.Is(err, google.ErrUnknownMark) {
		t.Logf("%s: the job was over before the storm", c)
		return
	}
	require.NoError(t, err)
	all := calm[len(calm)-1]
	after, rest, more := spent.Sum(), all-calm[last], a.underWay()
	switch {
	case c.again != "":
		rest, more = all, more+2*a.listing
	case c.vain || c.action:
		rest = all - calm[first-1]
	}
	t.Logf("%s: calls %d to %d of %d; %d units after it, %d on a calm day: %.2f", c, first, last, len(calm)-1, after, rest, float64(after)/float64(max(1, rest)))
	require.LessOrEqual(t, float64(after), 1.1*float64(rest)+float64(more), c.again)
}

// underWay is what calls cost at most that were on their way when the weather ended.
func (a *act) underWay() int {
	if a.kind.Writes() {
		return inFlight * 50
	}
	return parallel * 20
}

// goOn is what the customer does after having connected anew: a run that ended early left the rest as a plan.
func (a *act) goOn(t *testing.T, v sweep.JobView) {
	if a.kind == sweep.Execute {
		a.plan = resultOf(t, v).RemainderPlanID
	}
}

// judge compares what the job told and did with the mailbox.
func (a *act) judge(t *testing.T, v sweep.JobView) {
	t.Helper()
	require.Equal(t, sweep.Succeeded, v.State, "%+v", v.Error)
	now := map[string]google.Message{}
	for _, m := range a.messages(t) {
		now[m.ID] = m
	}
	switch a.kind {
	case sweep.Analyze:
		var told sweep.Analysis
		require.NoError(t, json.Unmarshal(v.Result, &told))
		a.exactIsExact(t, told, false)
	case sweep.DryRun:
		a.judgePlan(t, v)
	case sweep.Execute:
		a.judgeRun(t, now)
	case sweep.Undo:
		for _, m := range a.mail {
			if is, there := now[m.ID]; there {
				require.Equal(t, plain(m), plain(is), m.ID)
			}
		}
		require.Zero(t, a.usage(t).Used)
	}
	for id, n := range a.changes(t) {
		require.LessOrEqual(t, n-a.changed[id], 1, "a message is changed once")
		require.True(t, a.kind.Writes() && slices.Contains(a.ids, id), "%s was changed", id)
	}
}

// plain are the labels of a message that nobody can delete.
func plain(m google.Message) []string {
	return slices.DeleteFunc(sorted(m.Labels), func(l string) bool { return strings.HasPrefix(l, "Label_") })
}

// judgePlan: a plan holds what a naive look finds before and after the job, and nothing that neither finds.
func (a *act) judgePlan(t *testing.T, v sweep.JobView) {
	t.Helper()
	var p sweep.DryRunResult
	require.NoError(t, json.Unmarshal(v.Result, &p))
	at := a.planned(t, p).MadeAt
	plan := map[string]bool{}
	for _, id := range a.members(t, p.CleanupPlanID) {
		plan[id] = true
	}
	before, after := a.unprotected(t, a.mail, at), a.unprotected(t, a.messages(t), at)
	require.NotEmpty(t, plan)
	for id := range plan {
		require.True(t, before[id] || after[id], "%s is in the plan", id)
	}
	for id := range after {
		require.True(t, plan[id] || !before[id], "%s is missing", id)
	}
}

// judgeRun: what of the plan still exists was changed, and nothing that was protected.
func (a *act) judgeRun(t *testing.T, now map[string]google.Message) {
	t.Helper()
	may := a.unprotected(t, a.mail, time.Now())
	changed := a.changes(t)
	for _, id := range a.ids {
		_, there := now[id]
		require.True(t, !there || changed[id] == 1, "%s is left", id)
		require.True(t, may[id], "%s was protected", id)
	}
	require.LessOrEqual(t, a.usage(t).Used, len(changed))
}

// unprotected are the messages of a list that the request's criteria and protections leave to be cleaned.
func (a *act) unprotected(t *testing.T, list []google.Message, at time.Time) map[string]bool {
	n := naive{now: at.UTC().Truncate(time.Second)}
	threads := map[string]bool{}
	for _, m := range list {
		threads[m.Thread] = threads[m.Thread] || labelled(m, "STARRED") || labelled(m, "SENT")
	}
	out := map[string]bool{}
	for _, m := range list {
		kept := slices.ContainsFunc(m.Labels, func(l string) bool {
			return strings.HasPrefix(l, "Label_") || slices.Contains([]string{"SENT", "DRAFT", "SPAM", "TRASH", "IMPORTANT"}, l)
		})
		if !kept && !threads[m.Thread] && m.Date.Before(n.now.AddDate(0, 0, -7)) && n.holds(a.asks.Spec.Criteria, m) {
			out[m.ID] = true
		}
	}
	return out
}

// Whatever ends a claim early in the middle of finding senders, no message is read again.
func TestAnAnalysisThatWaitsKeepsWhatItHasRead(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 200, Seed: 310})
	for nth := 50; nth <= 150; nth += 50 {
		c.google.Inject(google.Fault{Method: "messages.get", Status: 429, RetryAfter: 90 * time.Second, Nth: nth, Times: 1})
	}
	v, err := c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{}, cleanup.Idempotency{})
	require.NoError(t, err)
	c.run(t, c.take(t)[0])
	require.Equal(t, sweep.Waiting, c.job(t, v.ID).State)
	var a sweep.Analysis
	c.succeeded(t, v, &a)
	c.sendersEqual(t, a)
	l, err := c.google.Ledger(c.email)
	require.NoError(t, err)
	require.LessOrEqual(t, l.Calls["messages.get"], a.Messages+3*parallel)
}
