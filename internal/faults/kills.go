package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"mailsweep/internal/sim/google"
)

// slowly makes every change at Gmail take a while, so that there is a middle to strike at.
func (r *rig) slowly(d time.Duration) {
	r.Sim.Inject(google.Fault{Method: "messages.batchModify", Delay: d})
}

// slowlyOf does that for one mailbox.
func (r *rig) slowlyOf(email string, d time.Duration) {
	r.Sim.Inject(google.Fault{Method: "messages.batchModify", User: email, Delay: d})
}

// midway starts cleanups and returns at a random moment at which at least one is under way.
func (d *drill) midway(ctx context.Context, cs []*cleanup) error {
	if err := each(cs, func(_ int, c *cleanup) error { return c.execute(ctx) }); err != nil {
		return err
	}
	if err := until(ctx, repeatLimit, "the first change", func() bool { return cs[0].changed() > 0 }); err != nil {
		return err
	}
	time.Sleep(time.Duration(d.rng.Int64N(int64(400 * time.Millisecond))))
	return nil
}

// underWay begins a cleanup for each of the people and returns in the middle of them.
func (d *drill) underWay(ctx context.Context, people []*person) ([]*cleanup, error) {
	cs, err := previews(ctx, people)
	if err != nil {
		return nil, err
	}
	d.slowly(500 * time.Millisecond)
	return cs, d.midway(ctx, cs)
}

// round is what most drills repeat: cleanups under way, a strike in their middle, and all end as if nothing had been.
func (d *drill) round(ctx context.Context, people []*person, strike func([]*cleanup) error) error {
	cs, err := d.underWay(ctx, people)
	if err != nil {
		return err
	}
	d.v.Strikes++
	if err := strike(cs); err != nil {
		return err
	}
	d.Sim.ClearFaults()
	return d.conclude(ctx, cs)
}

// rounds makes people and repeats the round with them as often as the drill is to strike.
func (d *drill) rounds(ctx context.Context, n, messages int, strike func([]*cleanup) error) error {
	people, err := d.join(ctx, n, messages)
	for i := 0; i < d.n && err == nil; i++ {
		err = d.round(ctx, people, strike)
	}
	return err
}

// conclude lets the cleanups end, in good weather, and judges each.
func (d *drill) conclude(ctx context.Context, cs []*cleanup) error {
	return each(cs, func(_ int, c *cleanup) error {
		if err := c.finish(ctx, repeatLimit); errors.Is(err, errStuck) {
			d.v.lost("%s", err)
			return nil
		} else if err != nil {
			return err
		}
		return d.v.settle(ctx, c)
	})
}

// held are the jobs that a worker process has in hand, with what each has settled.
func (d *drill) held(ctx context.Context, name string) (map[string]int, error) {
	rows, err := d.judge.Query(ctx, `SELECT id::text, settled FROM jobs WHERE state = 'running' AND split_part(worker, '/', 2) = $1`, fmt.Sprint(d.Children[name].Pid()))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	jobs := map[string]int{}
	for rows.Next() {
		var id string
		var settled int
		if err := rows.Scan(&id, &settled); err != nil {
			return nil, err
		}
		jobs[id] = settled
	}
	return jobs, rows.Err()
}

// goOn waits until each job has settled more, or is over, and notes how long that took since.
func (d *drill) goOn(ctx context.Context, jobs map[string]int, since time.Time) {
	for id, had := range jobs {
		err := until(ctx, repeatLimit, "job "+id+" goes on", func() bool {
			var settled int
			var over bool
			err := d.judge.QueryRow(ctx, `SELECT settled, state IN ('succeeded','failed','canceled') FROM jobs WHERE id = $1::uuid`, id).Scan(&settled, &over)
			return err == nil && (settled > had || over)
		})
		if err != nil {
			d.v.lost("%s", err)
			continue
		}
		d.v.recovered(since)
	}
}

// killedWorkers is F-01: the job goes on elsewhere from its last batch; at most the batches in flight are sent to Gmail again.
func killedWorkers(ctx context.Context, d *drill) error {
	people, err := d.join(ctx, 3, 7000)
	again := 0
	for i := 0; i < d.n && err == nil; i++ {
		var more int
		more, err = d.killWorker(ctx, people)
		again += more
	}
	most := d.v.Strikes * 3 * len(people)
	d.v.note("%d Gmail calls sent again; at most %d were in flight", again, most)
	if again > most {
		d.v.wrong("%d Gmail calls sent again", again)
	}
	return err
}

// killWorker gives how many Gmail calls were made beyond one per batch.
func (d *drill) killWorker(ctx context.Context, people []*person) (again int, err error) {
	cs, err := previews(ctx, people)
	if err != nil {
		return 0, err
	}
	calls := d.modifies(people)
	d.slowly(300 * time.Millisecond)
	if err := d.midway(ctx, cs); err != nil {
		return 0, err
	}
	name := d.all("worker")[d.rng.IntN(2)]
	jobs, err := d.held(ctx, name)
	if err != nil {
		return 0, err
	}
	struck := time.Now()
	if err := d.kill(name); err != nil {
		return 0, err
	}
	d.v.Strikes++
	d.goOn(ctx, jobs, struck)
	for _, c := range cs {
		if c.job, err = c.who.follow(ctx, c.job, repeatLimit); err != nil {
			return 0, err
		}
		again -= (c.toClean + 999) / 1000
	}
	again += d.modifies(people) - calls
	d.Sim.ClearFaults()
	return again, d.conclude(ctx, cs)
}

// modifies counts the calls that change messages.
func (d *drill) modifies(people []*person) (n int) {
	for _, p := range people {
		if book, err := d.Sim.Ledger(p.Email); err == nil {
			n += book.Calls["messages.batchModify"]
		}
	}
	return n
}

// killedAPIs is F-04: many submits a round (500 in full) while both APIs are killed in turn; each unknown one is repeated with its key.
func killedAPIs(ctx context.Context, d *drill) error {
	submits := 100
	if d.full {
		submits = 500
	}
	people, err := d.join(ctx, 4, 300)
	for i := 0; i < d.n && err == nil; i++ {
		err = d.killUnder(ctx, people, submits)
	}
	return err
}

func (d *drill) killUnder(ctx context.Context, people []*person, submits int) error {
	mark := d.calls.mark()
	before, err := d.jobsOf(ctx, people)
	if err != nil {
		return err
	}
	var done atomic.Int64
	ended := make(chan error, 1)
	go func() { ended <- flood(ctx, people, submits, &done) }()
	for _, name := range d.all("api") {
		at := int64(1 + d.rng.IntN(submits/2))
		if err := until(ctx, repeatLimit, "enough submits", func() bool { return done.Load() >= at }); err != nil {
			return err
		}
		struck := time.Now()
		if err := d.kill(name); err != nil {
			return err
		}
		d.v.Strikes++
		if err := d.Await(ctx, name); err != nil {
			return err
		}
		d.v.recovered(struck)
	}
	if err := <-ended; err != nil {
		return err
	}
	after, err := d.jobsOf(ctx, people)
	if err != nil {
		return err
	}
	d.v.note("%d submits, %d jobs; %s", done.Load(), after-before, d.calls.since(mark))
	if made := after - before; made != int(done.Load()) {
		d.v.lost("%d keys, %d jobs", done.Load(), made)
	}
	return d.quiet(ctx)
}

// flood makes so many submits with eight hands, each until it is answered, and counts them.
func flood(ctx context.Context, people []*person, submits int, done *atomic.Int64) error {
	const hands = 8
	return each(make([]struct{}, hands), func(hand int, _ struct{}) error {
		for i := range submits / hands {
			if err := people[(hand+i)%len(people)].submit(ctx); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
}

func (d *drill) jobsOf(ctx context.Context, people []*person) (n int, err error) {
	var ids []string
	for _, p := range people {
		ids = append(ids, hexOf(p.ID))
	}
	err = d.judge.QueryRow(ctx, `SELECT count(*) FROM jobs WHERE customer_id = ANY ($1::uuid[])`, ids).Scan(&n)
	return n, err
}

// settled takes the faults away and lets everything come to rest.
func (d *drill) settled(ctx context.Context) error {
	if err := d.calm(ctx); err != nil {
		return fmt.Errorf("processes did not recover by themselves: %w", err)
	}
	return d.quiet(ctx)
}

// quiet waits until no job is open.
func (d *drill) quiet(ctx context.Context) error {
	err := until(ctx, repeatLimit, "all jobs are over", func() bool {
		var open int
		err := d.judge.QueryRow(ctx, `SELECT count(*) FROM jobs WHERE state NOT IN ('succeeded','failed','canceled')`).Scan(&open)
		return err == nil && open == 0
	})
	if err != nil && ctx.Err() == nil {
		d.v.lost("%s", err)
		return nil
	}
	return err
}
