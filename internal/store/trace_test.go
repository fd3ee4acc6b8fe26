package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// tale is what a DB told of statements that were made for a caller.
type tale struct {
	mu  sync.Mutex
	all []store.Statement
}

type callerKey struct{}

func (s *tale) add(ctx context.Context, told store.Statement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Value(callerKey{}) != nil {
		s.all = append(s.all, told)
	}
}

// take gives verbs with their codes.
func (s *tale) take(t *testing.T) (verbs []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, told := range s.all {
		require.Positive(t, told.Took, told.Verb)
		require.False(t, told.Began.IsZero(), told.Verb)
		verbs = append(verbs, told.Verb+told.Code)
	}
	s.all = nil
	return verbs
}

func TestAStatementIsToldByItsVerbAndCodeAlone(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	p := y.place("a")
	var told tale
	db, err := store.Open(t.Context(), store.Options{URL: y.d.URL("mailsweep_app", password), Process: "test", Told: told.add})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	ctx := context.WithValue(t.Context(), callerKey{}, true)

	require.NoError(t, db.Tenant(ctx, p.customer, func(tx *store.Tx) error {
		return tx.Exec("\n\tinsert INTO keep_list VALUES (?, 'a@example.com', ?)", p.customer.String(), tx.Now).Error
	}))
	require.Equal(t, []string{"BEGIN", "SELECT", "INSERT", "COMMIT"}, told.take(t))
	require.Error(t, db.System(ctx, func(tx *store.Tx) error {
		return tx.Exec("(SELECT 1) UNION (SELECT 'hush'::int)").Error
	}))
	require.Equal(t, []string{"BEGIN", "SELECT", "SQL22P02", "ROLLBACK"}, told.take(t), "the error repeats a value, its code does not")

	v, err := db.Submit(ctx, y.submission(p, sweep.DryRun, 0))
	require.NoError(t, err)
	require.True(t, v.Admitted)
	require.Equal(t, []string{"PIPELINE"}, told.take(t))
	_, err = db.Dispatch(ctx, store.Line{Window: 1, Each: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"SELECT"}, told.take(t))

	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	require.Error(t, db.System(short, func(tx *store.Tx) error { return tx.Exec("SELECT pg_sleep(20)").Error }))
	require.Contains(t, told.take(t), "SELECT-", "no answer, no code")
}
