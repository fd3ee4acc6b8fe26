package cleanup_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/mail"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

func TestUndoRestoresEveryActionExactly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i, action := range []sweep.Action{sweep.Trash, sweep.Archive, sweep.MarkRead, sweep.AddLabel} {
		for _, expired := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, history expired %v", action, expired), func(t *testing.T) {
				t.Parallel()
				c := r.customer(t, fmt.Sprintf("box%d%v@gmail.example", i, expired), google.Generate{Messages: 900, Seed: uint64(50 + i)})
				before := c.digest(t)
				p := c.preview(t, wanted(t, action, `{"any":[{"category":"promotions"},{"category":"updates"}]}`))
				job, res := c.executed(t, p.CleanupPlanID)
				require.Positive(t, res.Cleaned)
				require.Equal(t, p.ToClean, res.Cleaned)
				require.NotEqual(t, before, c.digest(t))
				if expired {
					require.NoError(t, c.google.ExpireHistory(c.email))
				}
				undo := c.undone(t, job)
				require.Equal(t, res.Cleaned, undo.Restored)
				require.Zero(t, undo.AlreadyGone+undo.ChangedSince)
				require.Equal(t, before, c.digest(t))
				require.Zero(t, c.usage(t).Used)
				require.False(t, c.hasLabel(t, "Swept"), "a label of ours goes when it is empty")
				_, err := c.SubmitUndo(t.Context(), c.Actor, jobID(t, job), cleanup.Idempotency{})
				require.Equal(t, sweep.Conflict, sweep.CodeOf(err))
			})
		}
	}
}

func TestUndoIsSeenInTheIndexAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.customer(t, "seen@gmail.example", google.Generate{Messages: 900, Seed: 61})
	criteria, err := sweep.ParseCriteria([]byte(`{"category":"promotions"}`))
	require.NoError(t, err)
	count := func() int {
		n, err := c.Count(t.Context(), c.Actor.Customer, cleanup.Target{}, criteria)
		require.NoError(t, err)
		return n.Matched
	}
	p := c.preview(t, wanted(t, sweep.Trash, `{"category":"promotions"}`))
	before := count()
	job, res := c.executed(t, p.CleanupPlanID)
	require.Equal(t, before-res.Cleaned, count(), "what was trashed is not counted")
	c.undone(t, job)
	require.Equal(t, before, count())
}

func (c *customer) hasLabel(t *testing.T, name string) bool {
	t.Helper()
	labels, err := c.runner.Gmail.Open(c.grant(t), "another client").Labels(t.Context())
	require.NoError(t, err)
	for _, l := range labels {
		if l.Name == name {
			return true
		}
	}
	return false
}

func TestUndoLeavesAloneWhatSomebodyElseDecidedSince(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i, expired := range []bool{false, true} {
		t.Run(fmt.Sprintf("history expired %v", expired), func(t *testing.T) {
			t.Parallel()
			c := r.customer(t, fmt.Sprintf("box%d@gmail.example", i), google.Generate{Messages: 800, Seed: 61})
			p := c.preview(t, wanted(t, sweep.Archive, `{"category":"promotions"}`))
			plan := c.members(t, p.CleanupPlanID)
			job, res := c.executed(t, p.CleanupPlanID)
			c.relabel(t, plan[0], "INBOX")
			c.relabel(t, plan[1], "TRASH")
			c.relabel(t, plan[2], "SPAM")
			c.relabel(t, plan[3], "STARRED")
			require.NoError(t, c.google.Delete(c.email, plan[4:5]))
			if expired {
				require.NoError(t, c.google.ExpireHistory(c.email))
			}
			undo := c.undone(t, job)
			require.Equal(t, sweep.UndoResult{Restored: res.Cleaned - 4, ChangedSince: 3, AlreadyGone: 1, UnitsSpent: undo.UnitsSpent}, undo)
			require.NotContains(t, c.message(t, plan[1]).Labels, "INBOX")
			require.NotContains(t, c.message(t, plan[2]).Labels, "INBOX")
			require.Contains(t, c.message(t, plan[3]).Labels, "INBOX")
		})
	}
}

func TestALabelOfOursStaysWhileSomethingCarriesIt(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 300, Seed: 62})
	p := c.preview(t, wanted(t, sweep.AddLabel, `{"category":"promotions"}`))
	plan := c.members(t, p.CleanupPlanID)
	job, _ := c.executed(t, p.CleanupPlanID)
	var label string
	for _, l := range c.message(t, plan[0]).Labels {
		if len(l) > 6 && l[:6] == "Label_" {
			label = l
		}
	}
	ids, err := c.google.Deliver(c.email, google.Incoming{From: "new@fresh.example"})
	require.NoError(t, err)
	c.relabel(t, ids[0], label)
	c.undone(t, job)
	require.True(t, c.hasLabel(t, "Swept"))
	require.Contains(t, c.message(t, ids[0]).Labels, label)
	require.NotContains(t, c.message(t, plan[0]).Labels, label)
}

func TestALabelOfTheCustomersOwnIsNeverDeleted(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 300, Seed: 63})
	p := c.preview(t, wanted(t, sweep.AddLabel, `{"category":"promotions"}`))
	_, err := c.runner.Gmail.Open(c.grant(t), "another client").CreateLabel(t.Context(), "Swept")
	require.NoError(t, err)
	before := c.digest(t)
	job, _ := c.executed(t, p.CleanupPlanID)
	c.undone(t, job)
	require.Equal(t, before, c.digest(t))
	require.True(t, c.hasLabel(t, "Swept"), "the customer made it between preview and run")
}

func TestRunsAreUndoneNewestFirst(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 500, Seed: 64})
	before := c.digest(t)
	one, _ := c.executed(t, c.preview(t, wanted(t, sweep.MarkRead, `{"category":"promotions"}`)).CleanupPlanID)
	two, _ := c.executed(t, c.preview(t, wanted(t, sweep.Trash, `{"category":"promotions"}`)).CleanupPlanID)
	_, err := c.SubmitUndo(t.Context(), c.Actor, jobID(t, one), cleanup.Idempotency{})
	require.Equal(t, sweep.Conflict, sweep.CodeOf(err))
	c.undone(t, two)
	c.undone(t, one)
	require.Equal(t, before, c.digest(t))
	require.Zero(t, c.usage(t).Used)
}

func TestWhatDoesNotFitIsLeftAsAPlanAndBothPartsCanBeUndone(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 2600, Seed: 65})
	before := c.digest(t)
	c.onPlan(t, sweep.Free)
	p := c.preview(t, wanted(t, sweep.MarkRead, `{"unread":true}`))
	plan := c.members(t, p.CleanupPlanID)
	require.Greater(t, len(plan), 500)
	_, err := c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Plan: planID(t, p.CleanupPlanID)}, cleanup.Idempotency{})
	require.Equal(t, sweep.QuotaExceeded, sweep.CodeOf(err))
	v, err := c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Plan: planID(t, p.CleanupPlanID), Partial: true}, cleanup.Idempotency{})
	require.NoError(t, err)
	var res sweep.ExecuteResult
	c.succeeded(t, v, &res)
	require.Equal(t, 500, res.Cleaned)
	c.addsUp(t, res)
	require.Equal(t, plan[500:], c.members(t, res.RemainderPlanID), "oldest first, the rest in order")
	require.Equal(t, 1, c.posts.count(mail.QuotaWarning))
	c.onPlan(t, sweep.Pro)
	rest, second := c.executed(t, res.RemainderPlanID)
	require.Equal(t, len(plan)-500, second.Cleaned)
	require.Equal(t, len(plan), c.touchedAtMost(t, plan))
	c.undone(t, rest)
	c.undone(t, v.ID)
	require.Equal(t, before, c.digest(t))
	require.Zero(t, c.usage(t).Used)
}

func TestTrashAndSpamAreLookedIntoByName(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 400, Seed: 66})
	c.wire.next = strict{c.wire.next}
	p := c.preview(t, wanted(t, sweep.Trash, everything))
	ids := c.members(t, p.CleanupPlanID)
	c.relabel(t, ids[0], "TRASH")
	c.relabel(t, ids[1], "SPAM")
	require.NoError(t, c.google.ExpireHistory(c.email))
	before := c.digest(t)
	job, res := c.executed(t, p.CleanupPlanID)
	require.Equal(t, map[sweep.Reason]int{sweep.NoChange: 1, sweep.ProtectedSince: 1}, res.Skipped.ByReason)
	require.NoError(t, c.google.ExpireHistory(c.email))
	require.Equal(t, res.Cleaned, c.undone(t, job).Restored)
	require.Equal(t, before, c.digest(t))
}

func TestAnUndoThatFindsEverythingGoneDoesNotUseItselfUp(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 300, Seed: 67})
	job, res := c.executed(t, c.preview(t, wanted(t, sweep.Trash, `{"category":"promotions"}`)).CleanupPlanID)
	require.NoError(t, c.google.ExpireHistory(c.email))
	honest := c.wire.next
	c.wire.next = blind{honest}
	require.Equal(t, res.Cleaned, c.undone(t, job).AlreadyGone)
	c.wire.next = honest
	require.Equal(t, res.Cleaned, c.undone(t, job).Restored)
	_, err := c.SubmitUndo(t.Context(), c.Actor, jobID(t, job), cleanup.Idempotency{})
	require.Equal(t, sweep.Conflict, sweep.CodeOf(err))
}
