package cleanup_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// criteria reads the JSON form.
func criteria(t *testing.T, text string) (c sweep.Criteria) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &c), text)
	return c
}

// all is everything that a request may clean, without protections.
func wanted(t *testing.T, action sweep.Action, text string) cleanup.DryRunRequest {
	r := cleanup.DryRunRequest{Spec: sweep.CleanupSpec{Action: action, Criteria: criteria(t, text)}, ConfirmAll: true}
	if action == sweep.AddLabel {
		r.Spec.Label = "Swept"
	}
	return r
}

// protected is wanted with every protection on.
func protected(t *testing.T, action sweep.Action, text string) cleanup.DryRunRequest {
	r := wanted(t, action, text)
	r.Spec.Protect = sweep.ProtectAll()
	return r
}

func (c *customer) analyzed(t *testing.T) (a sweep.Analysis) {
	t.Helper()
	v, err := c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{}, cleanup.Idempotency{})
	require.NoError(t, err)
	c.succeeded(t, v, &a)
	return a
}

func (c *customer) preview(t *testing.T, r cleanup.DryRunRequest) (p sweep.DryRunResult) {
	t.Helper()
	v, err := c.SubmitDryRun(t.Context(), c.Actor, r, cleanup.Idempotency{})
	require.NoError(t, err)
	c.succeeded(t, v, &p)
	return p
}

// submit queues the run of a plan.
func (c *customer) submit(t *testing.T, plan string) sweep.JobView {
	t.Helper()
	v, err := c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Plan: planID(t, plan)}, cleanup.Idempotency{})
	require.NoError(t, err)
	return v
}

// executed runs a plan to its good end.
func (c *customer) executed(t *testing.T, plan string) (job string, res sweep.ExecuteResult) {
	t.Helper()
	v := c.submit(t, plan)
	c.succeeded(t, v, &res)
	return v.ID, res
}

func (c *customer) undone(t *testing.T, job string) (res sweep.UndoResult) {
	t.Helper()
	v, err := c.SubmitUndo(t.Context(), c.Actor, jobID(t, job), cleanup.Idempotency{})
	require.NoError(t, err)
	c.succeeded(t, v, &res)
	return res
}

func resultOf(t *testing.T, v sweep.JobView) (res sweep.ExecuteResult) {
	t.Helper()
	require.NotNil(t, v.Result, "%s %+v", v.State, v.Error)
	require.NoError(t, json.Unmarshal(v.Result, &res))
	return res
}

// members are the ids of a frozen plan.
func (c *customer) members(t *testing.T, plan string) (ids []string) {
	t.Helper()
	err := c.worker.Tenant(context.Background(), c.Customer, func(tx *store.Tx) error {
		row, err := tx.Plan(planID(t, plan))
		if err != nil {
			return err
		}
		standing, err := tx.Standing()
		if err != nil {
			return err
		}
		box, err := c.Vault.Box(standing.DataKey, c.Customer.String())
		if err != nil {
			return err
		}
		ids, err = cleanup.MembersOf(box, row)
		return err
	})
	require.NoError(t, err)
	return ids
}

// sorted is a list in an order by which sets compare.
func sorted(ids []string) []string { return slices.Sorted(slices.Values(ids)) }

// changes says how often each message was really changed through the API.
func (c *customer) changes(t *testing.T) map[string]int {
	t.Helper()
	l, err := c.google.Ledger(c.email)
	require.NoError(t, err)
	return l.Changes
}

func (c *customer) digest(t *testing.T) string {
	t.Helper()
	truth, err := c.google.Truth(c.email)
	require.NoError(t, err)
	return truth.Digest
}

func (c *customer) messages(t *testing.T) []google.Message {
	t.Helper()
	list, err := c.google.Messages(c.email)
	require.NoError(t, err)
	return list
}

// message gives one of them by its id.
func (c *customer) message(t *testing.T, id string) google.Message {
	t.Helper()
	list := c.messages(t)
	i := slices.IndexFunc(list, func(m google.Message) bool { return m.ID == id })
	require.GreaterOrEqual(t, i, 0, id)
	return list[i]
}

// relabel is somebody else's change in the mailbox.
func (c *customer) relabel(t *testing.T, id string, change ...string) {
	t.Helper()
	var add, remove []string
	for _, l := range change {
		if name, ok := strings.CutPrefix(l, "-"); ok {
			remove = append(remove, name)
		} else {
			add = append(add, l)
		}
	}
	require.NoError(t, c.google.Relabel(c.email, []string{id}, add, remove))
}

// usage is what the period says.
func (c *customer) usage(t *testing.T) (q sweep.Quota) {
	t.Helper()
	err := c.worker.Tenant(context.Background(), c.Customer, func(tx *store.Tx) (err error) {
		q, err = tx.UsageNow(50_000)
		return err
	})
	require.NoError(t, err)
	return q
}

// addsUp checks the sum that every run owes, and that its charge is what Gmail confirms.
func (c *customer) addsUp(t *testing.T, res sweep.ExecuteResult) {
	t.Helper()
	skipped := 0
	for _, n := range res.Skipped.ByReason {
		skipped += n
	}
	rest := 0
	if res.RemainderPlanID != "" {
		rest = len(c.members(t, res.RemainderPlanID))
	}
	require.Equal(t, res.Planned, res.Cleaned+skipped+res.AlreadyGone+rest, "%+v, remainder of %d", res, rest)
	require.Equal(t, res.Cleaned, c.usage(t).Used)
	require.Zero(t, c.usage(t).Reserved)
	require.Equal(t, res.Cleaned, res.Quota.Used)
}

// touchedAtMost checks that nothing outside the plan was changed through the API, nothing twice, and gives how many were.
func (c *customer) touchedAtMost(t *testing.T, plan []string) int {
	t.Helper()
	changed := c.changes(t)
	planned := map[string]bool{}
	for _, id := range plan {
		planned[id] = true
	}
	for id, n := range changed {
		if n != 1 || !planned[id] {
			require.Fail(t, "changed without need", "message %s: %d times, planned: %v", id, n, planned[id])
		}
	}
	return len(changed)
}
