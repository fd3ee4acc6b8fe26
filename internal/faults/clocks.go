package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"mailsweep/internal/dev/stack"
)

// own is the settings of drills that need an installation of their own.
func own() map[string]string { return map[string]string{"CLOCK_OFFSET": "0s"} }

// travel restarts processes with a business clock that shows moment.
func (d *drill) travel(ctx context.Context, moment time.Time, names ...string) error {
	for _, name := range names {
		d.Children[name].Interrupt()
	}
	for _, name := range names {
		d.Children[name].Wait(30 * time.Second)
		d.settings[name]["CLOCK_OFFSET"] = time.Until(moment).Round(time.Second).String()
		if err := d.spawn(name); err != nil {
			return err
		}
	}
	return d.Await(ctx, names...)
}

// monthEnd is the end of the month of a moment, in UTC.
func monthEnd(t time.Time) time.Time {
	return time.Date(t.UTC().Year(), t.UTC().Month()+1, 1, 0, 0, 0, 0, time.UTC)
}

// third adds one more scheduler.
func (d *drill) third() error {
	at, err := stack.FreeAddresses(2)
	if err != nil {
		return err
	}
	return d.add("scheduler-3", at[0], at[1])
}

// schedulers is F-05: three schedulers start in the same second at the turn of a month, one is killed; every customer's period turns once
// and each hears of it once.
func schedulers(ctx context.Context, d *drill) error {
	people, err := d.join(ctx, 4, 300)
	if err != nil {
		return err
	}
	if err := d.third(); err != nil {
		return err
	}
	end := monthEnd(time.Now())
	for i := range d.n {
		if err := d.turn(ctx, people, end, i+1); err != nil {
			return err
		}
		end = monthEnd(end)
	}
	d.heardOnce(people, time.Until(end.AddDate(0, -1, 0)) > trial)
	return nil
}

// trial is how long one lasts.
const trial = 14 * 24 * time.Hour

// heardOnce sees that each was told of every new period, and of the trial's end if that is past, once.
func (d *drill) heardOnce(people []*person, over bool) {
	want := map[string]int{"quota_fresh": d.n, "trial_ended": 0}
	if over {
		want["trial_ended"] = 1
	}
	for _, p := range people {
		for kind, n := range want {
			if got := d.mails(p, kind); got != n {
				d.v.wrong("%s got %d mails %s, not %d", p.Email, got, kind, n)
			}
		}
	}
}

func (d *drill) turn(ctx context.Context, people []*person, end time.Time, nth int) error {
	if err := d.travel(ctx, end.Add(-time.Hour), d.names()...); err != nil {
		return err
	}
	cs, err := d.executed(ctx, people)
	if err != nil {
		return err
	}
	struck, err := d.together(end.Add(2 * time.Second))
	if err != nil {
		return err
	}
	pause(ctx, time.Duration(d.rng.Int64N(int64(1500*time.Millisecond))))
	if err := d.kill(d.all("scheduler")[d.rng.IntN(3)]); err != nil {
		return err
	}
	d.v.Strikes++
	err = until(ctx, 2*time.Minute+30*time.Second, "everybody hears of the new period", func() bool {
		for _, p := range people {
			if d.mails(p, "quota_fresh") < nth {
				return false
			}
		}
		return true
	})
	if err != nil {
		d.v.lost("%s", err)
	}
	d.v.recovered(struck)
	return d.conclude(ctx, cs)
}

// together starts all schedulers in the same moment, with clocks that show another.
func (d *drill) together(moment time.Time) (at time.Time, err error) {
	for _, name := range d.all("scheduler") {
		d.Children[name].Interrupt()
	}
	for _, name := range d.all("scheduler") {
		d.Children[name].Wait(30 * time.Second)
		d.settings[name]["CLOCK_OFFSET"] = time.Until(moment).Round(time.Second).String()
	}
	at = time.Now()
	for _, name := range d.all("scheduler") {
		if err := d.spawn(name); err != nil {
			return at, err
		}
	}
	return at, nil
}

// executed signs everybody in and lets them clean, to the end.
func (d *drill) executed(ctx context.Context, people []*person) ([]*cleanup, error) {
	if err := each(people, func(_ int, p *person) error { return p.signIn(ctx) }); err != nil {
		return nil, err
	}
	cs, err := previews(ctx, people)
	if err != nil {
		return nil, err
	}
	return cs, each(cs, func(_ int, c *cleanup) error {
		if err := c.execute(ctx); err != nil {
			return err
		}
		return c.finish(ctx, repeatLimit)
	})
}

// turns are months that end in special ways: this one, a year, a month before a short one, a leap year's February.
func turns() []time.Time {
	return []time.Time{monthEnd(time.Now()), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 3, 1, 0, 0, 0, 0, time.UTC)}
}

// monthTurns is F-17: jobs run over the turn of a month; each unit counts in the month that it was reserved in, and who comes after the
// turn finds the quota whole.
func monthTurns(ctx context.Context, d *drill) error {
	n := 3
	if d.full {
		n = 60
	}
	people, err := d.join(ctx, n, 3000)
	if err != nil {
		return err
	}
	for i := range d.n {
		if err := d.over(ctx, people, turns()[i%len(turns())]); err != nil {
			return err
		}
	}
	return nil
}

func (d *drill) over(ctx context.Context, people []*person, end time.Time) error {
	lead := 20*time.Second + time.Duration(len(people))*300*time.Millisecond
	if err := d.travel(ctx, end.Add(-lead), d.names()...); err != nil {
		return err
	}
	turn := time.Now().Add(lead) // or a little sooner: the restart took its time
	if err := each(people, func(_ int, p *person) error { return p.signIn(ctx) }); err != nil {
		return err
	}
	cs, err := previews(ctx, people)
	if err != nil {
		return err
	}
	pause(ctx, time.Until(turn.Add(-5*time.Second)))
	d.slowly(2500 * time.Millisecond)
	if err := each(cs, func(_ int, c *cleanup) error { return c.execute(ctx) }); err != nil {
		return err
	}
	pause(ctx, time.Until(turn.Add(time.Second)))
	d.v.Strikes++
	for _, c := range cs {
		if err := d.whole(ctx, c.who, end); err != nil {
			return err
		}
	}
	d.Sim.ClearFaults()
	if err := d.conclude(ctx, cs); err != nil {
		return err
	}
	return d.counted(ctx, cs, end)
}

// whole sees that a customer's new period is untouched by what runs.
func (d *drill) whole(ctx context.Context, p *person, begins time.Time) error {
	var usage struct {
		Period         string
		Used, Reserved int
	}
	if err := p.do(ctx, "GET", "/api/v1/gmail/usage", "", nil, &usage); err != nil {
		return err
	}
	if usage.Period != begins.Format("2006-01") || usage.Used+usage.Reserved != 0 {
		d.v.wrong("after the turn %s sees period %s with %d used and %d reserved", p.Email, usage.Period, usage.Used, usage.Reserved)
	}
	return nil
}

// counted sees that what was cleaned was counted in the month before the turn, and nothing of it after.
func (d *drill) counted(ctx context.Context, cs []*cleanup, end time.Time) error {
	for _, c := range cs {
		var before, after int
		err := d.judge.QueryRow(ctx, `SELECT coalesce(sum(emails) FILTER (WHERE period_start < $2), 0), coalesce(sum(emails) FILTER (WHERE period_start >= $2), 0)
			FROM usage_ledger WHERE job_id = $1::uuid`, hexOf(c.job.ID), end).Scan(&before, &after)
		if err != nil {
			return fmt.Errorf("ask the ledger: %w", err)
		}
		if before != c.toClean || after != 0 {
			d.v.wrong("%s cleaned %d: %d counted before the turn, %d after", c.job.ID, c.toClean, before, after)
		}
	}
	return nil
}

// jumped is F-16: the clocks of the programs differ and jump while jobs run.
func jumped(ctx context.Context, d *drill) error {
	jumps := []time.Duration{time.Hour, -time.Hour, -5 * time.Minute, 40 * 24 * time.Hour, time.Second}
	n := d.rng.IntN(len(jumps))
	err := d.rounds(ctx, 3, 5000, func([]*cleanup) error {
		jump := jumps[n%len(jumps)]
		n++
		struck := time.Now()
		if err := d.travel(ctx, time.Now().Add(jump), "worker"); err != nil {
			return err
		}
		if err := d.travel(ctx, time.Now().Add(-2*time.Minute), "worker-2"); err != nil {
			return err
		}
		if err := d.travel(ctx, time.Now().Add(2*time.Minute), "scheduler"); err != nil {
			return err
		}
		d.v.recovered(struck)
		return nil
	})
	if err != nil {
		return err
	}
	b, err := json.Marshal(jumps)
	d.v.note("the workers' clocks jumped by a choice of %s ns; the others differ by 4 min", b)
	return err
}
