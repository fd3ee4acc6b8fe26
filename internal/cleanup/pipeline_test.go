package cleanup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// Whatever protects a message and arrives between the look and the call, the message ends as its owner left it.
func TestEveryProtectionHoldsThatArrivesBetweenTheLookAndTheCall(t *testing.T) {
	t.Parallel()
	for i, action := range []sweep.Action{sweep.Trash, sweep.Archive, sweep.MarkRead, sweep.AddLabel} {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			c := newRig(t).customer(t, string(action)+"@gmail.example", google.Generate{Messages: 900, Seed: uint64(130 + i)})
			p := c.preview(t, protected(t, action, `{"all":[{"in":"inbox"},{"unread":true}]}`))
			ids := c.lone(t, c.members(t, p.CleanupPlanID), 9)
			label := c.userLabel(t)
			want := map[string][]string{}
			c.wire.at(stop{path: "/messages/batchModify", before: func() {
				c.relabel(t, ids[0], "STARRED")
				c.relabel(t, ids[1], "IMPORTANT")
				c.relabel(t, ids[2], label)
				c.relabel(t, ids[3], "SPAM", "-INBOX")
				c.inThread(t, ids[4], "SENT")
				c.inThread(t, ids[5], "INBOX", "STARRED")
				c.relabel(t, ids[6], "IMPORTANT")
				c.relabel(t, ids[6], "-IMPORTANT")
				c.inThread(t, ids[7], "INBOX")
				for _, id := range ids[:6] {
					want[id] = sorted(c.message(t, id).Labels)
				}
			}})
			job, res := c.executed(t, p.CleanupPlanID)
			for i, id := range ids[:6] {
				require.Equal(t, want[id], sorted(c.message(t, id).Labels), "message %d", i)
			}
			late := 6
			if action == sweep.Archive {
				late = 5 // spam is not in the inbox: there was nothing to change
			}
			require.Equal(t, late, res.Skipped.ByReason[sweep.ProtectedLate])
			require.Equal(t, res.Planned-6, res.Cleaned)
			c.addsUp(t, res)
			require.Equal(t, res.Cleaned, c.undone(t, job).Restored)
			require.Zero(t, c.usage(t).Used)
		})
	}
}

// inThread is new mail in the thread of a message.
func (c *customer) inThread(t *testing.T, id string, labels ...string) {
	t.Helper()
	_, err := c.google.Deliver(c.email, google.Incoming{From: c.email, Labels: labels, Thread: c.message(t, id).Thread})
	require.NoError(t, err)
}

func TestNoBatchLeavesOnAnOldLook(t *testing.T) {
	t.Parallel()
	require.True(t, cleanup.FreshLook(0, 0))
	require.True(t, cleanup.FreshLook(9*time.Second, 9_999))
	require.False(t, cleanup.FreshLook(11*time.Second, 0))
	require.False(t, cleanup.FreshLook(0, 10_000))
}

// The history of a run is read once: its own changes, beside a page for each look.
func TestTheHistoryOfARunIsReadOnce(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 9000, Seed: 143})
	p := c.preview(t, wanted(t, sweep.Trash, everything))
	plan := c.members(t, p.CleanupPlanID)
	require.Greater(t, len(plan), 7*sweep.BatchSize, "a look comes in the middle")
	before := c.unitsCharged(t)
	_, res := c.executed(t, p.CleanupPlanID)
	require.Equal(t, len(plan), res.Proof.Confirmed)
	batches, pages := (len(plan)+sweep.BatchSize-1)/sweep.BatchSize, (len(plan)+499)/500
	require.LessOrEqual(t, c.unitsCharged(t)-before, batches*50+(pages+4)*2)
	require.EqualValues(t, c.unitsCharged(t)-before, res.UnitsSpent)
}

func TestWhatSomebodyChangedBackDuringTheRunIsLeftAloneByItsUndo(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 500, Seed: 141})
	p := c.preview(t, wanted(t, sweep.Trash, `{"in":"inbox"}`))
	back := c.lone(t, c.members(t, p.CleanupPlanID), 1)[0]
	c.wire.at(stop{path: "/messages/batchModify", after: func() { c.relabel(t, back, "-TRASH") }})
	job, res := c.executed(t, p.CleanupPlanID)
	require.Equal(t, p.ToClean, res.Cleaned)
	undo := c.undone(t, job)
	require.Equal(t, sweep.UndoResult{Restored: res.Cleaned - 1, ChangedSince: 1, UnitsSpent: undo.UnitsSpent}, undo)
	require.NotContains(t, c.message(t, back).Labels, "INBOX", "its owner archived it")
}

func TestAHalfDoneBatchOfACanceledRunLeavesItsOtherHalf(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 500, Seed: 142})
	p := c.preview(t, wanted(t, sweep.Trash, everything))
	plan := c.members(t, p.CleanupPlanID)
	half, gone := plan[:len(plan)/2], plan[len(plan)-1:]
	c.google.Inject(google.Fault{Method: "messages.batchModify", Status: 503, HTML503: true, Probability: 1})
	c.wire.at(stop{path: "/messages/batchModify", before: func() {
		require.NoError(t, c.google.Relabel(c.email, half, []string{"TRASH"}, []string{"INBOX"}))
		require.NoError(t, c.google.Delete(c.email, gone))
	}})
	run := c.submit(t, p.CleanupPlanID)
	c.run(t, c.take(t)[0])
	require.Equal(t, sweep.Waiting, c.job(t, run.ID).State)
	_, err := c.Cancel(t.Context(), c.Actor, jobID(t, run.ID))
	require.NoError(t, err)
	c.google.ClearFaults()
	c.due(t)
	run = c.finished(t, run)
	require.Equal(t, sweep.Canceled, run.State)
	res := resultOf(t, run)
	require.Equal(t, []int{len(half), 1}, []int{res.Cleaned, res.AlreadyGone})
	require.Equal(t, plan[len(half):len(plan)-1], c.members(t, res.RemainderPlanID))
	c.addsUp(t, res)
	require.Equal(t, len(half), c.undone(t, run.ID).Restored)
	require.Zero(t, c.usage(t).Used)
}

func TestALabelDeletedUnderARunEndsItWithARemainder(t *testing.T) {
	t.Parallel()
	c, p, plan := prepared(t, sweep.AddLabel)
	other := c.runner.Gmail.Open(c.grant(t), "another client")
	require.Greater(t, len(plan), 4*sweep.BatchSize)
	run := c.submit(t, p.CleanupPlanID)
	c.wire.at(stop{path: "/messages/batchModify", n: 5, before: func() {
		labels, err := other.Labels(t.Context())
		require.NoError(t, err)
		for _, l := range labels {
			if l.Name == "Swept" {
				require.NoError(t, other.DeleteLabel(t.Context(), l.ID))
			}
		}
	}})
	run = c.finished(t, run)
	require.Equal(t, sweep.Failed, run.State)
	require.Equal(t, sweep.Conflict, run.Error.Code)
	res := resultOf(t, run)
	require.NotEmpty(t, res.RemainderPlanID)
	c.addsUp(t, res)
	rest, second := c.executed(t, res.RemainderPlanID)
	require.Equal(t, len(plan), res.Cleaned+second.Cleaned)
	require.True(t, c.hasLabel(t, "Swept"))
	c.undone(t, rest)
}
