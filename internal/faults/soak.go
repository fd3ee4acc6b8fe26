package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mailsweep/internal/sim/google"
)

// strikes are what the soak chooses from.
func (d *drill) strikes(ctx context.Context) map[string]func() error {
	anyOf := func(program string) string { return d.all(program)[d.rng.IntN(2)] }
	return map[string]func() error{
		"kill a worker":           func() error { return d.kill(anyOf("worker")) },
		"kill an API":             func() error { return d.kill(anyOf("api")) },
		"kill a scheduler":        func() error { return d.kill(anyOf("scheduler")) },
		"restart a worker":        func() error { return d.restart(ctx, anyOf("worker")) },
		"empty Redis":             func() error { return d.redis.FlushAll(ctx).Err() },
		"restart PostgreSQL":      func() error { return d.Services.Postgres.Restart(ctx) },
		"Redis away for 4 s":      func() error { return d.badly(ctx, 4*time.Second, func() error { d.weather.cut(redis); return nil }) },
		"PostgreSQL away for 3 s": func() error { return d.badly(ctx, 3*time.Second, func() error { d.weather.cut(postgres); return nil }) },
		"PostgreSQL slow for 4 s": func() error {
			return d.badly(ctx, 4*time.Second, func() error { return d.weather.slow(postgres, 100*time.Millisecond) })
		},
		"Gmail silent for 4 s":     func() error { return d.badly(ctx, 4*time.Second, func() error { return d.weather.blackhole(gmail) }) },
		"Gmail's answers lost":     func() error { d.Sim.Inject(google.Fault{ResetAfterEffect: true, Probability: 0.2}); return nil },
		"Gmail refuses 30 %":       func() error { d.Sim.Inject(google.Fault{Status: 503, Probability: 0.3}); return nil },
		"a worker sleeps for 18 s": func() error { return d.nap(ctx, anyOf("worker"), 18*time.Second) },
	}
}

func (d *drill) nap(ctx context.Context, name string, lasts time.Duration) error {
	d.Children[name].Freeze()
	pause(ctx, lasts)
	d.Children[name].Thaw()
	return nil
}

// soaked is F-27: a mix of all, chosen by the seed, while everybody cleans and undoes without rest. Each number of d.n is a minute.
func soaked(ctx context.Context, d *drill) error {
	people, err := d.join(ctx, 5, 3000)
	if err != nil {
		return err
	}
	strikes := d.strikes(ctx)
	names := make([]string, 0, len(strikes))
	for name := range strikes {
		names = append(names, name)
	}
	slices.Sort(names) // a map's order is not the seed's
	mark, first := d.calls.mark(), time.Now()
	done := map[string]int{}
	for end := first.Add(time.Duration(d.n) * time.Minute); time.Now().Before(end) && ctx.Err() == nil; {
		name := names[d.rng.IntN(len(names))]
		err := d.round(ctx, people, func([]*cleanup) error {
			done[name]++
			return strikes[name]()
		})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	d.v.note("%v", done)
	d.v.note("%s", d.calls.since(mark))
	return d.remembered()
}

// remembered notes the most memory that each process held.
func (d *drill) remembered() error {
	for _, name := range d.names() {
		peak, err := d.peak(name)
		if err != nil {
			return err
		}
		d.v.note("%s: at most %d MiB", name, peak>>20)
	}
	return nil
}
