package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// openFour is open with the smallest pool there is: four connections.
func openFour(t *testing.T, d testkit.Database, role string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: d.URL(role, password), Process: "test", MaxConns: 1})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func TestWithoutATenantNothingIsSeenOrWritten(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	p := y.place("a")
	y.job(p, "a", sweep.Execute, 1)
	y.exec("INSERT INTO keep_list VALUES ($1, 'a@example.com', now())", p.customer.String())
	db := open(t, y.d, "mailsweep_app")
	require.NoError(t, db.System(t.Context(), func(tx *store.Tx) error {
		for _, table := range []string{"customers", "users", "members", "mailboxes", "jobs", "keep_list", "usage_tracking", "audit_logs"} {
			var n int
			require.NoError(t, tx.Raw("SELECT count(*) FROM "+table).Scan(&n).Error)
			require.Zero(t, n, table)
		}
		done := tx.Exec("UPDATE jobs SET phase = 'x'")
		require.NoError(t, done.Error)
		require.Zero(t, done.RowsAffected)
		return nil
	}))
	err := db.System(t.Context(), func(tx *store.Tx) error {
		return tx.Exec("INSERT INTO keep_list VALUES (?, 'b@example.com', now())", p.customer.String()).Error
	})
	require.ErrorContains(t, err, "row-level security")
	reached := false
	err = db.Tenant(t.Context(), sweep.ID{}, func(*store.Tx) error { reached = true; return nil })
	require.Equal(t, sweep.Internal, sweep.CodeOf(err))
	require.False(t, reached, "no customer, no transaction")
}

func TestATransactionIsUndoneByAnErrorAndByAPanic(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	p := y.place("a")
	db := openFour(t, y.d, "mailsweep_app")
	write := func(tx *store.Tx) error {
		return tx.Exec("INSERT INTO keep_list VALUES (?, 'a@example.com', ?)", p.customer.String(), tx.Now).Error
	}
	boom := errors.New("boom")
	err := db.Tenant(t.Context(), p.customer, func(tx *store.Tx) error { return errors.Join(write(tx), boom) })
	require.ErrorIs(t, err, boom)
	require.PanicsWithValue(t, "boom", func() {
		_ = db.Tenant(t.Context(), p.customer, func(tx *store.Tx) error { _ = write(tx); panic("boom") })
	})
	require.Equal(t, int64(0), ask[int64](y, "SELECT count(*) FROM keep_list"))
	require.NoError(t, db.Tenant(t.Context(), p.customer, write))
	y.admit(db, y.submission(p, sweep.DryRun, 0))
	left, err := db.Left(t.Context())
	require.NoError(t, err)
	require.Equal(t, make([]string, len(left)), left, "no connection keeps a tenant")
	require.Equal(t, int64(1), ask[int64](y, "SELECT count(*) FROM keep_list"))
}

func TestBusinessTimeIsTheDatabasesPlusTheOffset(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	p := y.place("a")
	db, err := store.Open(t.Context(), store.Options{URL: y.d.URL("mailsweep_app", password), Process: "test", ClockOffset: 400 * time.Hour})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Tenant(t.Context(), p.customer, func(tx *store.Tx) error {
		var now time.Time
		require.NoError(t, tx.Raw("SELECT now()").Row().Scan(&now))
		require.Equal(t, now.UTC().Add(400*time.Hour), tx.Now)
		require.WithinDuration(t, tx.Now, tx.NewID().Time(), time.Millisecond, "ids carry business time")
		return nil
	}))
}

// look wants to see so many rows, all of the customer.
func look(t *testing.T, customer string, rows int) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		var seen []string
		if err := tx.Raw("SELECT customer_id::text FROM keep_list").Scan(&seen).Error; err != nil {
			return err
		}
		if len(seen) != rows {
			t.Errorf("%q saw %d rows instead of %d", customer, len(seen), rows)
		}
		for _, c := range seen {
			if c != customer {
				t.Errorf("%q saw a row of %s", customer, c)
			}
		}
		return nil
	}
}

// TEN-7: four connections, 400 transactions at once, some canceled, some panicking, some without a tenant: never a foreign row,
// never an empty answer where rows are.
func TestATenantNeverStaysOnItsConnection(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := openFour(t, y.d, "mailsweep_app")
	var places []place
	for i := range 5 {
		p := y.place("same")
		for n := range i + 1 {
			y.exec("INSERT INTO keep_list VALUES ($1, $2, now())", p.customer.String(), fmt.Sprint(n))
		}
		places = append(places, p)
	}
	var all sync.WaitGroup
	var looked, nobody atomic.Int32
	for i := range 400 {
		all.Go(func() {
			n, p := i%5, places[i%5]
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			defer func() { _ = recover() }()
			switch i % 7 {
			case 1: // canceled in the middle
				_ = db.Tenant(ctx, p.customer, func(tx *store.Tx) error {
					cancel()
					return tx.Exec("SELECT pg_sleep(0.01)").Error
				})
			case 2:
				_ = db.Tenant(ctx, p.customer, func(*store.Tx) error { panic("boom") })
			case 3:
				if err := db.System(ctx, look(t, "", 0)); err != nil {
					t.Error(err)
				}
				nobody.Add(1)
			case 4: // a pipeline, which sets the tenant on the pool's connections in another way
				if _, err := db.Submit(ctx, y.submission(p, sweep.DryRun, 0)); err != nil {
					t.Error(err)
				}
			default:
				if err := db.Tenant(ctx, p.customer, look(t, p.customer.String(), n+1)); err != nil {
					t.Error(err)
				}
				looked.Add(1)
			}
		})
	}
	all.Wait()
	require.Equal(t, [2]int32{172, 57}, [2]int32{looked.Load(), nobody.Load()})
	require.LessOrEqual(t, db.Stat().TotalConns(), int32(4))
	left, err := db.Left(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, left)
	for _, tenant := range left {
		require.Empty(t, tenant, "a tenant outlived its transaction")
	}
}
