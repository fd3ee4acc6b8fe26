package cleanup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// What the analyses of a mailbox may spend on senders in a day is bounded; what they count stays as exact as ever.
func TestAnalysesOfADayHaveABudgetTogether(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 4000, Senders: 400, Seed: 294})
	c.onPlan(t, sweep.Free)
	first := c.analyzed(t)
	require.Greater(t, first.UnitsSpent, int64(4_500))
	for range 2 {
		again := c.analyzed(t)
		c.equalsFacts(t, again)
		require.LessOrEqual(t, again.UnitsSpent, int64(10))
		require.InDelta(t, first.AttributedPercent, again.AttributedPercent, 0.01)
	}
	c.runner.DB = open(t, c.url("mailsweep_worker"), 25*time.Hour)
	next := c.analyzed(t)
	require.Greater(t, next.UnitsSpent, int64(50))
	require.Greater(t, next.AttributedPercent, first.AttributedPercent)
	require.LessOrEqual(t, next.UnitsSpent, int64(5_000))
}

// A preview reads and lists within a budget. What that does not cover is undetermined: it is neither acted on nor called unmatched.
func TestAPreviewHasABudget(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 1_500, Seed: 295})
	c.budget(1)
	a := c.analyzed(t)
	require.Zero(t, a.SendersTotal)
	facts, err := c.google.Facts(c.email)
	require.NoError(t, err)
	var from string
	for address, f := range facts.Senders {
		if address != c.email && f.Messages > facts.Senders[from].Messages {
			from = address
		}
	}
	r := wanted(t, sweep.Trash, `{"from":"`+from+`"}`)
	mail := c.naively(t, r.Spec, time.Now())
	c.budget(1_000)
	p := c.preview(t, r)
	require.LessOrEqual(t, p.UnitsSpent, int64(200+5), "a fifth of an analysis, and a look at labels and history")
	require.Greater(t, p.UnitsSpent, int64(100))
	require.Subset(t, mail, c.members(t, p.CleanupPlanID))
	require.Less(t, p.ToClean, len(mail))
	require.GreaterOrEqual(t, p.Undetermined+p.ToClean, len(mail))

	c.budget(2_500)
	c.analyzed(t)
	c.budget(50)
	p = c.preview(t, r)
	require.Less(t, p.ToClean, 20, "only what was read: no sample of the rest could be")
	require.GreaterOrEqual(t, p.Undetermined+p.ToClean, len(mail))
	c.budget(10)
	p = c.preview(t, wanted(t, sweep.Trash, `{"subject":"`+words(c.messages(t)[40].Subject)[0]+`"}`))
	require.Zero(t, p.ToClean)
	require.Positive(t, p.Undetermined)
}
