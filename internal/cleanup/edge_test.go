package cleanup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// Gmail may count a size to either side of a step: the classes are right and an action holds nothing more all the same.
func TestMailOnTheEdgesOfSizesIsCountedWhereItIs(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 200, Seed: 251})
	c.budget(900) // for the listing and the edges, and few messages more
	var mail []google.Incoming
	for _, step := range mailindex.Ladder()[:5] {
		for _, size := range []int64{step - 1, step, step + 1, step + 2} {
			mail = append(mail, google.Incoming{From: "edge@size.example", Size: int(size), Date: time.Now().AddDate(0, -2, 0)})
		}
	}
	_, err := c.google.Deliver(c.email, mail...)
	require.NoError(t, err)
	a := c.analyzed(t)
	require.Less(t, a.AttributedPercent, 100.0)
	c.equalsFacts(t, a)
	later := c.analyzed(t)
	c.equalsFacts(t, later)
	for _, text := range []string{`{"smaller_than":65537}`, `{"larger_than":65536}`, `{"smaller_than":65536}`, `{"larger_than":65535}`} {
		r := wanted(t, sweep.Trash, text)
		p := c.preview(t, r)
		right, plan := c.naively(t, r.Spec, time.Now()), c.members(t, p.CleanupPlanID)
		require.Subset(t, right, plan, text)
		require.GreaterOrEqual(t, len(plan), len(right)-1, "%s: only what lies on the edge may be missed", text)
	}
}
