package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"mailsweep/internal/queue"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const (
	floodJobs   = 10_000
	floodBody   = 10 * time.Millisecond
	floodSlots  = 20 // handlers of what somebody waits for
	lightPeople = 20
	lightJobs   = 8 // of each, one after the other
)

// resting is a job that takes 10 ms of anybody's time but ours.
func resting(ctx context.Context, db *store.DB, c *store.Claim) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(floodBody):
	}
	return succeed(ctx, db, c)
}

// flood measures what one customer with 10,000 jobs costs the others, and the worker.
func flood(ctx context.Context, b *bench) ([]line, error) {
	r, err := b.start(ctx, "api")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	people, err := r.people(ctx, lightPeople+1)
	if err != nil {
		return nil, err
	}
	heavy, light := people[0], people[1:]
	fair, err := r.drainFair(ctx, heavy)
	if err != nil {
		return nil, err
	}
	first, err := r.drainFirst(ctx, heavy)
	if err != nil {
		return nil, err
	}
	quiet, err := r.lights(ctx, light, "quiet")
	if err != nil {
		return nil, err
	}
	busy, err := r.besideFlood(ctx, heavy, light)
	if err != nil {
		return nil, err
	}
	jain, err := r.equals(ctx)
	if err != nil {
		return nil, err
	}
	return floodLines(fair, first, quiet, busy, jain), nil
}

func floodLines(fair, first time.Duration, quiet, busy lightly, jain float64) []line {
	cost := fair.Seconds()/first.Seconds() - 1
	slower := float64(busy.submit.at(0.99)) / float64(quiet.submit.at(0.99))
	return []line{
		goal(line{what: fmt.Sprintf("one customer with %d jobs of 10 ms: start of %d others' jobs", floodJobs, lightPeople), ours: span(busy.start.at(0.5), busy.start.at(0.99)),
			limit: "without the flood " + span(quiet.start.at(0.5), quiet.start.at(0.99)), ratio: times(float64(busy.start.at(0.99)) / float64(quiet.start.at(0.99))),
			goal: "p99 ≤ 50 ms"}, busy.start.at(0.99) <= 50*time.Millisecond),
		goal(line{what: "their submit", ours: span(busy.submit.at(0.5), busy.submit.at(0.99)), limit: "without the flood " + span(quiet.submit.at(0.5), quiet.submit.at(0.99)),
			ratio: times(slower), goal: "p99 ≤ 1.50x"}, slower <= 1.5),
		goal(line{what: "drain of the flood through the window", ours: fmt.Sprintf("%.2f s", fair.Seconds()), limit: fmt.Sprintf("all in Redis, first in first out: %.2f s", first.Seconds()),
			ratio: fmt.Sprintf("%+.1f %%", 100*cost), goal: "≤ 5 %"}, cost <= 0.05),
		goal(line{what: "21 equal customers of 250 jobs, share when half is done", ours: fmt.Sprintf("Jain %.3f", jain), limit: "1", ratio: fmt.Sprintf("%.3f", jain), goal: "≥ 0.98"}, jain >= 0.98),
	}
}

// flooded leaves the heavy customer's jobs, and no others.
func (r *rig) flooded(ctx context.Context, heavy person) error {
	if err := r.clearJobs(ctx); err != nil {
		return err
	}
	step, err := r.step(ctx, heavy)
	if err != nil {
		return err
	}
	return r.fill(ctx, backlog{kind: sweep.DryRun, each: floodJobs, state: sweep.Queued, customer: heavy.customer, step: step})
}

// step is what one submission adds to its customer's virtual time.
func (r *rig) step(ctx context.Context, p person) (vt float64, err error) {
	w, err := dial(addr(r.API))
	if err != nil {
		return 0, err
	}
	defer w.Close()
	if _, err := submitOne(w, "/api/v1/gmail/cleanup/dry-run", p.token, previewBody, "step"); err != nil {
		return 0, err
	}
	if err := r.root.QueryRow(ctx, "SELECT vt FROM customers WHERE id = $1", p.customer.String()).Scan(&vt); err != nil {
		return 0, fmt.Errorf("read virtual time: %w", err)
	}
	return vt, r.clearJobs(ctx)
}

// over waits until at most so many jobs are open.
func (r *rig) over(ctx context.Context, open int) (time.Duration, error) {
	return until(ctx, 5*time.Minute, "the jobs are over", func() (bool, error) {
		n, err := r.count(ctx, "state IN ('queued','dispatched','running','waiting')")
		return n <= open, err
	})
}

// drainFair drains the flood through the API's dispatcher and its window.
func (r *rig) drainFair(ctx context.Context, heavy person) (time.Duration, error) {
	if err := r.flooded(ctx, heavy); err != nil {
		return 0, err
	}
	return r.drainWith(ctx, claimed(resting))
}

// drainFirst drains the same with every task in Redis before it begins.
func (r *rig) drainFirst(ctx context.Context, heavy person) (time.Duration, error) {
	if err := r.flooded(ctx, heavy); err != nil {
		return 0, err
	}
	r.Children["api"].Interrupt()
	r.Children["api"].Wait(30 * time.Second)
	if err := r.dispatchAll(ctx); err != nil {
		return 0, err
	}
	took, err := r.drainWith(ctx, claimed(resting))
	if err == nil {
		err = r.Spawn("api")
	}
	if err == nil {
		err = r.Await(ctx, "api")
	}
	return took, err
}

func (r *rig) drainWith(ctx context.Context, handle func(context.Context, *store.DB, queue.Task) error) (time.Duration, error) {
	h, err := newHands(ctx, r.Env, 4*floodSlots, handle)
	if err != nil {
		return 0, err
	}
	defer h.run(ctx)()
	return r.over(ctx, 0)
}

// lightly is how the light customers fare.
type lightly struct{ submit, start load }

// lights lets each light customer submit its jobs one after the other, while hands work on whatever is there.
func (r *rig) lights(ctx context.Context, light []person, name string) (out lightly, err error) {
	if err := r.clearJobs(ctx); err != nil {
		return out, err
	}
	return r.lightsBeside(ctx, light, name)
}

func (r *rig) besideFlood(ctx context.Context, heavy person, light []person) (out lightly, err error) {
	if err := r.flooded(ctx, heavy); err != nil {
		return out, err
	}
	return r.lightsBeside(ctx, light, "busy")
}

func (r *rig) lightsBeside(ctx context.Context, light []person, name string) (out lightly, err error) {
	var claims claimTimes
	h, err := newHands(ctx, r.Env, 4*floodSlots, claimed(func(ctx context.Context, db *store.DB, c *store.Claim) error {
		claims.note(c.ID)
		return resting(ctx, db, c)
	}))
	if err != nil {
		return out, err
	}
	defer h.run(ctx)()
	time.Sleep(time.Second) // the flood fills the window and the slots
	errs := make([]error, len(light))
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, p := range light {
		all.Go(func() {
			one, err := r.oneLight(ctx, p, name, &claims)
			mu.Lock()
			defer mu.Unlock()
			errs[i] = err
			out.submit.took, out.start.took = append(out.submit.took, one.submit.took...), append(out.start.took, one.start.took...)
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return out, err
		}
	}
	slices.Sort(out.submit.took)
	slices.Sort(out.start.took)
	return out, nil
}

func (r *rig) oneLight(ctx context.Context, p person, name string, claims *claimTimes) (out lightly, err error) {
	w, err := dial(addr(r.API))
	if err != nil {
		return out, err
	}
	defer w.Close()
	for i := range lightJobs {
		time.Sleep(time.Duration(40+int(p.customer[15])%100) * time.Millisecond) // customers do not come in step
		began := time.Now()
		id, err := submitOne(w, "/api/v1/gmail/cleanup/dry-run", p.token, previewBody, fmt.Sprintf("%s-%d", name, i))
		if err != nil {
			return out, err
		}
		out.submit.took = append(out.submit.took, time.Since(began))
		var at time.Time
		if _, err := until(ctx, 30*time.Second, "a light job starts", func() (bool, error) { at = claims.of(id); return !at.IsZero(), nil }); err != nil {
			return out, err
		}
		out.start.took = append(out.start.took, at.Sub(began))
	}
	return out, nil
}

// claimTimes says when jobs were claimed.
type claimTimes struct{ m sync.Map }

func (c *claimTimes) note(id sweep.ID) { c.m.Store(id, time.Now()) }
func (c *claimTimes) of(id sweep.ID) (at time.Time) {
	if v, ok := c.m.Load(id); ok {
		at = v.(time.Time)
	}
	return at
}

// equals gives Jain's index of what 20 customers with as many jobs got when half of all was done. All jobs stand in line before any is
// handed out, one customer's behind another's.
func (r *rig) equals(ctx context.Context) (float64, error) {
	const each = 250
	if err := r.clearJobs(ctx); err != nil {
		return 0, err
	}
	if err := r.fill(ctx, backlog{kind: sweep.DryRun, each: each, state: sweep.Queued}); err != nil {
		return 0, err
	}
	h, err := newHands(ctx, r.Env, 4*floodSlots, claimed(resting))
	if err != nil {
		return 0, err
	}
	defer h.run(ctx)()
	if _, err := r.over(ctx, (lightPeople+1)*each/2); err != nil {
		return 0, err
	}
	var jain float64
	err = r.root.QueryRow(ctx, `SELECT power(sum(n), 2) / (count(*) * sum(n * n)) FROM (
		SELECT count(*) FILTER (WHERE state = 'succeeded')::float8 AS n FROM jobs GROUP BY customer_id) x`).Scan(&jain)
	return jain, err
}
