// Package store is PostgreSQL, tenant by tenant: one transaction that carries the customer is the only way to the data.
package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"mailsweep/internal/sweep"
)

// DB is a pool of connections of one role. Open makes it; Close gives the connections back.
type DB struct {
	gorm     *gorm.DB
	pool     *pgxpool.Pool
	offset   time.Duration
	patience time.Duration
	ended    func(Ended)
	notifier *notifier
}

// Options says how to open a DB.
type Options struct {
	URL         string        // of a role that owns nothing
	Process     string        // shown to the database as application_name
	MaxConns    int32         // 0: 16
	ClockOffset time.Duration // business time = the database's clock + this
	Patience    time.Duration // how long one transaction may take before ErrAway; 0: as long as the database bears it
	Ended       func(Ended)   // called for each job that this process ended, once that is committed; nil: nobody counts

	Told func(context.Context, Statement) // called after each statement with the context it was made in; nil: nobody looks
}

// Open connects and refuses to go on as superuser, as a role that bypasses row-level security or owns tables, or on another
// schema version than the binary's.
func Open(ctx context.Context, o Options) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, sweep.Errorf(sweep.Invalid, "the database URL cannot be parsed")
	}
	cfg.MaxConns = max(o.MaxConns, 4)
	if o.MaxConns == 0 {
		cfg.MaxConns = 16
	}
	params := cfg.ConnConfig.RuntimeParams
	params["application_name"] = "mailsweep-" + o.Process
	params["timezone"] = "UTC"
	params["statement_timeout"] = "30000"
	params["idle_in_transaction_session_timeout"] = "60000"
	if o.ClockOffset != 0 {
		params["app.clock_offset"] = fmt.Sprintf("%d microseconds", o.ClockOffset.Microseconds()) // for what triggers date
	}
	if o.Told != nil {
		cfg.ConnConfig.Tracer = teller(o.Told)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db, err := wrap(pool, o.ClockOffset)
	if err == nil {
		db.patience, db.ended = o.Patience, o.Ended
		err = db.check(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return db, nil
}

// hideParameters, once a process: gorm prints parameter values of Scan even when told not to, and this filter is where it asks.
var hideParameters = sync.OnceFunc(func() {
	logger.RecorderParamsFilter = func(_ context.Context, sql string, _ ...any) (string, []any) { return sql, nil }
})

func wrap(pool *pgxpool.Pool, offset time.Duration) (*DB, error) {
	hideParameters()
	g, err := gorm.Open(postgres.New(postgres.Config{Conn: stdlib.OpenDBFromPool(pool)}), &gorm.Config{
		SkipDefaultTransaction: true, TranslateError: true, DisableAutomaticPing: true, Logger: logger.Discard,
	})
	if err != nil {
		return nil, fmt.Errorf("open gorm: %w", err)
	}
	return &DB{gorm: g, pool: pool, offset: offset, notifier: newNotifier(pool)}, nil
}

// Close waits for running transactions and closes the pool.
func (db *DB) Close() {
	db.notifier.wait()
	if sql, err := db.gorm.DB(); err == nil {
		sql.Close()
	}
	db.pool.Close()
}

// Ping answers whether the database is there, for readiness.
func (db *DB) Ping(ctx context.Context) error { return db.pool.Ping(ctx) }

// Stat is the pool's use, for metrics.
func (db *DB) Stat() *pgxpool.Stat { return db.pool.Stat() }

// Tx is one transaction of one customer (or of none, see System). Now is business time, read once.
type Tx struct {
	*gorm.DB
	Customer sweep.ID
	Now      time.Time
	after    *aftermath
}

// Tenant runs f in a transaction that sees and writes the rows of one customer only. An error of f rolls back. No network call
// belongs inside. Lock order: customer, job, usage.
func (db *DB) Tenant(ctx context.Context, customer sweep.ID, f func(*Tx) error) error {
	if customer.IsZero() {
		return sweep.Errorf(sweep.Internal, "a tenant transaction without a customer")
	}
	return db.run(ctx, customer, f)
}

// System runs f in a transaction without a tenant: tenant tables show no rows; the definer functions and the tables without a
// customer (duties, halts, security_events) answer.
func (db *DB) System(ctx context.Context, f func(*Tx) error) error {
	return db.run(ctx, sweep.ID{}, f)
}

func (db *DB) run(caller context.Context, customer sweep.ID, f func(*Tx) error) error {
	ctx, done := db.patient(caller)
	defer done()
	after := aftermath{changed: map[sweep.ID]int64{}}
	err := db.gorm.WithContext(ctx).Transaction(func(g *gorm.DB) error {
		now, err := enter(g, customer)
		if err != nil {
			return err
		}
		return f(&Tx{DB: g, Customer: customer, Now: now.UTC().Add(db.offset), after: &after})
	})
	if err != nil {
		return away(caller, err)
	}
	db.tell(customer, after)
	return nil
}

// enter lets a transaction see the rows of one customer, or of none, and gives when it began.
func enter(g *gorm.DB, customer sweep.ID) (began time.Time, err error) {
	tenant := ""
	if !customer.IsZero() {
		tenant = customer.String()
	}
	// transaction-local: a pooled connection never carries a tenant into the next transaction
	if err := g.Raw("SELECT now() FROM set_config('app.customer_id', ?, true)", tenant).Row().Scan(&began); err != nil {
		return began, fmt.Errorf("enter tenant transaction: %w", err)
	}
	return began, nil
}

// As does f as another customer in this transaction: both commit, or neither does. It is for what belongs to a person and not to one customer. Roll back
// when it fails. f changes no jobs, whose watchers would not hear of it.
func (tx *Tx) As(customer sweep.ID, f func(*Tx) error) error {
	if _, err := enter(tx.DB, customer); err != nil {
		return err
	}
	err := f(&Tx{DB: tx.DB, Customer: customer, Now: tx.Now, after: &aftermath{}})
	if _, back := enter(tx.DB, tx.Customer); err == nil { // after a statement that failed none works any more, this one neither
		err = back
	}
	return err
}

// NewID makes an id that carries this transaction's time.
func (tx *Tx) NewID() sweep.ID {
	id, err := sweep.NewID(tx.Now, rand.Reader)
	if err != nil {
		panic(fmt.Sprintf("no randomness: %v", err)) // crypto/rand never fails on a supported system
	}
	return id
}

// batch sends several statements in one round trip, without BEGIN: the protocol makes a pipeline one implicit transaction. It is for
// the hot paths, where three round trips more would cost two thirds of the rate. An error undoes all of it. Statements keep one plan per
// connection: to plan over all months of jobs costs more than what any of them does.
func (db *DB) batch(caller context.Context, customer sweep.ID, queue func(*pgx.Batch)) error {
	ctx, done := db.patient(caller)
	defer done()
	b := &pgx.Batch{}
	b.Queue("SELECT set_config('app.customer_id', $1, true), set_config('plan_cache_mode', 'force_generic_plan', true)", customer.String())
	queue(b)
	return away(caller, db.pool.SendBatch(ctx, b).Close())
}
