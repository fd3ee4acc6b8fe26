package cleanup_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/mail"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// prepared is a customer with a frozen plan of several batches.
func prepared(t *testing.T, action sweep.Action) (c *customer, p sweep.DryRunResult, plan []string) {
	t.Helper()
	c = newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 5000, Seed: 81})
	p = c.preview(t, wanted(t, action, everything))
	plan = c.members(t, p.CleanupPlanID)
	require.Greater(t, len(plan), 1500)
	return c, p, plan
}

func TestARunCanceledInTheMiddleLeavesARemainderAndCanBeUndone(t *testing.T) {
	t.Parallel()
	c, p, plan := prepared(t, sweep.Trash)
	before := c.digest(t)
	v := c.submit(t, p.CleanupPlanID)
	require.Greater(t, len(plan), 4*sweep.BatchSize, "one more batch than is in flight")
	for n := 1; n <= 4; n++ {
		c.wire.at(stop{path: "/messages/batchModify", n: n, before: func() {
			_, err := c.Cancel(context.Background(), c.Actor, jobID(t, v.ID))
			require.NoError(t, err)
			c.heard(t, v.ID)
		}})
	}
	v = c.finished(t, v)
	require.Equal(t, sweep.Canceled, v.State)
	res := resultOf(t, v)
	require.Positive(t, res.Cleaned)
	require.Less(t, res.Cleaned, len(plan))
	require.NotEmpty(t, res.RemainderPlanID)
	c.addsUp(t, res)
	require.Equal(t, res.Cleaned, c.touchedAtMost(t, plan))
	_, err := c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Plan: planID(t, p.CleanupPlanID)}, cleanup.Idempotency{})
	require.Equal(t, sweep.AlreadyExecuted, sweep.CodeOf(err), "the plan is consumed: its rest is another")
	rest, second := c.executed(t, res.RemainderPlanID)
	require.Equal(t, len(plan)-res.Cleaned, second.Cleaned)
	require.Equal(t, len(plan), c.touchedAtMost(t, plan))
	c.undone(t, rest)
	c.undone(t, v.ID)
	require.Equal(t, before, c.digest(t))
	require.Zero(t, c.usage(t).Used)
}

func TestARunCanceledBeforeAnyChangeGivesItsPlanBack(t *testing.T) {
	t.Parallel()
	c, p, plan := prepared(t, sweep.Archive)
	v := c.submit(t, p.CleanupPlanID)
	require.Equal(t, len(plan), c.usage(t).Reserved)
	c.wire.at(stop{path: "/history", before: func() {
		_, err := c.Cancel(context.Background(), c.Actor, jobID(t, v.ID))
		require.NoError(t, err)
		c.heard(t, v.ID)
	}})
	require.Equal(t, sweep.Canceled, c.finished(t, v).State)
	require.Zero(t, c.usage(t).Reserved)
	queued := c.submit(t, p.CleanupPlanID)
	canceled, err := c.Cancel(t.Context(), c.Actor, jobID(t, queued.ID))
	require.NoError(t, err)
	require.Equal(t, sweep.Canceled, canceled.State)
	require.Zero(t, c.usage(t).Reserved)
	_, res := c.executed(t, p.CleanupPlanID)
	require.Equal(t, len(plan), res.Cleaned)
}

// reconnect is the customer's new consent.
func (c *customer) reconnect(t *testing.T) {
	t.Helper()
	var account []byte
	require.NoError(t, c.root.QueryRow(t.Context(), "SELECT account FROM mailboxes WHERE id = $1", c.mailbox.String()).Scan(&account))
	c.consent(t, account)
}

func TestAConsentRevokedInTheMiddleEndsTheRunAndReconnectingFinishesIt(t *testing.T) {
	t.Parallel()
	for name, parked := range map[string]bool{"at work": false, "while parked": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p, plan := prepared(t, sweep.Trash)
			before := c.digest(t)
			v := c.submit(t, p.CleanupPlanID)
			if parked {
				c.wire.at(stop{path: "/messages/batchModify", after: func() {
					c.google.Inject(google.Fault{Method: "messages.batchModify", Status: 429, RetryAfter: 200 * time.Second, Times: 6})
				}})
				c.run(t, c.take(t)[0])
				require.Equal(t, sweep.Waiting, c.job(t, v.ID).State)
				require.NoError(t, c.google.Revoke(c.email))
				c.exec(t, "UPDATE mailboxes SET state = 'needs_reconnect' WHERE id = $1", c.mailbox.String()) // another job found out, and told
			} else {
				c.wire.at(stop{path: "/messages/batchModify", after: func() { require.NoError(t, c.google.Revoke(c.email)) }})
			}
			v = c.finished(t, v)
			require.Equal(t, sweep.Failed, v.State)
			require.Equal(t, sweep.MailboxNeedsReconnect, v.Error.Code)
			res := resultOf(t, v)
			require.Positive(t, res.Cleaned)
			require.NotEmpty(t, res.RemainderPlanID)
			c.addsUp(t, res)
			require.LessOrEqual(t, res.Cleaned, c.touchedAtMost(t, plan), "what nobody answered is not charged")
			require.Equal(t, !parked, c.posts.count(mail.NeedsReconnect) == 1, "one mail")
			_, err := c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Plan: planID(t, res.RemainderPlanID)}, cleanup.Idempotency{})
			require.Equal(t, sweep.MailboxNeedsReconnect, sweep.CodeOf(err))
			c.reconnect(t)
			rest, second := c.executed(t, res.RemainderPlanID)
			require.Equal(t, len(plan), c.touchedAtMost(t, plan))
			require.LessOrEqual(t, res.Cleaned+second.Cleaned, len(plan))
			c.undone(t, rest)
			c.undone(t, v.ID)
			require.Equal(t, before, c.digest(t))
			require.Zero(t, c.usage(t).Used)
		})
	}
}

// Google tells us, before Gmail refuses anything: what is on its way is answered, and no other call is made.
func TestAConsentThatGoogleSaysIsGoneEndsTheRunLikeARefusedOne(t *testing.T) {
	t.Parallel()
	c, p, plan := prepared(t, sweep.Trash)
	v := c.submit(t, p.CleanupPlanID)
	require.Greater(t, len(plan), 4*sweep.BatchSize, "one more batch than is in flight")
	var once sync.Mutex // there is one connection to ask by
	told := false
	for n := 1; n <= 4; n++ {
		c.wire.at(stop{path: "/messages/batchModify", n: n, before: func() {
			once.Lock()
			defer once.Unlock()
			if told {
				return
			}
			told = true
			c.exec(t, "UPDATE mailboxes SET state = 'needs_reconnect' WHERE id = $1", c.mailbox.String())
			c.renewedTwice(t, v.ID)
		}})
	}
	v = c.finished(t, v)
	require.Equal(t, sweep.Failed, v.State)
	require.Equal(t, sweep.MailboxNeedsReconnect, v.Error.Code)
	res := resultOf(t, v)
	require.NotEmpty(t, res.RemainderPlanID)
	require.LessOrEqual(t, c.touchedAtMost(t, plan), 4*sweep.BatchSize)
	require.Zero(t, c.posts.count(mail.NeedsReconnect), "whoever heard of it told the owner")
	c.reconnect(t)
	c.executed(t, res.RemainderPlanID)
	require.Equal(t, len(plan), c.touchedAtMost(t, plan))
}

// renewedTwice waits until the lease of a running job was renewed twice: by then the work was told what the first renewal learned.
func (c *customer) renewedTwice(t *testing.T, job string) {
	was, changes := 0, -1
	testkit.Eventually(t, time.Minute, func() bool {
		c.runner.Nudge(sweep.ID{})
		until := c.count(t, "SELECT coalesce(extract(epoch FROM lease_until) * 1000, 0)::bigint FROM jobs WHERE id = $1", jobID(t, job).String())
		if until != was {
			was, changes = until, changes+1
		}
		return changes >= 2
	}, "two renewals of the lease")
}

func TestTroubleAtGmailDelaysARunAndChangesNothingTwice(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]google.Fault{
		"a storm of refusals":      {{Status: 429, Probability: 0.3, Times: 30}, {Status: 403, Reason: "rateLimitExceeded", Probability: 0.3, Times: 30}},
		"503, and a token refused": {{Status: 503, Times: 3}, {Method: "history.list", HTML503: true, Times: 2}, {Method: "messages.batchModify", Status: 401, Nth: 2, Times: 1}},
		"reset after effect":       {{Method: "messages.batchModify", ResetAfterEffect: true, Times: 3}},
		"half an answer":           {{TruncateJSON: true, Times: 4}, {Method: "messages.batchModify", ResetBefore: true, Times: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p, plan := prepared(t, sweep.Trash)
			before := c.digest(t)
			for _, f := range faults {
				c.google.Inject(f)
			}
			job, res := c.executed(t, p.CleanupPlanID)
			require.Equal(t, len(plan), res.Cleaned)
			require.Equal(t, len(plan), res.Proof.Confirmed)
			require.Equal(t, len(plan), c.touchedAtMost(t, plan))
			require.Equal(t, len(plan), c.ledger(t, job))
			c.addsUp(t, res)
			c.google.ClearFaults()
			for _, f := range faults {
				c.google.Inject(f)
			}
			c.undone(t, job)
			require.Equal(t, before, c.digest(t))
			require.Zero(t, c.usage(t).Used)
		})
	}
}

func TestAWaitLongerThanPatienceFreesTheWorkerAndTheRunGoesOn(t *testing.T) {
	t.Parallel()
	c, p, plan := prepared(t, sweep.Trash)
	c.google.Inject(google.Fault{Method: "messages.batchModify", Status: 429, RetryAfter: 90 * time.Second, Nth: 3, Times: 1})
	v := c.submit(t, p.CleanupPlanID)
	c.run(t, c.take(t)[0])
	waiting := c.job(t, v.ID)
	require.Equal(t, sweep.Waiting, waiting.State)
	require.NotNil(t, waiting.WaitingUntil)
	charged, told := c.unitsCharged(t), c.count(t, "SELECT coalesce(sum(units), 0) FROM jobs")
	require.GreaterOrEqual(t, told, charged, "whoever waits has said what was spent")
	require.Less(t, told-charged, 20, "a look that was given up on a busy machine may not have come as far as Gmail; a change is awaited")
	require.Positive(t, c.usage(t).Reserved, "a waiting run keeps its reservation")
	var res sweep.ExecuteResult
	c.succeeded(t, v, &res)
	require.Equal(t, len(plan), res.Cleaned)
	require.Equal(t, len(plan), c.touchedAtMost(t, plan))
	c.addsUp(t, res)
}

// An outage is counted from its first claim without an answer, whatever the job's age; what got on or was asked for anew begins anew.
func TestAnOutageIsGivenUpOnlyWhenItHasLastedTooLong(t *testing.T) {
	t.Parallel()
	c, run, _ := ready(t, 109)
	is := func(state sweep.JobState, why string) {
		t.Helper()
		c.due(t)
		c.run(t, c.take(t)[0])
		v := c.job(t, run.ID)
		require.Equal(t, state, v.State, "%s: %+v", why, v.Error)
	}
	long := func() {
		t.Helper()
		c.due(t)
		c.exec(t, "UPDATE jobs SET away_since = run_at - interval '25 hours'")
	}
	c.exec(t, "UPDATE jobs SET created_at = created_at - interval '25 hours'")
	c.google.Inject(google.Fault{Method: "history.list", Status: 503, HTML503: true, Probability: 1})
	is(sweep.Waiting, "the job is old, the outage is not")
	is(sweep.Waiting, "nor is it at the second try")
	long()
	_, err := c.Pause(t.Context(), c.Actor, jobID(t, run.ID))
	require.NoError(t, err)
	_, err = c.Resume(t.Context(), c.Actor, jobID(t, run.ID))
	require.NoError(t, err)
	is(sweep.Waiting, "the customer lets it go on")
	long()
	is(sweep.Failed, "an outage of a day")
	require.Equal(t, sweep.Unavailable, c.job(t, run.ID).Error.Code)
	require.NoError(t, c.DB.Tenant(t.Context(), c.Customer, func(tx *store.Tx) error { return tx.Rerun(jobID(t, run.ID), 100_000) }))
	is(sweep.Waiting, "an operator lets it go on")
	long()
	c.google.ClearFaults()
	c.wire.at(stop{path: "/messages/batchModify", after: func() {
		testkit.Eventually(t, 10*time.Second, func() bool { return c.ledger(t, run.ID) > 0 }, "another batch is settled")
		c.google.Inject(google.Fault{Status: 503, HTML503: true, Probability: 1})
	}})
	is(sweep.Waiting, "it got on")
	is(sweep.Waiting, "and the outage is counted from there")
	c.google.ClearFaults()
	require.Equal(t, sweep.Succeeded, c.finished(t, run).State)
}

func TestAnOutageAtGmailIsWaitedForAndTheRunGoesOn(t *testing.T) {
	t.Parallel()
	c, p, plan := prepared(t, sweep.Trash)
	before := c.digest(t)
	c.google.Inject(google.Fault{Method: "messages.batchModify", Status: 503, HTML503: true, Probability: 1})
	v := c.submit(t, p.CleanupPlanID)
	c.run(t, c.take(t)[0])
	waiting := c.job(t, v.ID)
	require.Equal(t, sweep.Waiting, waiting.State, "%+v", waiting.Error)
	require.Positive(t, c.usage(t).Reserved, "a waiting run keeps its reservation")
	c.google.ClearFaults()
	var res sweep.ExecuteResult
	c.succeeded(t, v, &res)
	require.Equal(t, len(plan), res.Cleaned)
	require.Equal(t, len(plan), c.touchedAtMost(t, plan))
	c.undone(t, v.ID)
	require.Equal(t, before, c.digest(t))
}

// unitsCharged is what Gmail has charged the mailbox.
func (c *customer) unitsCharged(t *testing.T) (sum int) {
	t.Helper()
	l, err := c.google.Ledger(c.email)
	require.NoError(t, err)
	for _, units := range l.Units {
		sum += units
	}
	return sum
}
