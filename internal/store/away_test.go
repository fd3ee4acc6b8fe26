package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

func TestABrokenOrSilentDatabaseIsAway(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	p := y.place("a")
	db, err := store.Open(t.Context(), store.Options{URL: y.d.URL("mailsweep_app", password), Process: "test", Patience: time.Second})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	run := func(ctx context.Context, sql string) error {
		return db.Tenant(ctx, p.customer, func(tx *store.Tx) error { return tx.Exec(sql).Error })
	}
	for name, sql := range map[string]string{"silent": "SELECT pg_sleep(5)", "broken": "SELECT pg_terminate_backend(pg_backend_pid())",
		"giving way": "DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$"} {
		begun := time.Now()
		err := run(t.Context(), sql)
		require.ErrorIs(t, err, store.ErrAway, name)
		require.Equal(t, sweep.Unavailable, sweep.CodeOf(err), name)
		require.Less(t, time.Since(begun), 3*time.Second, name)
	}
	require.ErrorIs(t, db.Tenant(t.Context(), p.customer, func(tx *store.Tx) error {
		<-tx.Statement.Context.Done()
		return nil // the commit finds it rolled back, or about to be
	}), store.ErrAway, "slow ourselves")
	require.NotErrorIs(t, run(t.Context(), "SELECT 1/0"), store.ErrAway, "a mistake of ours")
	gone, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.NotErrorIs(t, run(gone, "SELECT pg_sleep(5)"), store.ErrAway, "the caller gave up")
	require.NoError(t, run(t.Context(), "SELECT 1"), "and it goes on")
}
