package cleanup_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// why asks for a message as operators do.
func (c *customer) why(t *testing.T, message string) (list []sweep.Why, err error) {
	t.Helper()
	id, parseErr := sweep.ParseMessageID(message)
	require.NoError(t, parseErr)
	err = c.DB.Tenant(t.Context(), c.Customer, func(tx *store.Tx) error {
		list, err = c.Service.Why(tx, id)
		return err
	})
	return list, err
}

func TestWhyAMessageWasChangedIsTold(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "ada@mail.example", google.Generate{Messages: 1500, Seed: 11})
	r := protected(t, sweep.Archive, `{"all":[{"in":"inbox"},{"any":[{"older_than_days":30},{"unread":true}]}]}`)
	p := c.preview(t, r)
	set := c.members(t, p.CleanupPlanID)
	require.Greater(t, len(set), 10)

	list, err := c.why(t, set[0])
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.True(t, list[0].Chosen)
	require.Nil(t, list[0].Run, "previewed only")

	job, res := c.executed(t, p.CleanupPlanID)
	list, err = c.why(t, set[0])
	require.NoError(t, err)
	w := list[0]
	require.Equal(t, []any{p.CleanupPlanID, sweep.Archive, true, sweep.Reason("")}, []any{w.Plan, w.Action, w.Chosen, w.KeptBack})
	require.Len(t, w.Leaves, 3)
	require.Equal(t, sweep.WhyLeaf{Under: "all[0]", Leaf: `{"in":"inbox"}`, Holds: sweep.Yes}, w.Leaves[0], "as it was before the run took it from the inbox")
	require.Equal(t, sweep.WhyLeaf{Under: "all[1] › any[0]", Leaf: `{"older_than_days":30}`, Holds: sweep.Yes}, w.Leaves[1], "the set is oldest first")
	require.Equal(t, "did not apply", w.Protections[0].Result)
	require.Equal(t, []any{job, sweep.Succeeded, 0, []string{sweep.LabelInbox}, true, ""}, []any{w.Run.Job, w.Run.State, w.Run.Batch, w.Run.Removed, w.Run.Confirmed, w.Run.UndoneBy})
	require.Equal(t, []string{"test build"}, w.Run.Builds)
	require.Equal(t, &res.Proof, w.Run.Proof)
	for _, secret := range []string{"ada@mail.example", c.message(t, set[0]).From} {
		told, err := json.Marshal(list)
		require.NoError(t, err)
		require.NotContains(t, string(told), secret, "no address but those that the criteria name")
	}

	undo := c.undone(t, job)
	require.Equal(t, len(set), undo.Restored)
	list, err = c.why(t, set[0])
	require.NoError(t, err)
	require.NotEmpty(t, list[0].Run.UndoneBy)
	require.Equal(t, sweep.Yes, list[0].Leaves[0].Holds)
}

func TestWhyAMessageWasKeptBackIsTold(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "ada@mail.example", google.Generate{Messages: 1500, Seed: 11})
	r := wanted(t, sweep.Archive, `{"in":"inbox"}`)
	r.Spec.Protect = sweep.Protect{Starred: true, Important: true}
	var starred string
	for _, m := range c.messages(t) {
		if starred == "" && slices.Contains(m.Labels, sweep.LabelInbox) && slices.Contains(m.Labels, sweep.LabelStarred) {
			starred = m.ID
		}
	}
	require.NotEmpty(t, starred)
	p := c.preview(t, r)
	list, err := c.why(t, starred)
	require.NoError(t, err)
	require.Equal(t, []any{p.CleanupPlanID, false, sweep.KeptStarred}, []any{list[0].Plan, list[0].Chosen, list[0].KeptBack})
	results := map[sweep.Reason]string{}
	for _, p := range list[0].Protections {
		results[p.Name] = p.Result
	}
	require.Equal(t, "kept it back", results[sweep.KeptStarred])
	require.Equal(t, "switched off", results[sweep.KeptReplied])
	require.Equal(t, "not reached: an earlier one kept it back", results[sweep.KeptImportant])
	_, err = c.why(t, "1")
	require.Equal(t, sweep.NotFound, sweep.CodeOf(err))
}
