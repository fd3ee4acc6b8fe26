package cleanup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// lone picks messages of a plan that are alone in their thread.
func (c *customer) lone(t *testing.T, plan []string, n int) (ids []string) {
	t.Helper()
	threads := map[string]int{}
	thread := map[string]string{}
	for _, m := range c.messages(t) {
		threads[m.Thread]++
		thread[m.ID] = m.Thread
	}
	for _, id := range plan {
		if threads[thread[id]] == 1 && len(ids) < n {
			ids = append(ids, id)
		}
	}
	require.Len(t, ids, n)
	return ids
}

func TestWhatWasTouchedSinceTheFreezeIsSkippedAndSaysWhy(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 1500, Seed: 41})
	p := c.preview(t, protected(t, sweep.Archive, `{"all":[{"category":"promotions"},{"older_than_days":30}]}`))
	plan := c.members(t, p.CleanupPlanID)
	ids := c.lone(t, plan, 10)
	existing := c.userLabel(t)
	made, err := c.runner.Gmail.Open(c.grant(t), "another client").CreateLabel(t.Context(), "Made since")
	require.NoError(t, err)
	reasons := map[sweep.Reason]int{}
	since := func(i int, reason sweep.Reason, labels ...string) {
		c.relabel(t, ids[i], labels...)
		reasons[reason]++
	}
	since(0, sweep.ProtectedSince, "STARRED")
	since(1, sweep.ProtectedSince, "IMPORTANT")
	since(2, sweep.ProtectedSince, existing)
	since(3, sweep.ProtectedSince, made.ID)
	since(4, sweep.NoChange, "-INBOX")
	since(5, sweep.NoLongerMatches, "-CATEGORY_PROMOTIONS", "CATEGORY_UPDATES")
	since(6, sweep.ProtectedSince, "TRASH", "-INBOX")
	since(7, sweep.ProtectedSince, "SPAM", "-INBOX")
	_, err = c.google.Deliver(c.email, google.Incoming{From: c.email, Labels: []string{"SENT"}, Thread: c.message(t, ids[8]).Thread})
	require.NoError(t, err)
	reasons[sweep.ProtectedSince]++
	require.NoError(t, c.google.Delete(c.email, ids[9:]))
	late, err := c.google.Deliver(c.email, google.Incoming{From: "shop@late.example", Labels: []string{"INBOX", "CATEGORY_PROMOTIONS"}, Date: c.message(t, ids[0]).Date})
	require.NoError(t, err)

	job, res := c.executed(t, p.CleanupPlanID)
	require.Equal(t, reasons, res.Skipped.ByReason)
	require.Equal(t, 1, res.AlreadyGone)
	require.Equal(t, len(plan)-10, res.Cleaned)
	require.Equal(t, res.Cleaned, c.touchedAtMost(t, plan))
	c.addsUp(t, res)
	for _, id := range append(ids[:9:9], late...) {
		require.NotContains(t, c.changes(t), id)
	}
	require.Contains(t, c.message(t, late[0]).Labels, "INBOX")
	require.Equal(t, len(plan)-10, c.undone(t, job).Restored)
	require.Zero(t, c.usage(t).Used)
}

func (c *customer) userLabel(t *testing.T) string {
	t.Helper()
	labels, err := c.runner.Gmail.Open(c.grant(t), "another client").Labels(t.Context())
	require.NoError(t, err)
	for _, l := range labels {
		if !l.System {
			return l.ID
		}
	}
	require.Fail(t, "no user label")
	return ""
}

// grant is a consent that the customer gave to another client.
func (c *customer) grant(t *testing.T) string {
	t.Helper()
	granted, err := c.google.Grant(c.email, google.ScopeModify)
	require.NoError(t, err)
	return granted.Refresh
}

func TestTheKeepListCountsAsOfTheRun(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 500, Seed: 42})
	c.analyzed(t)
	p := c.preview(t, protected(t, sweep.Trash, `{"category":"promotions"}`))
	require.NotEmpty(t, p.BySender)
	kept := p.BySender[0]
	c.exec(t, "INSERT INTO keep_list (customer_id, entry, created_at) VALUES ($1, $2, now())", c.Customer.String(), kept.Address)
	_, res := c.executed(t, p.CleanupPlanID)
	require.Equal(t, map[sweep.Reason]int{sweep.ProtectedSince: kept.Messages}, res.Skipped.ByReason)
	c.addsUp(t, res)
	for id := range c.changes(t) {
		require.NotEqual(t, kept.Address, c.message(t, id).From)
	}
}

func TestAgesAreFixedAtTheFreeze(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 600, Seed: 43})
	_, err := c.google.Deliver(c.email, google.Incoming{From: "old@shop.example", Date: time.Now().AddDate(0, 0, -397)})
	require.NoError(t, err)
	p := c.preview(t, wanted(t, sweep.MarkRead, `{"newer_than_days":400}`))
	for _, id := range c.members(t, p.CleanupPlanID) {
		c.relabel(t, id, "IMPORTANT") // so that each is looked at again
	}
	c.runner.DB = open(t, c.url("mailsweep_worker"), 6*24*time.Hour)
	_, res := c.executed(t, p.CleanupPlanID)
	require.Equal(t, p.ToClean, res.Cleaned)
}

func TestHistoryThatExpiredSinceTheFreezeIsReplacedByAListing(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 1200, Seed: 44})
	before := c.digest(t)
	p := c.preview(t, protected(t, sweep.Trash, `{"category":"promotions"}`))
	plan := c.members(t, p.CleanupPlanID)
	ids := c.lone(t, plan, 3)
	c.relabel(t, ids[0], "STARRED")
	c.relabel(t, ids[1], "TRASH", "-INBOX")
	require.NoError(t, c.google.Delete(c.email, ids[2:]))
	require.NoError(t, c.google.ExpireHistory(c.email))
	after := c.digest(t)
	job, res := c.executed(t, p.CleanupPlanID)
	require.Equal(t, 1, res.Skipped.ByReason[sweep.ProtectedSince], "%+v", res)
	require.Equal(t, 1, res.Skipped.ByReason[sweep.NoChange], "%+v", res)
	require.Equal(t, 1, res.AlreadyGone)
	require.Equal(t, len(plan)-3, res.Cleaned)
	require.Equal(t, res.Cleaned, c.touchedAtMost(t, plan))
	c.addsUp(t, res)
	c.undone(t, job)
	require.Equal(t, after, c.digest(t))
	require.NotEqual(t, before, after)
}

func TestWhatHappenedBetweenTheLookAndTheCallIsToldByTheProof(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 500, Seed: 45})
	r := wanted(t, sweep.Archive, everything)
	r.Spec.Protect.Starred = true
	p := c.preview(t, r)
	plan := c.lone(t, c.members(t, p.CleanupPlanID), 2)
	c.wire.at(stop{path: "/messages/batchModify", before: func() {
		c.relabel(t, plan[0], "STARRED")
		require.NoError(t, c.google.Delete(c.email, plan[1:]))
	}})
	job, res := c.executed(t, p.CleanupPlanID)
	require.Equal(t, map[sweep.Reason]int{sweep.ProtectedLate: 1}, res.Skipped.ByReason)
	require.Equal(t, 1, res.AlreadyGone)
	require.Equal(t, res.Planned-2, res.Cleaned)
	require.Equal(t, res.Cleaned, res.Proof.Confirmed)
	c.addsUp(t, res)
	require.Contains(t, c.message(t, plan[0]).Labels, "INBOX", "put back")
	require.Equal(t, res.Cleaned, c.undone(t, job).Restored)
	require.Zero(t, c.usage(t).Used)
}
