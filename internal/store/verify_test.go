package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// breaches is what the scheduler's login finds wrong with the workshop's customer.
func (w *workshop) breaches(scheduler *store.DB) (rules []string) {
	w.tenant(scheduler, func(tx *store.Tx) error {
		quota, err := tx.QuotaBreaches()
		require.NoError(w.t, err)
		jobs, err := tx.JobBreaches(time.Minute)
		for _, d := range append(quota, jobs...) {
			require.NotEmpty(w.t, d.Object)
			rules = append(rules, d.Rule)
		}
		return err
	})
	return rules
}

func TestBooksAgreeAtEveryStepOfAJob(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	scheduler := open(t, w.d, "mailsweep_scheduler")
	require.Empty(t, w.breaches(scheduler), "claimed")
	w.begin(0)
	require.Empty(t, w.breaches(scheduler), "in flight")
	w.settle(0, 40)
	require.Empty(t, w.breaches(scheduler), "settled in part")
	w.finish(sweep.Succeeded)
	require.Empty(t, w.breaches(scheduler), "over")
	w.again()
	require.NoError(t, w.cancel(w.job))
	require.Empty(t, w.breaches(scheduler), "asked to stop")
}

// TestVerificationNamesEveryKindOfBreach cooks the books past all guards, one way at a time.
func TestVerificationNamesEveryKindOfBreach(t *testing.T) {
	t.Parallel()
	for cooked, rule := range map[string]string{
		"UPDATE usage_tracking SET used = used + 1":                                                                             "used is not the sum of the ledger",
		"UPDATE usage_tracking SET reserved = reserved + 1":                                                                     "reserved is not what open jobs hold",
		"UPDATE jobs SET settled = settled + 1, reserved = reserved + 1":                                                        "settled is not what the ledger says",
		"UPDATE jobs SET lease_until = now() - interval '2 minutes'":                                                            "nobody works on it",
		"UPDATE jobs SET state = 'dispatched', run_at = now() - interval '3 hours', dispatched_at = now() - interval '2 hours'": "nobody takes it",
		"UPDATE jobs SET finished_at = now()":                                                                                   "ended without an end",
		"UPDATE batches SET asked = 101":                                                                                        "more done than approved",
		"DELETE FROM audit_logs WHERE seq = (SELECT max(seq) FROM audit_logs)":                                                  "the audit log lost its end",
		"UPDATE audit_logs SET action = 'nothing'":                                                                              "the audit chain is broken",
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			scheduler := open(t, w.d, "mailsweep_scheduler")
			w.begin(0)
			w.settle(0, 40)
			require.Empty(t, w.breaches(scheduler))
			w.exec("SET session_replication_role = replica") // no trigger keeps us from it
			w.exec(cooked)
			require.Equal(t, []string{rule}, w.breaches(scheduler))
		})
	}
}

func TestVerificationSeesASecondRunAndARunThatSaysOtherwise(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	scheduler := open(t, w.d, "mailsweep_scheduler")
	w.tenant(w.worker, func(tx *store.Tx) error {
		return tx.StartRun(store.RunRow{Job: w.job, Plan: w.plan, Mailbox: w.p.mailbox, Action: sweep.Trash, State: sweep.Running, UndoUntil: time.Now()})
	})
	w.begin(0)
	w.settle(0, 40)
	w.finish(sweep.Succeeded)
	first := w.plan
	w.again()
	w.begin(0)
	w.settle(0, 40)
	require.Empty(t, w.breaches(scheduler))
	w.exec("UPDATE jobs SET plan_id = $1", first.String())
	w.exec("UPDATE cleanup_runs SET state = 'failed'")
	require.ElementsMatch(t, []string{"one cleanup plan, several runs", "its run says otherwise"}, w.breaches(scheduler))
}
