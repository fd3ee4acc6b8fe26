package cleanup_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

func TestCustomersWithTheSameMessageIDsSeeNothingOfEachOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	one := r.customer(t, "one@gmail.example", google.Generate{Messages: 400, Seed: 95, Now: testNow})
	two := r.customer(t, "two@gmail.example", google.Generate{Messages: 400, Seed: 95, Now: testNow})
	p := one.preview(t, wanted(t, sweep.Trash, `{"category":"promotions"}`))
	plan := one.members(t, p.CleanupPlanID)
	two.message(t, plan[0]) // the same ids
	before := two.digest(t)
	job, res := one.executed(t, p.CleanupPlanID)
	require.Positive(t, res.Cleaned)
	require.Equal(t, before, two.digest(t))
	require.Zero(t, two.usage(t).Used)

	foreign := func(err error) { t.Helper(); require.Equal(t, sweep.NotFound, sweep.CodeOf(err)) }
	ctx := t.Context()
	_, err := two.Plan(ctx, two.Customer, planID(t, p.CleanupPlanID))
	foreign(err)
	_, _, err = two.PlanMessages(ctx, two.Customer, planID(t, p.CleanupPlanID), "", "", false)
	foreign(err)
	_, _, err = two.Job(ctx, two.Customer, jobID(t, job))
	foreign(err)
	_, err = two.Cancel(ctx, two.Actor, jobID(t, job))
	foreign(err)
	_, err = two.SubmitUndo(ctx, two.Actor, jobID(t, job), cleanup.Idempotency{})
	foreign(err)
	_, err = two.SubmitExecute(ctx, two.Actor, cleanup.ExecuteRequest{Plan: planID(t, p.CleanupPlanID)}, cleanup.Idempotency{})
	foreign(err)
	_, err = two.SubmitDryRun(ctx, two.Actor, cleanup.DryRunRequest{Target: cleanup.Target{Mailbox: one.mailbox}, Spec: wanted(t, sweep.Trash, everything).Spec, ConfirmAll: true}, cleanup.Idempotency{})
	foreign(err)
	_, err = two.Analysis(ctx, two.Customer, one.mailbox)
	foreign(err)
	_, _, err = two.Senders(ctx, two.Customer, one.mailbox, cleanup.SenderQuery{})
	foreign(err)
	jobs, _, err := two.Jobs(ctx, two.Customer, cleanup.JobFilter{Limit: 100})
	require.NoError(t, err)
	require.Empty(t, jobs)
}

func TestOneJobWritesToAGoogleAccountAtATime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	one := r.customer(t, "shared@gmail.example", google.Generate{Messages: 500, Seed: 96})
	two := r.customer(t, "shared@gmail.example", google.Generate{})
	before := one.digest(t)
	first := one.submit(t, one.preview(t, wanted(t, sweep.Trash, `{"category":"promotions"}`)).CleanupPlanID)
	second := two.submit(t, two.preview(t, wanted(t, sweep.Trash, `{"category":"promotions"}`)).CleanupPlanID)
	tasks := r.take(t)
	require.Len(t, tasks, 1, "the second waits for the account")
	require.Empty(t, r.take(t))
	r.run(t, tasks[0])
	require.Equal(t, sweep.Succeeded, one.job(t, first.ID).State)
	var res sweep.ExecuteResult
	two.succeeded(t, second, &res)
	require.Zero(t, res.Cleaned)
	require.Equal(t, res.Planned, res.Skipped.ByReason[sweep.NoChange], "the other customer's run is somebody else's change")
	require.Zero(t, two.usage(t).Used+two.usage(t).Reserved)
	one.undone(t, first.ID)
	require.Equal(t, before, one.digest(t))
}
