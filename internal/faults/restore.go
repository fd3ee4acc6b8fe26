package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// restored is F-26: the database is lost and brought back as it was in the middle of a cleanup that has since ended; Redis is empty.
// Nothing is done to a mailbox twice, and the books agree.
func restored(ctx context.Context, d *drill) error {
	people, err := d.join(ctx, 3, 4000)
	for i := 0; i < d.n && err == nil; i++ {
		err = d.backAndForth(ctx, people)
	}
	return err
}

func (d *drill) backAndForth(ctx context.Context, people []*person) error {
	cs, err := d.underWay(ctx, people)
	if err != nil {
		return err
	}
	backup := filepath.Join(os.TempDir(), fmt.Sprintf("mailsweep-faults-%d.dump", os.Getpid()))
	defer os.Remove(backup)
	if err := d.tool("pg_dump", "-Fc", "-f", backup, d.database); err != nil {
		return err
	}
	d.Sim.ClearFaults()
	if err := each(cs, func(_ int, c *cleanup) error { return c.finish(ctx, repeatLimit) }); err != nil {
		return err
	}
	begun := time.Now()
	if err := d.replace(ctx, backup); err != nil {
		return err
	}
	d.v.Strikes++
	for _, c := range cs {
		c.job.State = "queued" // as the backup says: it is to be followed again
	}
	if err := d.conclude(ctx, cs); err != nil {
		return err
	}
	d.v.recovered(begun)
	return nil
}

// replace ends the programs, puts the backup in the database's place, empties Redis and starts the programs again.
func (d *drill) replace(ctx context.Context, backup string) error {
	for _, name := range d.names() {
		d.Children[name].Kill()
	}
	at, err := url.Parse(d.database)
	if err != nil {
		return fmt.Errorf("read the database's URL: %w", err)
	}
	if err := d.tool("psql", d.Services.PostgresURL, "-qc", `DROP DATABASE "`+strings.TrimPrefix(at.Path, "/")+`" WITH (FORCE)`); err != nil {
		return err
	}
	if err := d.tool("pg_restore", "-C", "-d", d.Services.PostgresURL, backup); err != nil {
		return err
	}
	d.judge.Reset()
	if _, err := d.redisSays(ctx, "FLUSHALL"); err != nil {
		return err
	}
	for _, name := range d.names() {
		if err := d.spawn(name); err != nil {
			return err
		}
	}
	return d.up(ctx)
}

// tool runs a program of PostgreSQL's.
func (d *drill) tool(name string, args ...string) error {
	if out, err := d.Services.Postgres.Tool(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// deployed is F-20: while jobs run and are submitted, the newest migration is taken back and made again, and every program is restarted.
func deployed(ctx context.Context, d *drill) error {
	newest, down, err := newestMigration(filepath.Join(d.root, "migrations"))
	if err != nil {
		return err
	}
	var longest time.Duration
	err = d.rounds(ctx, 3, 5000, func(cs []*cleanup) error {
		return d.during(ctx, cs, func() error {
			waits, stop := d.watchLocks(ctx)
			err := d.migrated(ctx, newest, down)
			stop()
			longest = max(longest, <-waits)
			return err
		}, func() error {
			for _, name := range d.names() {
				if err := d.restart(ctx, name); err != nil {
					return err
				}
			}
			return nil
		})
	})
	d.v.note("migration %s down and up; the longest wait for a lock was %s", newest, longest.Round(time.Millisecond))
	if longest > time.Second {
		d.v.wrong("somebody waited %s for a lock", longest)
	}
	return err
}

func newestMigration(dir string) (version, down string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "0*.sql"))
	if err != nil || len(files) == 0 {
		return "", "", fmt.Errorf("find migrations in %s: %w", dir, err)
	}
	b, err := os.ReadFile(files[len(files)-1]) // sorted by name
	if err != nil {
		return "", "", fmt.Errorf("read migration: %w", err)
	}
	version, _, _ = strings.Cut(filepath.Base(files[len(files)-1]), "_")
	_, down, _ = strings.Cut(string(b), "-- +goose Down")
	return version, down, nil
}

// migrated takes the newest migration back, as its own words say, and lets the api's command make it again.
func (d *drill) migrated(ctx context.Context, version, down string) error {
	sql := "BEGIN; SET LOCAL lock_timeout = '900ms'; SET LOCAL ROLE mailsweep_owner; " + down + "; DELETE FROM goose_db_version WHERE version_id = " + strings.TrimLeft(version, "0") + "; COMMIT"
	err := d.tool("psql", d.database, "-q", "-v", "ON_ERROR_STOP=1", "-c", sql)
	for try := 0; err != nil && try < 10 && ctx.Err() == nil; try++ { // it gave way to what runs: as whoever takes a migration back would, again
		err = d.tool("psql", d.database, "-q", "-v", "ON_ERROR_STOP=1", "-c", sql)
	}
	if err != nil {
		return err
	}
	cmd := d.Command(ctx, "api", "migrate")
	cmd.Env = append(cmd.Env, "DATABASE_URL="+d.database)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("api migrate: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// watchLocks looks for the longest wait for a lock, until stopped.
func (d *drill) watchLocks(ctx context.Context) (longest chan time.Duration, stop func()) {
	ctx, stop = context.WithCancel(ctx)
	longest = make(chan time.Duration, 1)
	go func() {
		var most float64
		for ctx.Err() == nil {
			var wait float64
			err := d.judge.QueryRow(ctx, `SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0) FROM pg_locks WHERE NOT granted AND locktype <> 'advisory'`).Scan(&wait)
			if err == nil {
				most = max(most, wait)
			}
			pause(ctx, 20*time.Millisecond)
		}
		longest <- time.Duration(most * float64(time.Second))
	}()
	return longest, stop
}
