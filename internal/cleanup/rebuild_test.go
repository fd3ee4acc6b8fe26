package cleanup_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// budget sets what an analysis may spend, whatever the plan says.
func (c *customer) budget(units int) {
	plan := c.Plans[sweep.Pro]
	plan.AnalysisUnits, plan.FullPerDay = units, 100
	c.Plans[sweep.Pro] = plan
	c.runner.Plans[sweep.Pro] = plan
}

func TestAPlanByASenderOutlivesItsHistory(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 1200, Seed: 221})
	c.budget(8_000)
	a := c.analyzed(t)
	p := c.preview(t, wanted(t, sweep.Trash, `{"from":"`+a.Senders[0].Address+`"}`))
	plan := c.members(t, p.CleanupPlanID)
	require.Greater(t, len(plan), 50)
	ids := c.lone(t, plan, 1)
	require.NoError(t, c.google.Delete(c.email, ids))
	require.NoError(t, c.google.ExpireHistory(c.email))
	_, res := c.executed(t, p.CleanupPlanID)
	require.Equal(t, 1, res.AlreadyGone)
	require.Equal(t, len(plan)-1, res.Cleaned, "%+v", res)
	require.Equal(t, a.SendersTotal-1, c.analyzed(t).SendersTotal, "all but the one whose mail is gone")
}

func TestWhoSentWhatIsFoundOutOnceThoughHistoryExpires(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 600, Seed: 222})
	first := c.analyzed(t)
	c.sendersEqual(t, first)
	require.NoError(t, c.google.ExpireHistory(c.email))
	a := c.analyzed(t)
	c.equalsFacts(t, a)
	c.sendersEqual(t, a)
	require.LessOrEqual(t, a.UnitsSpent, first.UnitsSpent-int64(a.Messages)*20+20, "no message is read again")
}

// forgotten are the ways in which a mailbox's index can be missing when a plan is executed.
var forgotten = map[string]func(*testing.T, *customer){
	"no index": func(t *testing.T, c *customer) {
		c.exec(t, "DELETE FROM mailbox_indexes WHERE customer_id = $1", c.Customer.String())
	},
	"an index of another program": func(t *testing.T, c *customer) {
		require.NoError(t, cleanup.SaveForeign(t.Context(), c.Service, c.runner, c.Customer, c.mailbox))
	},
}

// Who sent a message never changes: what all of a plan met by its sender it meets still, whatever the index knows. What may change is asked
// anew, and protects.
func TestAPlanByASenderOutlivesItsIndex(t *testing.T) {
	t.Parallel()
	for name, forget := range forgotten {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 1200, Seed: 223})
			c.budget(8_000)
			a := c.analyzed(t)
			r := protected(t, sweep.MarkRead, `{"all":[{"from":"`+a.Senders[0].Address+`"},{"unread":true}]}`)
			plan := c.members(t, c.preview(t, r).CleanupPlanID)
			require.Greater(t, len(plan), 20)
			p := c.preview(t, r)
			lone := c.lone(t, plan, 2)
			require.NoError(t, c.google.Relabel(c.email, lone[:1], []string{"STARRED"}, nil))
			require.NoError(t, c.google.Relabel(c.email, lone[1:], nil, []string{"UNREAD"}))
			forget(t, c)
			_, res := c.executed(t, p.CleanupPlanID)
			require.Equal(t, len(plan)-2, res.Cleaned, "%+v", res)
			require.Equal(t, map[sweep.Reason]int{sweep.ProtectedSince: 1, sweep.NoChange: 1}, res.Skipped.ByReason)
			again := c.analyzed(t)
			require.Equal(t, a.Messages, again.Messages)
			require.Len(t, c.allSenders(t), again.SendersTotal)
		})
	}
}

// Where it cannot be told what of a plan is still meant, that is left and said, not skipped as if it did not match any more.
func TestWhatCannotBeToldOfAPlanWithoutItsIndexIsLeft(t *testing.T) {
	t.Parallel()
	for name, forget := range forgotten {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 1200, Seed: 224})
			c.budget(8_000)
			c.analyzed(t)
			list := c.messages(t)
			from := list[slices.IndexFunc(list, func(m google.Message) bool { return labelled(m, "CATEGORY_UPDATES") && labelled(m, sweep.LabelInbox) })].From
			p := c.preview(t, wanted(t, sweep.Trash, `{"any":[{"category":"promotions"},{"all":[{"from":"`+from+`"},{"in":"anywhere"}]}]}`))
			forget(t, c)
			v := c.finished(t, c.submit(t, p.CleanupPlanID))
			require.Equal(t, sweep.Failed, v.State)
			require.Equal(t, sweep.PlanExpired, v.Error.Code)
			var res sweep.ExecuteResult
			require.NoError(t, json.Unmarshal(v.Result, &res))
			require.Empty(t, res.Skipped.ByReason, "%+v", res)
			require.Positive(t, res.Cleaned, "promotions can be told")
			left := c.members(t, res.RemainderPlanID)
			require.Len(t, left, p.ToClean-res.Cleaned)
			require.NotEmpty(t, left)

			r := wanted(t, sweep.Trash, `{"category":"updates"}`)
			r.Spec.KeepNewestPerSender = 1
			c.analyzed(t)
			p = c.preview(t, r)
			require.Positive(t, p.ToClean)
			forget(t, c)
			v = c.finished(t, c.submit(t, p.CleanupPlanID))
			require.Equal(t, sweep.PlanExpired, v.Error.Code, "without senders nobody's newest can be kept")
			require.Equal(t, "open", c.planned(t, p).State)
		})
	}
}
