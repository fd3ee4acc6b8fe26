package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// args carry what ours do.
type args struct {
	Customer string `json:"customer_id"`
	Job      string `json:"job_id"`
}

func (args) Kind() string { return "job" }

var sample = args{Customer: "01890000-0000-7000-8000-000000000000", Job: "01890000-0000-7000-8000-000000000000"}

// rival is River, tuned: it is told of inserts at once, waits 2 ms between fetches, and fetches many.
type rival struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
	body   func()
	works  bool
}

type worker struct {
	river.WorkerDefaults[args]
	r *rival
}

// Work implements river.Worker.
func (w *worker) Work(context.Context, *river.Job[args]) error {
	w.r.body()
	return nil
}

func newRiver(ctx context.Context, url string) (*rival, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	cfg.MaxConns = 20
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	r := &rival{pool: pool}
	m, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err == nil {
		_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("migrate River: %w", err)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{r: r})
	r.client, err = river.NewClient(riverpgxv5.New(pool), &river.Config{Workers: workers, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 200}},
		FetchCooldown: 2 * time.Millisecond, FetchPollInterval: 5 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
	return r, err
}

func (r *rival) one(ctx context.Context) error {
	_, err := r.client.Insert(ctx, sample, nil)
	return err
}

func (r *rival) insert(ctx context.Context, n int) error {
	for n > 0 {
		some := make([]river.InsertManyParams, min(n, 1000))
		for i := range some {
			some[i] = river.InsertManyParams{Args: sample}
		}
		if _, err := r.client.InsertManyFast(ctx, some); err != nil {
			return fmt.Errorf("insert: %w", err)
		}
		n -= len(some)
	}
	return nil
}

func (r *rival) work(ctx context.Context, body func()) error {
	r.body, r.works = body, true
	return r.client.Start(ctx)
}

func (r *rival) close() {
	if r.works {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = r.client.StopAndCancel(ctx) // the process ends
	}
	r.pool.Close()
}
