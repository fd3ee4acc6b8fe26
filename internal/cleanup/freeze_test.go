package cleanup_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

func TestAPreviewChangesNothingAndItsRunTouchesExactlyThePlan(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 500, Seed: 7})
	before := c.digest(t)
	c.analyzed(t)
	p := c.preview(t, protected(t, sweep.Archive, `{"category":"promotions"}`))
	require.Equal(t, before, c.digest(t))
	plan := c.members(t, p.CleanupPlanID)
	require.Len(t, plan, p.ToClean)
	require.Positive(t, p.ToClean)
	require.Equal(t, plan, c.pages(t, p.CleanupPlanID))
	job, res := c.executed(t, p.CleanupPlanID)
	require.Equal(t, len(plan), res.Cleaned)
	require.Equal(t, len(plan), res.Proof.Confirmed)
	require.Equal(t, len(plan), c.touchedAtMost(t, plan))
	c.addsUp(t, res)
	undo := c.undone(t, job)
	require.Equal(t, len(plan), undo.Restored)
	require.Equal(t, before, c.digest(t))
	require.Zero(t, c.usage(t).Used)
	said := "SELECT (data->>$2)::int FROM audit_logs WHERE customer_id = $3 AND action = $1 AND actor = 'system'"
	require.Equal(t, len(plan), c.count(t, said, "job.executed", "cleaned", c.Customer.String()), "the audit log has what Gmail confirmed")
	require.Equal(t, len(plan), c.count(t, said, "job.undone", "restored", c.Customer.String()))
}

// pages are the ids of a frozen plan as it is shown.
func (c *customer) pages(t *testing.T, plan string) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		page, next, err := c.PlanMessages(t.Context(), c.Customer, planID(t, plan), "", cursor, false)
		require.NoError(t, err)
		for _, m := range page {
			require.NotEmpty(t, m.Sender)
			ids = append(ids, m.ID)
		}
		if cursor = next; next == "" {
			return ids
		}
	}
}
