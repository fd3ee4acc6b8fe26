package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"mailsweep/internal/faults/wire"
)

// gnawed is J-03: asynq's own keys are broken in two ways: leases of tasks at work vanish, and tasks that wait keep their hash but stand
// in no list.
func gnawed(ctx context.Context, d *drill) error {
	leases, orphans := 0, 0
	err := d.rounds(ctx, 12, 3000, func([]*cleanup) error {
		struck := time.Now()
		for _, line := range []string{"bulk", "interactive"} {
			n, err := d.redis.ZRemRangeByRank(ctx, "asynq:{"+line+"}:lease", 0, -1).Result()
			if err != nil {
				return fmt.Errorf("remove leases: %w", err)
			}
			leases += int(n)
			waiting, err := d.redis.LLen(ctx, "asynq:{"+line+"}:pending").Result()
			if err != nil {
				return fmt.Errorf("count what waits: %w", err)
			}
			orphans += int(waiting)
			if err := d.redis.Del(ctx, "asynq:{"+line+"}:pending").Err(); err != nil {
				return fmt.Errorf("remove the list: %w", err)
			}
		}
		return d.dispatchedAgain(ctx, struck)
	})
	d.v.note("%d leases removed, %d tasks left without a list", leases, orphans)
	return err
}

// rivals is J-04: the leader's lock is taken from it while it dispatches, so that another leads while it still believes it does.
func rivals(ctx context.Context, d *drill) error {
	deposed := 0
	err := d.rounds(ctx, 6, 2000, func(cs []*cleanup) error {
		return d.during(ctx, cs, func() error {
			for range 5 {
				var n int
				err := d.judge.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted`).Scan(&n)
				if err != nil {
					return fmt.Errorf("depose the leader: %w", err)
				}
				deposed += n
				pause(ctx, time.Duration(d.rng.Int64N(int64(700*time.Millisecond))))
			}
			return nil
		}, func() error { return nil })
	})
	d.v.note("%d locks of leaders taken away", deposed)
	return err
}

// deafened is J-05: Redis takes a task and its answer is lost; the dispatcher asks again and hears that the task is there.
func deafened(ctx context.Context, d *drill) error {
	var struck atomic.Int64
	people, err := d.join(ctx, 3, 300)
	if err != nil {
		return err
	}
	for range d.n {
		before := struck.Load()
		for _, name := range append(d.all("api"), d.all("scheduler")...) {
			d.wires[name][redis].Arm(&wire.Trap{Match: isEnqueue, Moment: wire.After, Strike: func() { struck.Add(1) }})
		}
		for _, p := range people {
			if err := p.submit(ctx); err != nil {
				return err
			}
		}
		begun := time.Now()
		if err := until(ctx, 30*time.Second, "an answer of Redis is lost", func() bool { return struck.Load() > before }); err != nil {
			return err
		}
		if err := d.quiet(ctx); err != nil {
			return err
		}
		d.v.recovered(begun)
	}
	d.v.Strikes = int(struck.Load())
	return nil
}

// isEnqueue knows asynq's script by its keys: the task's own and the waiting list, and none of the working ones.
func isEnqueue(command string) bool {
	return strings.HasPrefix(strings.ToLower(command), "eval") && strings.Contains(command, ":t:job:") && strings.Contains(command, ":pending") && !strings.Contains(command, ":active")
}
