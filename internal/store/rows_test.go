package store_test

import (
	"crypto/rand"
	"iter"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

func (w *workshop) tenant(db *store.DB, f func(*store.Tx) error) {
	w.t.Helper()
	require.NoError(w.t, db.Tenant(w.t.Context(), w.p.customer, f))
}

func TestACleanupPlanComesBackAsItWasFrozen(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	at := time.Date(2026, 11, 2, 3, 4, 5, 6000, time.UTC)
	plan := store.PlanRow{ID: newID(t), Mailbox: w.p.mailbox, Account: []byte("a"), Generation: 3, Action: sweep.Trash, Head: []byte("h"), IDs: []byte{0, 1}, Kept: []byte("k"),
		Messages: 2, Bytes: 1 << 40, HistoryID: math.MaxUint64, MadeBy: w.job, MadeAt: at, ExpiresAt: at.Add(sweep.PlanLifetime)}
	w.tenant(w.worker, func(tx *store.Tx) error {
		require.NoError(t, tx.InsertPlan(plan))
		got, err := tx.Plan(plan.ID)
		require.Equal(t, plan, got)
		require.NoError(t, tx.AttachPlan(w.job, plan.ID))
		job, jobErr := tx.Job(w.job)
		require.NoError(t, jobErr)
		require.Equal(t, plan.ID, job.CleanupPlan)
		return err
	})
	w.p = w.place("b")
	w.tenant(w.worker, func(tx *store.Tx) error {
		_, err := tx.Plan(plan.ID)
		require.Equal(t, sweep.NotFound, sweep.CodeOf(err), "another customer's")
		return nil
	})
}

func TestARunKeepsWhatItsUndoNeeds(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	run := store.RunRow{Job: w.job, Plan: w.plan, Mailbox: w.p.mailbox, Action: sweep.Trash, State: sweep.Running, Planned: 100, Skipped: map[sweep.Reason]int{}, HistoryFrom: math.MaxUint64,
		LabelID: "Label_1", LabelMade: true, Actor: "user", Why: "requested", UndoUntil: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}
	w.tenant(w.worker, func(tx *store.Tx) error {
		_, err := tx.Run(w.job)
		require.Equal(t, sweep.NotFound, sweep.CodeOf(err))
		require.NoError(t, tx.StartRun(run))
		later := run
		later.Planned, later.LabelID = 1, ""
		require.NoError(t, tx.StartRun(later))
		got, err := tx.Run(w.job)
		require.Equal(t, run, got, "a later claim leaves the first row")
		run.State, run.Cleaned, run.AlreadyGone, run.Bytes, run.HistoryTo, run.Confirmed = sweep.Succeeded, 90, 4, 1<<40, math.MaxUint64-1, 89
		run.Skipped, run.Remainder, run.UndoUntil = map[sweep.Reason]int{sweep.NoChange: 6}, newID(t), run.UndoUntil.Add(time.Hour)
		require.NoError(t, tx.EndRun(run))
		got, readErr := tx.Run(w.job)
		require.NoError(t, readErr)
		require.Equal(t, run, got)
		return err
	})
	first, second := w.job, sweep.ID{}
	w.finish(sweep.Succeeded)
	w.again()
	second = w.job
	w.tenant(w.worker, func(tx *store.Tx) error {
		newer := func(of sweep.ID) sweep.ID {
			id, err := tx.OverlapsNewer(of, w.p.mailbox)
			require.NoError(t, err)
			return id
		}
		run.Job, run.Plan = second, w.plan
		require.NoError(t, tx.StartRun(run))
		require.True(t, newer(first).IsZero(), "a run that changed nothing is in nobody's way")
		require.NoError(t, tx.EndRun(run))
		require.Equal(t, second, newer(first))
		w.set(first, "kind = 'undo', undo_of = '"+second.String()+"', state = 'queued'")
		require.True(t, newer(first).IsZero(), "nor one whose undo was asked for before")
		w.set(first, "state = 'failed'")
		require.Equal(t, second, newer(first), "an undo that failed leaves it as it was")
		require.True(t, newer(second).IsZero())
		require.NoError(t, tx.Undone(second, newID(t), sweep.UndoResult{Restored: 9}))
		require.True(t, newer(first).IsZero(), "nor one that is undone")
		return nil
	})
}

func eachOf(segments []store.SealedSegment) iter.Seq2[store.SealedSegment, error] {
	return func(yield func(store.SealedSegment, error) bool) {
		for _, s := range segments {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func TestAnIndexIsReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	segments := func(version int64, names ...string) (s []store.SealedSegment) {
		for _, n := range names {
			s = append(s, store.SealedSegment{Name: n, Version: version, Sealed: []byte("sealed " + n)})
		}
		return s
	}
	w.tenant(w.worker, func(tx *store.Tx) error {
		for range tx.Index(w.p.mailbox) {
			t.Error("something is stored")
		}
		for _, s := range []struct {
			names          []string
			since, version int64
			saved          bool
		}{{[]string{"a", "b", "c"}, 0, 7, true}, {[]string{"a", "e"}, 0, 8, false}, {[]string{"a", "e"}, 6, 8, false}, {[]string{"a", "d"}, 7, 8, true}} {
			saved, err := tx.SaveIndex(w.p.mailbox, eachOf(segments(0, s.names...)), s.since, s.version, tx.Now)
			require.NoError(t, err)
			require.Equal(t, s.saved, saved, "%d since %d", s.version, s.since)
		}
		var got []store.SealedSegment
		for s, err := range tx.Index(w.p.mailbox) {
			require.NoError(t, err)
			got = append(got, s)
		}
		require.Equal(t, segments(8, "a", "d"), got)
		require.NoError(t, tx.SaveAnalysis(w.p.mailbox, []byte("analysis"), tx.Now))
		target, targetErr := tx.Target(w.p.mailbox)
		require.NoError(t, targetErr)
		require.Equal(t, []byte("analysis"), target.Analysis)
		return nil
	})
}

func TestAMailboxNeedsNoNameWhenItIsTheOnlyOne(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	first, second := w.p.mailbox, newID(t)
	target := func(id sweep.ID) (got store.Target, code sweep.Code) {
		w.tenant(w.worker, func(tx *store.Tx) (err error) {
			got, err = tx.Target(id)
			code = sweep.CodeOf(err)
			return nil
		})
		return got, code
	}
	only, _ := target(sweep.ID{})
	require.Equal(t, []any{first, 0, "active"}, []any{only.Mailbox, only.Oldest, only.State})
	w.exec("INSERT INTO google_accounts (account, created_at) VALUES ('second', now())")
	w.exec("INSERT INTO mailboxes (customer_id, id, account, email, state, connected_at) VALUES ($1, $2, 'second', 'b@example.com', 'active', now() + interval '1 hour')", w.p.customer.String(), second.String())
	_, code := target(sweep.ID{})
	require.Equal(t, sweep.Invalid, code)
	newer, _ := target(second)
	require.Equal(t, 1, newer.Oldest)
	w.exec("UPDATE mailboxes SET state = 'disconnected' WHERE id = $1", first.String())
	_, code = target(first)
	require.Equal(t, sweep.NotFound, code)
	newer, _ = target(sweep.ID{})
	require.Equal(t, []any{second, 0}, []any{newer.Mailbox, newer.Oldest}, "a disconnected one does not count")
}

func TestTheNewestTokenIsInForceUntilItIsRevoked(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	token := func() (sealed string, code sweep.Code) {
		w.tenant(w.worker, func(tx *store.Tx) error {
			got, err := tx.RefreshToken(w.p.mailbox)
			sealed, code = string(got), sweep.CodeOf(err)
			return nil
		})
		return sealed, code
	}
	_, code := token()
	require.Equal(t, sweep.MailboxNeedsReconnect, code)
	for _, sealed := range []string{"old", "new"} {
		id, err := sweep.NewID(time.Now().Add(map[string]time.Duration{"new": time.Second}[sealed]), rand.Reader)
		require.NoError(t, err)
		w.exec("INSERT INTO oauth_tokens (customer_id, id, mailbox_id, sealed, created_at) VALUES ($1, $2, $3, $4, now())", w.p.customer.String(), id.String(), w.p.mailbox.String(), []byte(sealed))
	}
	sealed, _ := token()
	require.Equal(t, "new", sealed)
	err := w.app.Tenant(t.Context(), w.p.customer, func(tx *store.Tx) error { _, err := tx.RefreshToken(w.p.mailbox); return err })
	require.ErrorContains(t, err, "permission denied", "the API cannot read what it writes")
	w.tenant(w.worker, func(tx *store.Tx) error {
		for _, want := range []bool{true, false} {
			first, err := tx.NeedsReconnect(w.p.mailbox)
			require.NoError(t, err)
			require.Equal(t, want, first, "told once")
		}
		return nil
	})
	w.exec("UPDATE mailboxes SET state = 'disconnected'")
	w.tenant(w.worker, func(tx *store.Tx) error { return tx.Revoked(w.p.mailbox) })
	_, code = token()
	require.Equal(t, sweep.MailboxNeedsReconnect, code)
	require.True(t, ask[bool](w.yard, "SELECT revoked_at IS NOT NULL FROM mailboxes"))
}

func TestAPlansChangeIsNoticedBySubmissions(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.tenant(w.app, func(tx *store.Tx) error {
		before, err := tx.Standing()
		require.NoError(t, err)
		require.NoError(t, tx.SetGrant(sweep.Pro, time.Time{}))
		after, err := tx.Standing()
		require.Equal(t, []any{sweep.Pro, before.PlanVersion + 1}, []any{after.Granted.Tier, after.PlanVersion})
		usage, usageErr := tx.UsageNow(500)
		require.NoError(t, usageErr)
		require.Equal(t, []int{0, 100, 400}, []int{usage.Used, usage.Reserved, usage.Remaining()})
		return err
	})
	require.True(t, w.refuse(w.app, w.submission(w.p, sweep.DryRun, 0)).Stale)
	w.p.customer = newID(t)
	err := w.app.Tenant(t.Context(), w.p.customer, func(tx *store.Tx) error { return tx.SetGrant(sweep.Pro, time.Time{}) })
	require.Equal(t, sweep.NotFound, sweep.CodeOf(err))
}

func TestALabelIsNotedOnce(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.tenant(w.worker, func(tx *store.Tx) error {
		for _, l := range []string{"Label_1", "Label_2", "Label_1"} {
			require.NoError(t, tx.NoteLabel(w.p.mailbox, l))
		}
		target, err := tx.Target(w.p.mailbox)
		require.Equal(t, []string{"Label_2", "Label_1"}, target.LabelsMade)
		return err
	})
}

func TestBatchesComeBackInOrderAsTheyWereRewritten(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.begin(1)
	w.begin(0)
	w.settle(0, 1)
	w.tenant(w.worker, func(tx *store.Tx) error {
		require.NoError(t, tx.RewriteBatch(w.job, 0, []byte("proved")))
		got, err := tx.Batches(w.job)
		require.Equal(t, []store.Batch{{N: 0, IDs: []byte("proved"), Done: true, Asked: 1}, {N: 1, IDs: []byte("ids"), Asked: 1}}, got)
		return err
	})
}

// What is over stays over, whoever writes late; a second live one is not written.
func TestASubscriptionThatIsOverStaysOver(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	at := time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC)
	first := store.Subscription{ID: "sub_1", Payment: sweep.Paid, PriceID: "price_1", Tier: sweep.Pro, Every: sweep.Month, Cents: 2900, PeriodStart: at, PeriodEnd: at.AddDate(0, 1, 0), CreatedAt: at,
		NextTier: sweep.Basic, NextEvery: sweep.Year, PastDueAt: at, EndsAt: at, WaitsForPay: true}
	w.tenant(w.app, func(tx *store.Tx) error {
		save := func(s store.Subscription) (second bool) {
			second, err := tx.SaveSubscription(s)
			require.NoError(t, err)
			return second
		}
		require.False(t, save(first))
		live, err := tx.LiveSubscription()
		require.NoError(t, err)
		require.Equal(t, first, live)
		other := first
		other.ID = "sub_2"
		require.True(t, save(other))
		over := first
		over.Payment, over.EndedAt = sweep.Ended, at
		require.False(t, save(over))
		require.False(t, save(first), "an older answer")
		all, err := tx.Subscriptions()
		require.Equal(t, []store.Subscription{over}, all)
		require.False(t, save(other))
		return err
	})
}
