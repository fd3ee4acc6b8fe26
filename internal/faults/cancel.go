package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// called is J-06: the customer stops a cleanup before it begins, in its middle and when it is over.
func called(ctx context.Context, d *drill) error {
	people, err := d.join(ctx, 3, 9000)
	for i := 0; i < d.n && err == nil; i++ {
		err = errors.Join(d.calledBefore(ctx, people), d.calledDuring(ctx, people), d.calledAfter(ctx, people))
	}
	return err
}

func (d *drill) calledBefore(ctx context.Context, people []*person) error {
	cs, err := previews(ctx, people)
	if err != nil {
		return err
	}
	for _, name := range d.all("worker") {
		d.Children[name].Freeze() // nobody begins
	}
	err = each(cs, func(_ int, c *cleanup) error { return errors.Join(c.execute(ctx), c.cancel(ctx)) })
	d.v.Strikes += len(cs)
	for _, name := range d.all("worker") {
		d.Children[name].Thaw()
	}
	if err != nil {
		return err
	}
	return d.stops(ctx, cs, time.Now())
}

func (d *drill) calledDuring(ctx context.Context, people []*person) error {
	cs, err := d.underWay(ctx, people)
	if err != nil {
		return err
	}
	struck := time.Now()
	if err := each(cs, func(_ int, c *cleanup) error { return c.cancel(ctx) }); err != nil {
		return err
	}
	d.v.Strikes += len(cs)
	return d.stops(ctx, cs, struck)
}

// stops waits for the ends of canceled cleanups, sees that Gmail is left alone from then on, and judges.
func (d *drill) stops(ctx context.Context, cs []*cleanup, struck time.Time) error {
	err := each(cs, func(_ int, c *cleanup) error {
		if err := c.finish(ctx, repeatLimit); err != nil {
			return err
		}
		d.v.recovered(struck)
		return nil
	})
	if err != nil {
		return err
	}
	changed := 0
	for _, c := range cs {
		changed += c.changed()
	}
	pause(ctx, 2*time.Second)
	for _, c := range cs {
		changed -= c.changed()
	}
	if changed != 0 {
		d.v.wrong("%d messages were changed after the job was over", -changed)
	}
	d.Sim.ClearFaults()
	return each(cs, func(_ int, c *cleanup) error { return d.v.settle(ctx, c) })
}

func (d *drill) calledAfter(ctx context.Context, people []*person) error {
	cs, err := previews(ctx, people)
	if err != nil {
		return err
	}
	err = each(cs, func(_ int, c *cleanup) error {
		return errors.Join(c.execute(ctx), c.finish(ctx, repeatLimit), c.cancel(ctx))
	})
	if err != nil {
		return err
	}
	d.v.Strikes += len(cs)
	for _, c := range cs {
		c.canceled = false // it came too late: all must have been done
	}
	return each(cs, func(_ int, c *cleanup) error { return d.v.settle(ctx, c) })
}

// remainder is the plan of what a cleanup left, from its result.
func (c *cleanup) remainder() (plan string, err error) {
	var result struct {
		Remainder string `json:"remainder_plan_id"`
	}
	if c.job.Result == nil {
		return "", nil
	}
	if err := json.Unmarshal(c.job.Result, &result); err != nil {
		return "", fmt.Errorf("read the result of %s: %w", c.job.ID, err)
	}
	return result.Remainder, nil
}
