package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// obituaries are what a DB told of ended jobs.
type obituaries struct {
	mu  sync.Mutex
	all []store.Ended
}

func (o *obituaries) add(e store.Ended) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, e)
}

func (o *obituaries) take() (all []store.Ended) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all, o.all = o.all, nil
	return all
}

func TestAnEndIsToldOnceItIsCommitted(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	var told obituaries
	db, err := store.Open(t.Context(), store.Options{URL: w.d.URL("mailsweep_worker", password), Process: "test", Ended: told.add})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	w.set(w.job, "started_at = started_at - interval '90 seconds'")
	undone := errors.New("no")
	require.ErrorIs(t, db.Fenced(t.Context(), w.c, func(tx *store.Tx) error {
		require.NoError(t, tx.Finish(w.c, store.Ending{State: sweep.Succeeded}))
		return undone
	}), undone)
	require.Empty(t, told.take(), "rolled back")
	require.NoError(t, db.Fenced(t.Context(), w.c, func(tx *store.Tx) error { return tx.Finish(w.c, store.Ending{State: sweep.Succeeded}) }))
	all := told.take()
	require.Len(t, all, 1)
	require.Equal(t, 90*time.Second, all[0].Ran.Round(10*time.Second))
	all[0].Ran = 0
	require.Equal(t, store.Ended{Kind: sweep.Execute, State: sweep.Succeeded}, all[0])

	require.ErrorIs(t, db.Finish(t.Context(), w.c, store.Ending{State: sweep.Failed, Code: sweep.Internal}), store.ErrFenced)
	require.Empty(t, told.take(), "refused")
	w.again()
	require.NoError(t, db.Finish(t.Context(), w.c, store.Ending{State: sweep.Failed, Code: sweep.Internal}))
	all = told.take()
	require.Len(t, all, 1)
	require.Equal(t, []any{sweep.Execute, sweep.Failed, sweep.Internal}, []any{all[0].Kind, all[0].State, all[0].Code}, "in one round trip")
	require.Less(t, all[0].Ran, time.Minute)
}

func TestAJobThatNeverRanIsToldWithoutATime(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	var told obituaries
	db, err := store.Open(t.Context(), store.Options{URL: w.d.URL("mailsweep_app", password), Process: "test", Ended: told.add})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	s := w.submission(w.p, sweep.Analyze, 0)
	w.admit(db, s)
	require.NoError(t, db.Tenant(t.Context(), w.p.customer, func(tx *store.Tx) error { return tx.RequestCancel(s.Job) }))
	require.Equal(t, []store.Ended{{Kind: sweep.Analyze, State: sweep.Canceled}}, told.take())
}
