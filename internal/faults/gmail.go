package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/sim/google"
)

// refusals are the ways in which Gmail says no for a while.
func refusals() []google.Fault {
	return []google.Fault{
		{Status: 429, TextRetryAfter: 1000 * time.Second}, // a second on the simulated clock
		{Status: 503, Probability: 0.3},
		{Status: 500, Probability: 0.3},
		{Status: 403, Reason: "rateLimitExceeded"},
		{Status: 403, Reason: "userRateLimitExceeded", Probability: 0.5},
		{HTML503: true, Probability: 0.3},
		{Status: 403, Reason: "dailyLimitExceeded"},
	}
}

// stormed is F-13: Gmail refuses the calls of one customer's mailbox; it is left alone as it asks, and the others go on.
func stormed(ctx context.Context, d *drill) error {
	lasts := 6 * time.Second
	if d.full {
		lasts = 10 * time.Minute
	}
	kinds := refusals()
	n := d.rng.IntN(len(kinds))
	return d.rounds(ctx, 3, 9000, func(cs []*cleanup) error {
		f := kinds[n%len(kinds)]
		n++
		return d.storm(ctx, cs, f, lasts)
	})
}

func (d *drill) storm(ctx context.Context, cs []*cleanup, f google.Fault, lasts time.Duration) error {
	victim := cs[0]
	f.User = victim.who.Email
	d.Sim.ClearFaults()
	before, err := d.callsOf(victim.who)
	if err != nil {
		return err
	}
	d.Sim.Inject(f)
	begun := time.Now()
	err = each(cs[1:], func(_ int, c *cleanup) error { return c.finish(ctx, repeatLimit) })
	if err != nil {
		return err
	}
	others := time.Since(begun)
	pause(ctx, time.Until(begun.Add(lasts)))
	after, err := d.callsOf(victim.who)
	if err != nil {
		return err
	}
	d.Sim.ClearFaults()
	over := time.Now()
	d.v.note("%d %s: %d calls in %s of it; the others were done after %s", f.Status, f.Reason, after-before, lasts, others.Round(100*time.Millisecond))
	if f.TextRetryAfter > 0 && after-before > 12*(int(lasts/time.Second)+1) {
		d.v.wrong("%d calls although each was told to come back in a second", after-before)
	}
	if err := victim.finish(ctx, repeatLimit); err != nil {
		return err
	}
	d.v.recovered(over)
	return nil
}

func (d *drill) callsOf(p *person) (n int, err error) {
	book, err := d.Sim.Ledger(p.Email)
	for _, calls := range book.Calls {
		n += calls
	}
	return n, err
}

// halfHeard is F-14: effects whose answers are lost, answers cut off, calls that never arrive.
func halfHeard(ctx context.Context, d *drill) error {
	return d.rounds(ctx, 3, 6000, func(cs []*cleanup) error {
		d.Sim.ClearFaults()
		d.Sim.Inject(google.Fault{Method: "messages.batchModify", ResetAfterEffect: true, Probability: 0.4})
		d.Sim.Inject(google.Fault{Method: "messages.batchModify", ResetBefore: true, Probability: 0.2})
		d.Sim.Inject(google.Fault{TruncateJSON: true, Probability: 0.1})
		err := each(cs, func(_ int, c *cleanup) error { return c.finish(ctx, repeatLimit) })
		if errors.Is(err, errStuck) {
			return nil // judged once Gmail is well again
		}
		return err
	})
}

// revoked is F-15: the customer takes the consent back mid-job. The job ends at once and says why, the owner hears once, and what was left
// can be executed after connecting again.
func revoked(ctx context.Context, d *drill) error {
	people, err := d.join(ctx, 1, 14_000)
	if err != nil {
		return err
	}
	for range d.n {
		if err := d.revoke(ctx, people[0]); err != nil {
			return err
		}
	}
	return nil
}

func (d *drill) revoke(ctx context.Context, p *person) error {
	told := d.mails(p, "needs_reconnect")
	c, err := p.preview(ctx)
	if err != nil {
		return err
	}
	d.slowly(800 * time.Millisecond)
	if err := d.midway(ctx, []*cleanup{c}); err != nil {
		return err
	}
	struck := time.Now()
	if err := d.Sim.Revoke(p.Email); err != nil {
		return err
	}
	if err := c.finish(ctx, repeatLimit); err != nil {
		return err
	}
	d.Sim.ClearFaults()
	if c.job.State == "succeeded" {
		d.v.note("taken back too late once: all was changed")
		if err := p.Connect(ctx, p.Email); err != nil {
			return err
		}
		return d.v.settle(ctx, c)
	}
	d.v.Strikes++
	d.v.recovered(struck)
	if c.job.Error == nil || c.job.State != "failed" || c.job.Error.Code != "mailbox_needs_reconnect" {
		d.v.lost("%s ended %s with %+v", c.job.ID, c.job.State, c.job.Error)
		return nil
	}
	return d.reconnect(ctx, c, told)
}

// reconnect executes what was left and sees that all of the plan is changed, each message once.
func (d *drill) reconnect(ctx context.Context, c *cleanup, told int) error {
	if err := c.who.Connect(ctx, c.who.Email); err != nil {
		return err
	}
	rest, err := c.remainder()
	if err != nil {
		return err
	}
	if rest == "" && c.changed() < c.toClean {
		d.v.lost("%s left no remainder plan; %d of %d are changed", c.job.ID, c.changed(), c.toClean)
		return nil
	}
	runs := []customer.Job{c.job}
	if rest != "" {
		after := &cleanup{who: c.who, plan: rest}
		if err := errors.Join(after.execute(ctx), after.finish(ctx, repeatLimit)); err != nil {
			return err
		}
		runs = append(runs, after.job)
	}
	changes, err := c.changes()
	if err != nil {
		return err
	}
	d.v.count(c, changes)
	if len(changes) != c.toClean {
		d.v.lost("%d of %d messages changed by %s and its remainder", len(changes), c.toClean, c.job.ID)
	}
	if n := d.mails(c.who, "needs_reconnect") - told; n != 1 {
		d.v.wrong("the owner was told %d times", n)
	}
	return d.undoAll(ctx, c, runs)
}

// undoAll gives back what several runs did, the last first.
func (d *drill) undoAll(ctx context.Context, c *cleanup, runs []customer.Job) error {
	for i := len(runs) - 1; i >= 0; i-- {
		c.job = runs[i]
		if err := c.revert(ctx, repeatLimit); err != nil {
			return fmt.Errorf("undo %s: %w", c.job.ID, err)
		}
	}
	truth, err := d.Sim.Truth(c.who.Email)
	if truth.Digest != c.digest {
		d.v.lost("the mailbox is not back after undo")
	}
	return err
}

// mails counts the mails of a kind that a person got.
func (d *drill) mails(p *person, kind string) (n int) {
	for _, m := range d.Sink.Messages() {
		if m.Kind == kind && len(m.To) > 0 && m.To[0] == p.Email {
			n++
		}
	}
	return n
}
