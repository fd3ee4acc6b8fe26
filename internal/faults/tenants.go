package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"mailsweep/internal/dev/customer"
)

// heardWithin is how long a running job may take to hear that its customer is gone: a heartbeat, and the batches that are at Gmail.
const heardWithin = 5 * time.Second

// forsaken is F-22: while their jobs run one customer deletes the account, one loses the plan, and one revokes the key that is being used.
func forsaken(ctx context.Context, d *drill) error {
	for range d.n {
		cs, key, err := d.three(ctx)
		if err != nil {
			return err
		}
		var g errgroup.Group
		g.Go(func() error { return d.leave(ctx, cs[0]) })
		g.Go(func() error { return d.downgrade(ctx, cs[1]) })
		g.Go(func() error { return d.revokeKey(ctx, cs[2], key) })
		if err := g.Wait(); err != nil {
			return err
		}
		d.v.Strikes += len(cs)
		d.Sim.ClearFaults()
		if err := errors.Join(d.conclude(ctx, cs[1:]), d.purged(ctx, cs[0])); err != nil {
			return err
		}
	}
	return nil
}

// three are customers in the middle of a cleanup; the first has much to clean, the last a key.
func (d *drill) three(ctx context.Context) (cs []*cleanup, key apiKey, err error) {
	long, err := d.join(ctx, 1, 24_000)
	if err != nil {
		return nil, key, err
	}
	short, err := d.join(ctx, 2, 9000)
	if err != nil {
		return nil, key, err
	}
	if key, err = short[1].makeKey(ctx); err != nil {
		return nil, key, err
	}
	if cs, err = previews(ctx, append(long, short...)); err != nil {
		return nil, key, err
	}
	d.slowly(1500 * time.Millisecond)
	return cs, key, d.midway(ctx, cs)
}

// leave deletes the account: Gmail is left alone at once, but for the batches that are there already.
func (d *drill) leave(ctx context.Context, c *cleanup) error {
	who := c.who
	d.people = slices.DeleteFunc(d.people, func(p *person) bool { return p == who }) // nobody shows them anything any more
	in := map[string]string{"password": password, "confirm": who.Email}
	if err := who.do(ctx, http.MethodPost, "/api/v1/account/delete", newKey(), in, nil); err != nil {
		return err
	}
	left := c.changed()
	pause(ctx, heardWithin)
	stopped := c.changed()
	pause(ctx, 3*time.Second)
	if now := c.changed(); now != stopped {
		d.v.wrong("%d messages were changed later than %s after the account was deleted", now-stopped, heardWithin)
	}
	var state string
	if err := d.judge.QueryRow(ctx, "SELECT state FROM jobs WHERE id = $1::uuid", hexOf(c.job.ID)).Scan(&state); err != nil {
		return fmt.Errorf("ask for the deleted customer's job: %w", err)
	}
	if state != "canceled" {
		d.v.lost("the deleted customer's job is %s", state)
	}
	if stopped == c.toClean {
		d.v.lost("the account was deleted too late: all was changed")
	}
	d.v.note("%d of %d messages were changed when the account was deleted, %d when the job had stopped", left, c.toClean, stopped)
	return nil
}

// purged lets the grace be over and sees that nothing of the customer is left or comes back, though workers go on.
func (d *drill) purged(ctx context.Context, c *cleanup) error {
	id := hexOf(c.who.ID)
	if _, err := d.judge.Exec(ctx, "UPDATE customers SET purge_at = now() - interval '1 second' WHERE id = $1::uuid", id); err != nil {
		return fmt.Errorf("end the grace: %w", err)
	}
	err := until(ctx, time.Minute, "the purge", func() bool {
		_, err := d.judge.Exec(ctx, "UPDATE duties SET next_due = least(next_due, now()) WHERE name = 'purge' AND taken_until IS NULL")
		var gone bool
		return err == nil && d.judge.QueryRow(ctx, "SELECT purged_at IS NOT NULL FROM customers WHERE id = $1::uuid", id).Scan(&gone) == nil && gone
	})
	if err != nil {
		d.v.lost("%s", err)
		return nil
	}
	pause(ctx, 3*time.Second)
	rows, err := d.judge.Query(ctx, `SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'customer_id' AND NOT a.attisdropped
		WHERE c.relkind IN ('r','p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace AND c.relname !~ '^(plan_history|audit_.*)$'`)
	if err != nil {
		return fmt.Errorf("list the tables: %w", err)
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var t string
		if err := rows.Scan(&t); err != nil {
			return fmt.Errorf("list the tables: %w", err)
		}
		tables = append(tables, t)
	}
	for _, t := range tables {
		// the name is the catalogue's own
		if left, _ := d.breaches(ctx, "SELECT 'a row' FROM "+t+" WHERE customer_id = '"+id+"'::uuid"); len(left) > 0 {
			d.v.wrong("%d rows of %s are left of a purged customer", len(left), t)
		}
	}
	return rows.Err()
}

// downgrade takes the plan away: what is reserved is done all the same, and nothing more than the smaller plan allows is taken on.
func (d *drill) downgrade(ctx context.Context, c *cleanup) error {
	if out, err := d.Command(ctx, "api", "ops", "grant", c.who.ID, "free", "--reason", "a drill", "--operator", "drill").CombinedOutput(); err != nil {
		return fmt.Errorf("api ops grant: %w: %s", err, out)
	}
	_, err := d.judge.Exec(ctx, "UPDATE customers SET trial_ends_at = now(), plan_version = plan_version + 1 WHERE id = $1::uuid", hexOf(c.who.ID))
	if err != nil {
		return fmt.Errorf("end the trial: %w", err)
	}
	return nil
}

// apiKey is a key and what revokes it.
type apiKey struct {
	ID  string `json:"id"`
	Key string `json:"key"`
}

func (p *person) makeKey(ctx context.Context) (k apiKey, err error) {
	in := map[string]any{"name": "drill", "scopes": []string{"read", "analyze", "execute"}, "password": password}
	return k, p.do(ctx, http.MethodPost, "/api/v1/api-keys", newKey(), in, &k)
}

// revokeKey ends a key while a request with it is being answered: the next one is refused everywhere within a second, and starts nothing.
func (d *drill) revokeKey(ctx context.Context, c *cleanup, k apiKey) error {
	user := customer.Client{Header: http.Header{"X-Api-Key": {k.Key}}}
	waits := user
	waits.Base = d.base(0)
	if err := waits.Do(ctx, http.MethodGet, "/api/v1/jobs/"+c.job.ID, nil, nil); err != nil {
		return fmt.Errorf("use the key: %w", err)
	}
	inFlight := make(chan error, 1)
	go func() { inFlight <- waits.Do(ctx, http.MethodGet, "/api/v1/jobs/"+c.job.ID+"?wait=5", nil, nil) }()
	if err := c.who.do(ctx, http.MethodDelete, "/api/v1/api-keys/"+k.ID, newKey(), nil, nil); err != nil {
		return err
	}
	struck := time.Now()
	pause(ctx, time.Second)
	var before, after int
	const jobs = "SELECT count(*) FROM jobs WHERE customer_id = $1::uuid"
	if err := d.judge.QueryRow(ctx, jobs, hexOf(c.who.ID)).Scan(&before); err != nil {
		return fmt.Errorf("count jobs: %w", err)
	}
	for api := range d.all("api") {
		user.Base = d.base(api)
		var problem *customer.Problem
		body := map[string]any{"action": "mark_read", "criteria": every()}
		if err := user.Do(ctx, http.MethodPost, "/api/v1/gmail/cleanup/dry-run", body, nil); !errors.As(err, &problem) || problem.Status != http.StatusUnauthorized {
			d.v.wrong("a revoked key was answered %v, %s later", err, time.Since(struck).Round(time.Millisecond))
		}
	}
	if err := d.judge.QueryRow(ctx, jobs, hexOf(c.who.ID)).Scan(&after); err != nil {
		return fmt.Errorf("count jobs: %w", err)
	}
	if after != before {
		d.v.wrong("a revoked key made %d jobs", after-before)
	}
	var problem *customer.Problem
	if err := <-inFlight; err != nil && (!errors.As(err, &problem) || problem.Status != http.StatusUnauthorized) {
		d.v.wrong("the request under way was answered %v", err)
	}
	return nil
}
