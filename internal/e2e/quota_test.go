package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

func TestQuotaIsNeverOversold(t *testing.T) {
	t.Parallel()
	const plans, each, fit = 100, 5, 7
	const limit = fit*each + each - 1
	r := start(t, speedy(), map[string]string{"PLAN_LIMITS": limits(limit)})
	u := r.signUp(t, "ada")
	_, err := r.Sim.AddGenerated(u.Email, google.Generate{Messages: 50, Seed: 1, Now: time.Now()})
	require.NoError(t, err)
	for i := range plans * each {
		_, err := r.Sim.Deliver(u.Email, google.Incoming{From: sender(i % plans), Subject: "offer", Labels: []string{"INBOX", "CATEGORY_PROMOTIONS"}, Size: 4000,
			Date: time.Now().AddDate(0, -2, 0)})
		require.NoError(t, err)
	}
	require.NoError(t, u.Connect(u.ctx(), u.Email))
	u.run("/api/v1/gmail/analyze", object{})

	frozen := u.plans(plans)
	for _, p := range frozen {
		require.Equal(t, each, p.ToClean)
	}
	answers := u.executeAtOnce(frozen)

	admitted, month := 0, sweep.PeriodAt(time.Now())
	for _, a := range answers {
		if a.status == http.StatusAccepted {
			admitted++
			u.finish(read[customer.Job](t, a.body))
			continue
		}
		p := a.problem(t, http.StatusPaymentRequired, "quota_exceeded")
		require.NotNil(t, p.Quota)
		require.Equal(t, limit, p.Quota.Limit)
		require.LessOrEqual(t, p.Quota.Used+p.Quota.Reserved, limit)
		require.Equal(t, limit-p.Quota.Used-p.Quota.Reserved, p.Quota.Remaining)
		require.Less(t, p.Quota.Remaining, each, "what fits is not refused")
		require.True(t, p.Quota.PartialPossible)
		require.Equal(t, month.End, p.Quota.ResetsAt)
	}
	require.Equal(t, fit, admitted)
	require.Equal(t, usage{Plan: "pro", Period: month.Start.Format("2006-01"), Limit: limit, Used: fit * each, Remaining: limit - fit*each}, u.usage())
	require.Len(t, u.changes(), fit*each)
}

func sender(i int) string { return fmt.Sprintf("Shop %d <news@shop%d.example>", i, i) }

// plans previews one cleanup per sender.
func (u *user) plans(n int) (frozen []preview) {
	u.t.Helper()
	var jobs []customer.Job
	for i := range n {
		jobs = append(jobs, u.post("/api/v1/gmail/cleanup/dry-run", object{"action": "trash", "criteria": object{"from": fmt.Sprintf("news@shop%d.example", i)}}))
	}
	for _, j := range jobs {
		frozen = append(frozen, read[preview](u.t, u.finish(j).Result))
	}
	return frozen
}

// insist asks again, with the same key, while the service says that it cannot answer just now.
func (u *user) insist(method, path, body, key string) (a answer) {
	for a.status = http.StatusServiceUnavailable; a.status == http.StatusServiceUnavailable && u.ctx().Err() == nil; {
		a = u.call(method, path, body, "Idempotency-Key", key)
	}
	return a
}

// executeAtOnce lets all requests go at the same moment and watches the usage meanwhile.
func (u *user) executeAtOnce(frozen []preview) []answer {
	u.t.Helper()
	answers := make([]answer, len(frozen))
	seen := make([]usage, len(frozen))
	var all sync.WaitGroup
	gate := make(chan struct{})
	for i, p := range frozen {
		all.Go(func() {
			<-gate
			answers[i] = u.insist("POST", "/api/v1/gmail/cleanup/execute", fmt.Sprintf(`{"cleanup_plan_id":%q}`, p.ID), p.ID)
			a := u.insist("GET", "/api/v1/gmail/usage", "", "")
			a.err = json.Unmarshal(a.body, &seen[i])
		})
	}
	close(gate)
	all.Wait()
	for i := range answers {
		require.NoError(u.t, answers[i].err)
		require.LessOrEqual(u.t, seen[i].Used+seen[i].Reserved, seen[i].Limit)
		require.GreaterOrEqual(u.t, seen[i].Remaining, 0)
		require.NotZero(u.t, seen[i].Limit)
	}
	return answers
}
