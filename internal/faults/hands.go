package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mailsweep/internal/sim/google"
)

// rolled is F-03: all workers are restarted in turn, in order; none may count as a failure of a job.
func rolled(ctx context.Context, d *drill) error {
	return d.rounds(ctx, 4, 5000, func([]*cleanup) error {
		before, err := d.countedAgainst(ctx)
		if err != nil {
			return err
		}
		for _, name := range d.all("worker") {
			if err := d.restart(ctx, name); err != nil {
				return err
			}
		}
		now, err := d.countedAgainst(ctx)
		if now > before {
			d.v.wrong("%d jobs have a failure counted against them", now-before)
		}
		return err
	})
}

// countedAgainst is how many jobs ended a claim without getting on; drills before this one that killed workers have left some.
func (d *drill) countedAgainst(ctx context.Context) (jobs int, err error) {
	if err := d.judge.QueryRow(ctx, `SELECT count(*) FROM jobs WHERE barren > 0`).Scan(&jobs); err != nil {
		return 0, fmt.Errorf("ask for counted failures: %w", err)
	}
	return jobs, nil
}

// restart ends a process in order and starts it again; what recovers is its drain.
func (d *drill) restart(ctx context.Context, name string) error {
	struck := time.Now()
	d.Children[name].Interrupt()
	d.Children[name].Wait(40 * time.Second)
	d.v.recovered(struck)
	if code := d.Children[name].ExitCode(); code != 0 {
		d.v.wrong("%s ended with %d: %s", name, code, d.Children[name].Tail())
	}
	if err := d.spawn(name); err != nil {
		return err
	}
	return d.Await(ctx, name)
}

// asleep is J-01: a worker stops in the middle for longer than its lease and wakes up when others have its jobs.
func asleep(ctx context.Context, d *drill) error {
	sleeps := 25 * time.Second
	if d.full {
		sleeps = 90 * time.Second
	}
	err := d.rounds(ctx, 3, 9000, func([]*cleanup) error {
		name := d.all("worker")[d.rng.IntN(2)]
		d.Children[name].Freeze()
		struck := time.Now()
		jobs, err := d.held(ctx, name)
		if err != nil {
			return err
		}
		d.goOn(ctx, jobs, struck)
		pause(ctx, time.Until(struck.Add(sleeps)))
		d.Children[name].Thaw()
		return nil
	})
	d.v.note("%d claims of sleepers were told that others have their jobs", d.told("fenced: another claim has this job"))
	return err
}

// told counts a sentence in the workers' logs.
func (d *drill) told(sentence string) (n int) {
	for _, name := range d.all("worker") {
		if b, err := os.ReadFile(filepath.Join(d.logs, name+".log")); err == nil {
			n += strings.Count(string(b), sentence)
		}
	}
	return n
}

// deaf is J-02: a worker is told to stop while Gmail does not answer it; it goes all the same, and its job goes on elsewhere.
func deaf(ctx context.Context, d *drill) error {
	return d.rounds(ctx, 2, 7000, func(cs []*cleanup) error {
		d.Sim.ClearFaults()
		d.Sim.Inject(google.Fault{Method: "messages.batchModify", Hang: true})
		for _, name := range d.all("worker") {
			jobs, err := d.held(ctx, name)
			if err != nil {
				return err
			}
			struck := time.Now()
			d.Children[name].Interrupt()
			d.Children[name].Wait(shutdownTime + 7*time.Second)
			if took := time.Since(struck); took > shutdownTime+5*time.Second {
				d.v.wrong("%s took %s to stop; it may take %s", name, took.Round(100*time.Millisecond), shutdownTime)
			}
			if err := d.spawn(name); err != nil {
				return err
			}
			d.Sim.ClearFaults()
			d.goOn(ctx, jobs, struck)
			d.Sim.Inject(google.Fault{Method: "messages.batchModify", Hang: true})
		}
		return d.up(ctx)
	})
}

// shutdownTime is what the programs of J-02 are given.
const shutdownTime = 4 * time.Second
