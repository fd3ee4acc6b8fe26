package cleanup_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// meanwhile lets something happen to the mailbox at the n-th call of a kind.
func (c *customer) meanwhile(path string, n int, f func()) {
	c.wire.at(stop{path: path, n: n, before: f})
}

func (c *customer) makeLabel(t *testing.T, name string, on ...string) (id string) {
	t.Helper()
	made, err := c.runner.Gmail.Open(c.grant(t), "another client").CreateLabel(t.Context(), name)
	require.NoError(t, err)
	require.NoError(t, c.google.Relabel(c.email, on, []string{made.ID}, nil))
	return made.ID
}

func (c *customer) dropLabel(t *testing.T, id string) {
	require.NoError(t, c.runner.Gmail.Open(c.grant(t), "another client").DeleteLabel(t.Context(), id))
}

func TestHistoryThatExpiresDuringAnAnalysisIsReplacedByAListing(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 300, Seed: 231})
	c.meanwhile("/history", 2, func() {
		require.NoError(t, c.google.Delete(c.email, []string{c.messages(t)[7].ID}))
		require.NoError(t, c.google.ExpireHistory(c.email))
	})
	a := c.analyzed(t)
	c.equalsFacts(t, a)
	c.sendersEqual(t, a)
}

func TestAPageThatIsForgottenIsListedAgain(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 300, Seed: 232})
	c.google.Inject(google.Fault{Method: "messages.list", Nth: 9, Times: 1, Status: 400, Reason: "invalidArgument", Message: "Invalid pageToken"})
	a := c.analyzed(t)
	c.equalsFacts(t, a)
	c.google.Inject(google.Fault{Method: "messages.list", Nth: 1, Times: 1, Status: 400, Reason: "invalidArgument", Message: "Invalid pageToken"})
	r := wanted(t, sweep.Trash, `{"subject":"`+words(c.messages(t)[40].Subject)[0]+`"}`)
	p := c.preview(t, r)
	require.Equal(t, sorted(c.naively(t, r.Spec, c.planned(t, p).MadeAt)), sorted(c.members(t, p.CleanupPlanID)))
}

func TestALabelThatIsDeletedWhileTheMailboxIsListedIsOnNoMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	one := r.customer(t, "one@gmail.example", google.Generate{Messages: 300, Seed: 233})
	soonGone := func(c *customer) {
		id := c.makeLabel(t, "Soon gone", c.messages(t)[3].ID)
		c.meanwhile("/messages", 1, func() { c.dropLabel(t, id) })
	}
	soonGone(one)
	one.equalsFacts(t, one.analyzed(t))
	p := one.preview(t, wanted(t, sweep.Archive, `{"category":"promotions"}`))
	require.NoError(t, r.google.ExpireHistory(one.email))
	soonGone(one)
	_, res := one.executed(t, p.CleanupPlanID)
	require.Equal(t, p.ToClean, res.Cleaned, "a run that looks anew")

	two := r.customer(t, "two@gmail.example", google.Generate{Messages: 300, Seed: 233})
	soonGone(two)
	require.Positive(t, two.preview(t, protected(t, sweep.Trash, everything)).ToClean, "a preview without an index")
}

// A Gmail whose history never reaches back is not listed for ever.
func TestAHistoryThatNeverHoldsEndsTheListingAnew(t *testing.T) {
	t.Parallel()
	never := google.Fault{Method: "history.list", Status: 404}
	t.Run("an analysis is tried later", func(t *testing.T) {
		t.Parallel()
		c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 100, Seed: 232})
		job, err := c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{}, cleanup.Idempotency{})
		require.NoError(t, err)
		c.google.Inject(never)
		c.run(t, c.take(t)[0])
		v := c.job(t, job.ID)
		require.Equal(t, sweep.Waiting, v.State, "%+v", v.Error)
		c.google.ClearFaults()
		c.due(t)
		require.Equal(t, sweep.Succeeded, c.finished(t, v).State)
	})
	t.Run("a run changes nothing", func(t *testing.T) {
		t.Parallel()
		c, run, _ := ready(t, 233)
		c.google.Inject(never)
		c.run(t, c.take(t)[0])
		v := c.job(t, run.ID)
		require.Equal(t, sweep.Failed, v.State)
		require.Equal(t, sweep.PlanExpired, v.Error.Code)
		require.Empty(t, c.changes(t))
		require.Zero(t, c.usage(t).Reserved)
	})
}
