package cleanup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/mail"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

func TestAPlanIsExecutedOnceAndNotAfterItsTime(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 300, Seed: 91})
	p := c.preview(t, wanted(t, sweep.Trash, `{"category":"promotions"}`))
	old := c.preview(t, wanted(t, sweep.Trash, `{"category":"updates"}`))
	again := func(plan string, key cleanup.Idempotency) (sweep.JobView, error) {
		return c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Plan: planID(t, plan)}, key)
	}
	key := cleanup.Idempotency{Route: "execute", Key: "k1", Body: []byte("one")}
	first, err := again(p.CleanupPlanID, key)
	require.NoError(t, err)
	same, err := again(p.CleanupPlanID, key)
	require.NoError(t, err)
	require.Equal(t, first.ID, same.ID, "the same key gives the same answer")
	for range 2 { // while it is open, and when it is over
		_, err = again(p.CleanupPlanID, cleanup.Idempotency{})
		require.Equal(t, sweep.AlreadyExecuted, sweep.CodeOf(err))
		var known *sweep.Error
		require.ErrorAs(t, err, &known)
		require.Equal(t, first.ID, known.Data["job_id"])
		c.finished(t, first)
	}
	_, err = again(p.CleanupPlanID, cleanup.Idempotency{Route: "execute", Key: "k1", Body: []byte("two")})
	require.Equal(t, sweep.IdempotencyMismatch, sweep.CodeOf(err))

	c.Service = c.service(open(t, c.url("mailsweep_app"), 7*24*time.Hour+time.Minute), c.Vault)
	_, err = again(old.CleanupPlanID, cleanup.Idempotency{})
	require.Equal(t, sweep.PlanExpired, sweep.CodeOf(err))
	c.Service = c.service(open(t, c.url("mailsweep_app"), 29*24*time.Hour+time.Minute), c.Vault)
	_, err = c.SubmitUndo(t.Context(), c.Actor, jobID(t, first.ID), cleanup.Idempotency{})
	require.Equal(t, sweep.PlanExpired, sweep.CodeOf(err))
}

// What was admitted is not taken back by what stands when its answer is asked for again.
func TestAKeyGivesItsFirstAnswerWhateverStandsNow(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]struct {
		what string
		code sweep.Code
	}{
		"the consent is gone":      {"UPDATE mailboxes SET state = 'needs_reconnect'", sweep.MailboxNeedsReconnect},
		"the mailbox is gone":      {"UPDATE mailboxes SET state = 'disconnected'", sweep.NotFound},
		"the customer is stopped":  {"UPDATE customers SET suspended_at = now()", sweep.AccountSuspended},
		"the plan is out of reach": {"UPDATE cleanup_plans SET expires_at = now() - interval '1 hour'", sweep.PlanExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 100, Seed: 96})
			p := c.preview(t, wanted(t, sweep.Trash, `{"category":"promotions"}`))
			submit := func(key, body string) (sweep.JobView, error) {
				return c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Plan: planID(t, p.CleanupPlanID)}, cleanup.Idempotency{Route: "execute", Key: key, Body: []byte(body)})
			}
			first, err := submit("k", "one")
			require.NoError(t, err)
			c.exec(t, then.what)
			again, err := submit("k", "one")
			require.NoError(t, err)
			require.True(t, again.Replayed)
			require.Equal(t, first.ID, again.ID)
			_, err = submit("k", "two")
			require.Equal(t, sweep.IdempotencyMismatch, sweep.CodeOf(err))
			_, err = submit("other", "one")
			require.Equal(t, then.code, sweep.CodeOf(err))
			_, err = submit("", "")
			require.Equal(t, then.code, sweep.CodeOf(err))
		})
	}
}

func TestAnUndosKeyGivesItsFirstAnswerAfterANewerRun(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 200, Seed: 97})
	job, _ := c.executed(t, c.preview(t, wanted(t, sweep.Archive, `{"category":"promotions"}`)).CleanupPlanID)
	key := cleanup.Idempotency{Route: "undo", Key: "k", Body: []byte(job)}
	first, err := c.SubmitUndo(t.Context(), c.Actor, jobID(t, job), key)
	require.NoError(t, err)
	require.Equal(t, sweep.Succeeded, c.finished(t, first).State)
	c.executed(t, c.preview(t, wanted(t, sweep.MarkRead, everything)).CleanupPlanID)
	again, err := c.SubmitUndo(t.Context(), c.Actor, jobID(t, job), key)
	require.NoError(t, err)
	require.Equal(t, first.ID, again.ID)
}

func TestWhatIsCanceledCanBeCanceledAgain(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 100, Seed: 98})
	v, err := c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{}, cleanup.Idempotency{})
	require.NoError(t, err)
	for range 2 { // the first answer may have been lost
		v, err = c.Cancel(t.Context(), c.Actor, jobID(t, v.ID))
		require.NoError(t, err)
		require.Equal(t, sweep.Canceled, v.State)
	}
	v, err = c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{}, cleanup.Idempotency{})
	require.NoError(t, err)
	require.Equal(t, sweep.Succeeded, c.finished(t, v).State)
	_, err = c.Cancel(t.Context(), c.Actor, jobID(t, v.ID))
	require.Equal(t, sweep.Conflict, sweep.CodeOf(err))
}

func TestAMailboxWithoutCategoriesRefusesCategoryCriteria(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 400, Seed: 92, NoCategories: true})
	for _, text := range []string{`{"category":"promotions"}`, `{"not":{"category":"primary"}}`, `{"all":[{"unread":true},{"not":{"any":[{"category":"social"},{"unread":false}]}}]}`} {
		v, err := c.SubmitDryRun(t.Context(), c.Actor, wanted(t, sweep.Trash, text), cleanup.Idempotency{})
		require.NoError(t, err)
		v = c.finished(t, v)
		require.Equal(t, sweep.Failed, v.State, text)
		require.Equal(t, sweep.CategoriesUnavailable, v.Error.Code, text)
	}
	c.analyzed(t)
	_, err := c.Count(t.Context(), c.Customer, cleanup.Target{}, criteria(t, `{"not":{"category":"social"}}`))
	require.Equal(t, sweep.CategoriesUnavailable, sweep.CodeOf(err))
	_, err = c.google.Deliver(c.email, google.Incoming{From: "a@b.example", Labels: []string{"INBOX", "CATEGORY_SOCIAL"}})
	require.NoError(t, err)
	require.Equal(t, 1, c.preview(t, wanted(t, sweep.Trash, `{"category":"social"}`)).ToClean, "switched on since")
}

func TestAnExecuteWithoutAPlanCleansAtMostWhatItWasAllowed(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 700, Seed: 93})
	p := c.preview(t, wanted(t, sweep.Archive, `{"category":"promotions"}`))
	r := wanted(t, sweep.Archive, `{"category":"promotions"}`)
	direct := func(most int) sweep.JobView {
		v, err := c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Direct: &r, MaxMessages: most}, cleanup.Idempotency{})
		require.NoError(t, err)
		require.Equal(t, most, c.usage(t).Reserved)
		return c.finished(t, v)
	}
	tooLarge := direct(p.ToClean - 1)
	require.Equal(t, sweep.Failed, tooLarge.State)
	require.Equal(t, sweep.Conflict, tooLarge.Error.Code)
	require.Empty(t, c.changes(t))
	require.Zero(t, c.usage(t).Used+c.usage(t).Reserved)
	plan := tooLarge.Error.Detail[len(tooLarge.Error.Detail)-len("pln_01234567890123456789012345678901 and execute that"):][:36]
	require.Len(t, c.members(t, plan), p.ToClean, "the plan that its error names can be looked at")
	fits := direct(p.ToClean + 50)
	require.Equal(t, sweep.Succeeded, fits.State, "%+v", fits.Error)
	res := resultOf(t, fits)
	require.Equal(t, p.ToClean, res.Cleaned)
	c.addsUp(t, res)
	for _, bad := range []cleanup.ExecuteRequest{{}, {Direct: &r}, {Direct: &cleanup.DryRunRequest{Spec: sweep.CleanupSpec{Action: "burn"}}, MaxMessages: 5}} {
		_, err := c.SubmitExecute(t.Context(), c.Actor, bad, cleanup.Idempotency{})
		require.Equal(t, sweep.Invalid, sweep.CodeOf(err))
	}
}

func TestACustomerIsWarnedOnceAPeriodAtEightyPercent(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 1500, Seed: 94})
	c.onPlan(t, sweep.Free)
	some := func(n int) {
		r := wanted(t, sweep.MarkRead, `{"unread":true}`)
		v, err := c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Direct: &r, MaxMessages: n, Partial: true}, cleanup.Idempotency{})
		require.NoError(t, err)
		require.Equal(t, n, resultOf(t, c.finished(t, v)).Cleaned)
	}
	some(399)
	require.Zero(t, c.posts.count(mail.QuotaWarning))
	some(1)
	require.Equal(t, 1, c.posts.count(mail.QuotaWarning))
	some(90)
	require.Equal(t, 1, c.posts.count(mail.QuotaWarning))
	require.Equal(t, 490, c.usage(t).Used)
	p := c.preview(t, wanted(t, sweep.MarkRead, `{"unread":true}`))
	require.Zero(t, p.Quota.RemainingAfter)
	_, err := c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Plan: planID(t, p.CleanupPlanID)}, cleanup.Idempotency{})
	require.Equal(t, sweep.QuotaExceeded, sweep.CodeOf(err))
	var known *sweep.Error
	require.ErrorAs(t, err, &known)
	view := known.Data["quota"].(sweep.QuotaView)
	require.Equal(t, []int{500, 490, 0, 10}, []int{view.Limit, view.Used, view.Reserved, view.Remaining})
	require.True(t, view.PartialPossible)
	require.Equal(t, 1, c.count(t, "SELECT count(*) FROM usage_tracking WHERE customer_id = $1 AND refused_at IS NOT NULL AND used = 490", c.Customer.String()), "that it did not fit is noted")
}

// A person who was shown how many fit gets no more, whatever fits by then.
func TestAPartialRunTakesNoMoreThanWasShown(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 500, Seed: 94})
	p := c.preview(t, wanted(t, sweep.MarkRead, `{"unread":true}`))
	require.Greater(t, p.ToClean, 40)
	v, err := c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Plan: planID(t, p.CleanupPlanID), Partial: true, MaxMessages: 40}, cleanup.Idempotency{})
	require.NoError(t, err)
	res := resultOf(t, c.finished(t, v))
	require.Equal(t, 40, res.Cleaned)
	_, rest := c.executed(t, res.RemainderPlanID)
	require.Equal(t, p.ToClean-40, rest.Cleaned)
}
