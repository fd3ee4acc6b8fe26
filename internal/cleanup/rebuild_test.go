package cleanup_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// budget sets what an analysis may spend, whatever the plan says.
func (c *customer) budget(units int) {
	plan := c.Plans[sweep.Pro]
	plan.AnalysisUnits = units
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
