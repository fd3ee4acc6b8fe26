package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"mailsweep/internal/faults/wire"
)

// point is a place between a program and what it talks to, at which the program is killed: before its message arrives, or after it was
// answered and before it hears.
type point struct {
	name    string
	program string
	service string
	says    []string // the message holds all of these
	never   string   // and not this
	answer  string   // what the answer must hold; empty: any
	moment  wire.Moment
}

func (p point) String() string { return fmt.Sprintf("%s %s %s", p.program, p.moment, p.name) }

func (p point) matches(message string) bool {
	for _, s := range p.says {
		if !strings.Contains(message, s) {
			return false
		}
	}
	return p.never == "" || !strings.Contains(message, p.never)
}

// points are all steps of a cleanup, from the submit to the last row, twice each.
func points() (all []point) {
	for _, p := range []point{
		{name: "submit", program: "api", service: postgres, says: []string{"INSERT INTO jobs", "idempotency_keys"}},
		{name: "dispatch", program: "leader", service: postgres, says: []string{"sys.dispatch_line"}, answer: "execute"},
		{name: "enqueue", program: "leader", service: redis, says: []string{":t:job:", ":pending"}, never: ":active"},
		{name: "dequeue", program: "worker", service: redis, says: []string{"{bulk}:pending", "{bulk}:active", "{bulk}:lease"}, answer: "job_id"},
		{name: "claim", program: "worker", service: postgres, says: []string{"UPDATE jobs j SET state = 'running'"}},
		{name: "renew", program: "worker", service: postgres, says: []string{"WITH was AS", "lease_until"}},
		{name: "follow history", program: "worker", service: gmail, says: []string{"/history"}},
		{name: "list messages", program: "worker", service: gmail, says: []string{"/messages?"}},
		{name: "token", program: "worker", service: gmail, says: []string{"POST /token"}},
		{name: "save index", program: "worker", service: postgres, says: []string{"INSERT INTO mailbox_indexes"}},
		{name: "save plan", program: "worker", service: postgres, says: []string{"INSERT INTO cleanup_plans"}},
		{name: "start run", program: "worker", service: postgres, says: []string{"INSERT INTO cleanup_runs"}},
		{name: "begin batch", program: "worker", service: postgres, says: []string{"INSERT INTO batches"}},
		{name: "Gmail call", program: "worker", service: gmail, says: []string{"batchModify"}},
		{name: "settle batch", program: "worker", service: postgres, says: []string{"INSERT INTO usage_ledger", "UPDATE usage_tracking"}},
		{name: "result and end", program: "worker", service: postgres, says: []string{"UPDATE jobs SET state = ", "release_lane"}},
		{name: "ack", program: "worker", service: redis, says: []string{":active", ":lease", ":t:job:"}, never: ":pending"},
	} {
		for _, p.moment = range []wire.Moment{wire.Before, wire.After} {
			all = append(all, p)
		}
	}
	return all
}

// killedAtPoints is F-02: a cleanup and its undo for each point, the program is killed there and started again.
func killedAtPoints(ctx context.Context, d *drill) error {
	people, err := d.join(ctx, 1, 4000)
	if err != nil {
		return err
	}
	all := points()
	order := d.rng.Perm(len(all))
	seen := map[string]bool{}
	for i := range d.n {
		p := all[order[i%len(order)]]
		if err := d.killAt(ctx, p, people[0]); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		seen[p.String()] = true
	}
	d.v.note("%d distinct points of %d", len(seen), len(all))
	if d.full && len(seen) < 25 {
		d.v.wrong("only %d distinct points", len(seen))
	}
	return nil
}

// killAt arms the point, runs preview, cleanup and undo into it, and sees that all end right.
func (d *drill) killAt(ctx context.Context, p point, who *person) error {
	reached := d.kills(p)
	d.slowly(1200 * time.Millisecond) // time for two heartbeats
	c, err := who.preview(ctx)
	if err != nil {
		return err
	}
	if err := c.execute(ctx); err != nil {
		return err
	}
	if err := d.conclude(ctx, []*cleanup{c}); err != nil {
		return err
	}
	reached()
	return d.calm(ctx)
}

// kills arms the point with a kill -9 and a new start. reached tells, when all is over, how that went.
func (d *drill) kills(p point) (reached func()) {
	struck := make(chan time.Time, 1)
	d.arm(p, func(name string) {
		struck <- time.Now()
		d.Children[name].Kill()
		if err := d.spawn(name); err != nil {
			d.v.wrong("%s did not start again: %s", name, err)
		}
	})
	return func() {
		select {
		case at := <-struck:
			d.v.Strikes++
			d.v.recovered(at)
		default:
			d.v.wrong("%s was never reached", p)
		}
	}
}

// arm sets the trap at every process that may come to the point; the first that does is struck.
func (d *drill) arm(p point, strike func(name string)) {
	var once sync.Once
	names := d.all(p.program)
	if p.program == "leader" {
		names = append(d.all("api"), d.all("scheduler")...)
	}
	for _, name := range names {
		t := &wire.Trap{Match: p.matches, Moment: p.moment, Strike: func() { once.Do(func() { strike(name) }) }}
		if p.answer != "" {
			t.Answer = func(answer []byte) bool { return bytes.Contains(answer, []byte(p.answer)) }
		}
		if p.answer != "" && p.moment == wire.Before {
			t.Answer = nil // there is none yet
		}
		d.wires[name][p.service].Arm(t)
	}
}
