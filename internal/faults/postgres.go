package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// crashedPostgres is F-06: the database stops as in a crash, under load, and comes back.
func crashedPostgres(ctx context.Context, d *drill) error {
	var back time.Time
	err := d.rounds(ctx, 4, 3000, func(cs []*cleanup) error {
		return d.during(ctx, cs, func() (err error) {
			if err = d.Services.Postgres.Restart(ctx); err != nil { // SIGQUIT: immediate
				return err
			}
			back = time.Now()
			return nil
		}, func() error { return d.readyAgain(ctx, back) })
	})
	return err
}

// answerLimit is how soon a call that comes to nothing must do so: five seconds, and one for the machine.
const answerLimit = 6 * time.Second

// during keeps the cleanups' owners submitting while the fault lasts and until it is mended: what they hear is judged, what they asked for is there.
func (d *drill) during(ctx context.Context, cs []*cleanup, fault, mended func() error) error {
	load, stop := context.WithCancel(ctx)
	defer stop()
	mark := d.calls.mark()
	ended := make(chan error, 1)
	go func() {
		ended <- each(cs, func(_ int, c *cleanup) error {
			for load.Err() == nil {
				if err := c.who.submit(ctx); err != nil {
					return err
				}
				pause(load, 100*time.Millisecond)
			}
			return nil
		})
	}()
	err := fault()
	if err == nil {
		err = mended()
	}
	stop()
	if err := <-ended; err != nil {
		d.v.lost("a submit: %s", err)
	}
	t := d.calls.since(mark)
	d.v.note("%s", t)
	if t.hopeless > answerLimit {
		d.v.wrong("a call came to nothing only after %s", t.hopeless)
	}
	return err
}

// readyAgain waits until every process says that it is ready, and one job more has gone through.
func (d *drill) readyAgain(ctx context.Context, since time.Time) error {
	if err := d.up(ctx); err != nil {
		return err
	}
	d.v.recovered(since)
	return nil
}

// frozenPostgres is F-07: the database hangs, answers slowly, breaks connections in the middle of transactions. Calls fail soon and with
// a 503.
func frozenPostgres(ctx context.Context, d *drill) error {
	still := 8 * time.Second
	if d.full {
		still = 30 * time.Second
	}
	faults := []func() error{
		func() error { return d.stopped(ctx, d.Services.Postgres.Pid(), still) },
		func() error {
			return d.badly(ctx, still, func() error { return d.weather.slow(postgres, 300*time.Millisecond) })
		},
		func() error {
			return d.badly(ctx, still, func() error { return d.weather.resets(postgres, 0.3, 50*time.Millisecond) })
		},
		func() error { return d.badly(ctx, still, func() error { return d.weather.blackhole(postgres) }) },
	}
	n := 0
	return d.rounds(ctx, 3, 3000, func(cs []*cleanup) error {
		fault := faults[n%len(faults)]
		n++
		var back time.Time
		return d.during(ctx, cs, func() error {
			err := fault()
			back = time.Now()
			return err
		}, func() error { return d.readyAgain(ctx, back) })
	})
}

// badly lets bad weather last for a while.
func (d *drill) badly(ctx context.Context, lasts time.Duration, begin func() error) error {
	if err := begin(); err != nil {
		return err
	}
	pause(ctx, lasts)
	d.weather.clear()
	return nil
}

// stopped freezes a server with all its children.
func (d *drill) stopped(ctx context.Context, pid int, lasts time.Duration) error {
	family, err := familyOf(pid)
	if err != nil {
		return err
	}
	for _, p := range family {
		_ = syscall.Kill(p, syscall.SIGSTOP) // a connection may have ended meanwhile
	}
	pause(ctx, lasts)
	for _, p := range family {
		_ = syscall.Kill(p, syscall.SIGCONT) // as above
	}
	return nil
}

// familyOf is a process and its children.
func familyOf(pid int) ([]int, error) {
	family := []int{pid}
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, file := range all {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			if child, err := strconv.Atoi(strings.Split(file, "/")[2]); err == nil {
				family = append(family, child)
			}
		}
	}
	return family, nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
