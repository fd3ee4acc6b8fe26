package opscli

import (
	"context"
	"maps"
	"slices"
	"time"

	"mailsweep/internal/sweep"
)

// named is the customer that the first word names.
func (c *Command) named() (sweep.ID, error) {
	shown, err := c.word(0, "a customer, as cus_…")
	if err != nil {
		return sweep.ID{}, err
	}
	return sweep.CustomerID.Parse(shown)
}

func (c *Command) show(ctx context.Context) error {
	id, err := c.named()
	if err != nil {
		return err
	}
	v, err := c.Ops.Customer(ctx, id)
	if err != nil {
		return err
	}
	c.say("customer     %s, since %s", sweep.CustomerID.Show(id), day(v.CreatedAt))
	c.say("plan         %s now; bought: %s%s%s", v.Plan.Tier, v.Subscription.Tier, since(", not paid since ", v.Subscription.PastDueAt), since(", until ", v.Subscription.EndsAt))
	if v.Granted.Tier != "" {
		c.say("granted      %s%s", v.Granted.Tier, since(", until ", v.Granted.EndsAt))
	}
	if !v.TrialEndsAt.IsZero() {
		c.say("trial        until %s", day(v.TrialEndsAt))
	}
	if !v.DeletedAt.IsZero() {
		c.say("DELETED      since %s, by its owner", day(v.DeletedAt))
	} else if v.Suspended() {
		c.say("SUSPENDED    since %s", day(v.SuspendedAt))
	}
	c.say("this month   %d of %d messages used, %d reserved, %d left", v.Quota.Used, v.Quota.Limit, v.Quota.Reserved, v.Quota.Remaining())
	c.say("people       %d of %d", v.Has.People, v.Plan.People)
	c.say("mailboxes    at most %d on this plan", v.Plan.Mailboxes)
	for _, state := range slices.Sorted(maps.Keys(v.Has.Mailboxes)) {
		c.say("             %d %s", v.Has.Mailboxes[state], state)
	}
	c.say("open jobs    %d", v.Has.Open)
	for _, h := range v.Halts {
		c.say("STOPPED      by %s: %s", h.By, h.Reason)
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func since(word string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return word + day(t)
}

func (c *Command) grant(ctx context.Context) error {
	id, err := c.named()
	if err != nil {
		return err
	}
	plan, err := c.word(1, "the plan behind the customer: free, basic, pro or enterprise")
	if err != nil {
		return err
	}
	var until time.Time
	if c.to != "" {
		if until, err = time.Parse(time.RFC3339, c.to); err != nil {
			return sweep.Errorf(sweep.Invalid, "a time is written as 2026-11-02T15:04:05Z")
		}
	}
	if err := c.Ops.Grant(ctx, c.who(), id, sweep.Tier(plan), until, c.reason); err != nil {
		return err
	}
	c.say("%s: %s%s", sweep.CustomerID.Show(id), plan, since(" until ", until))
	return nil
}

func (c *Command) trial(ctx context.Context) error {
	id, err := c.named()
	if err != nil {
		return err
	}
	until, err := c.Ops.ExtendTrial(ctx, c.who(), id, c.days, c.reason)
	if err != nil {
		return err
	}
	c.say("%s: trial until %s", sweep.CustomerID.Show(id), day(until))
	return nil
}

func (c *Command) invite(ctx context.Context) error {
	address, err := c.word(0, "an address")
	if err != nil {
		return err
	}
	if c.days == 0 {
		c.days = 14
	}
	link, err := c.Ops.InviteSomebody(ctx, c.who(), address, c.days, c.reason)
	if err == nil {
		c.say("%s", link)
	}
	return err
}

func (c *Command) resetUsage(ctx context.Context) error {
	id, err := c.named()
	if err != nil {
		return err
	}
	month, err := sweep.ParsePeriod(c.period)
	if err != nil {
		return err
	}
	forgiven, err := c.Ops.ResetUsage(ctx, c.who(), id, month, c.reason)
	if err != nil {
		return err
	}
	c.say("%s: %d messages of %s are not counted any more", sweep.CustomerID.Show(id), forgiven, c.period)
	return nil
}

func (c *Command) suspend(ctx context.Context) error {
	id, err := c.named()
	if err != nil {
		return err
	}
	act, said := c.Ops.Suspend, "suspended"
	if c.verb == "reactivate" {
		act, said = c.Ops.Reactivate, "active again"
	}
	if err := act(ctx, c.who(), id, c.reason); err != nil {
		return err
	}
	c.say("%s: %s", sweep.CustomerID.Show(id), said)
	return nil
}

func (c *Command) restore(ctx context.Context) error {
	id, err := c.named()
	if err != nil {
		return err
	}
	if err := c.Ops.Restore(ctx, c.who(), id, c.reason); err != nil {
		return err
	}
	c.say("restore: %s", sweep.CustomerID.Show(id))
	return nil
}
