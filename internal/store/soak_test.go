package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// soak is many customers' transactions over few connections, and what they saw.
type soak struct {
	*yard
	db                    *store.DB
	places                []place
	foreign, empty        atomic.Int64 // what must not be
	judged, failed, kills atomic.Int64
}

// Customer n has n+1 rows of the keep list, so that a wrong tenant shows as a wrong number, too.
func newSoak(t *testing.T, customers int) *soak {
	s := &soak{yard: newYard(t)}
	db, err := store.Open(t.Context(), store.Options{URL: s.d.URL("mailsweep_app", password), Process: "soak", MaxConns: 6})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	s.db = db
	for n := range customers {
		p := s.place("same")
		s.exec("INSERT INTO keep_list SELECT $1, i::text, now() FROM generate_series(0, $2::int) i", p.customer.String(), n)
		s.places = append(s.places, p)
	}
	return s
}

// see judges what a transaction sees of its customer n; -1 is nobody.
func (s *soak) see(tx *store.Tx, n int) error {
	var seen []string
	if err := tx.Raw("SELECT customer_id::text FROM keep_list").Scan(&seen).Error; err != nil {
		return err
	}
	s.judged.Add(1)
	own := ""
	if n >= 0 {
		own = s.places[n].customer.String()
	}
	if slices.ContainsFunc(seen, func(c string) bool { return c != own }) {
		s.foreign.Add(1)
	}
	if len(seen) != n+1 {
		s.empty.Add(1)
	}
	return nil
}

// once is one transaction of a random customer, of a random kind.
func (s *soak) once(ctx context.Context, n, kind int) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := s.places[n]
	switch kind {
	case 0: // canceled in the middle of a statement
		return s.db.Tenant(ctx, p.customer, func(tx *store.Tx) error {
			time.AfterFunc(time.Duration(rand.IntN(2_000))*time.Microsecond, cancel)
			return tx.Exec("SELECT pg_sleep(0.001)").Error
		})
	case 1: // a panic after the first look
		defer func() { _ = recover() }() // it is ours
		return s.db.Tenant(ctx, p.customer, func(tx *store.Tx) error { panic(errors.Join(s.see(tx, n), errors.New("boom"))) })
	case 2:
		return s.db.System(ctx, func(tx *store.Tx) error { return s.see(tx, -1) })
	case 3: // a pipeline, which sets the tenant on the pool's connections in another way
		_, err := s.db.Submit(ctx, s.submission(p, sweep.DryRun, 0))
		return err
	case 4: // written and taken back
		undo := errors.New("undo")
		err := s.db.Tenant(ctx, p.customer, func(tx *store.Tx) error {
			row := tx.Exec("INSERT INTO keep_list VALUES (?, 'x', now())", p.customer.String())
			return errors.Join(row.Error, undo)
		})
		if errors.Is(err, undo) {
			return nil
		}
		return err
	}
	return s.db.Tenant(ctx, p.customer, func(tx *store.Tx) error { return s.see(tx, n) })
}

const perKill = 20 // transactions at least between two kills: a slow machine must not lose all its connections

// kill ends one of the pool's backends every few milliseconds.
func (s *soak) kill(ctx context.Context) {
	root, err := pgx.Connect(ctx, s.d.Bootstrap)
	if err != nil {
		return
	}
	defer root.Close(context.WithoutCancel(ctx))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for last := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			done := s.judged.Load() + s.failed.Load()
			if done-last < perKill {
				continue
			}
			last = done
			if tag, err := root.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'mailsweep_app' ORDER BY random() LIMIT 1"); err == nil {
				s.kills.Add(tag.RowsAffected())
			}
		}
	}
}

// TEN-7, TEN-8: transactions of fifty customers over six connections, some canceled, some panicking, some without a tenant, some in a pipeline, while
// connections are killed: never a foreign row, never an empty answer where rows are. With the tenant's setting left out of transactions, every look is empty.
func TestFiftyCustomersNeverMixOnSixConnections(t *testing.T) {
	t.Parallel()
	operations := int64(8_000)
	if os.Getenv("FULL") != "" {
		operations = 200_000
	}
	s := newSoak(t, 50)
	killing, stop := context.WithCancel(t.Context())
	var all, killer sync.WaitGroup
	killer.Go(func() { s.kill(killing) })
	var left atomic.Int64
	left.Store(operations)
	for range 16 {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := s.once(t.Context(), rand.IntN(len(s.places)), rand.IntN(20)); err != nil {
					s.failed.Add(1)
				}
			}
		})
	}
	all.Wait()
	stop()
	killer.Wait()
	told := fmt.Sprintf("%d transactions: %d looked, %d failed, %d connections killed", operations, s.judged.Load(), s.failed.Load(), s.kills.Load())
	t.Log(told)
	require.Zero(t, s.foreign.Load(), told)
	require.Zero(t, s.empty.Load(), told)
	require.Greater(t, s.judged.Load(), operations/2, told)
	require.Greater(t, s.kills.Load(), int64(5), told)
	held, err := s.db.Left(t.Context())
	require.NoError(t, err)
	for _, tenant := range held {
		require.Empty(t, tenant, "a tenant outlived its transaction")
	}
}
