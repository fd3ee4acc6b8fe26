package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/sim/google"
)

const password = "quilted otters at dawn"

// person is a customer with one mailbox, who calls home first and the other APIs when that does not answer.
type person struct {
	customer.Client
	rig  *rig
	home int
}

// join signs people up, each with a mailbox of so many messages.
func (r *rig) join(ctx context.Context, n, messages int) ([]*person, error) {
	people := make([]*person, n)
	var g errgroup.Group
	g.SetLimit(4)
	for i := range people {
		number := r.joined + i
		g.Go(func() (err error) {
			people[i], err = r.newcomer(ctx, number, messages)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	r.people, r.joined = append(r.people, people...), r.joined+n
	return people, nil
}

func (r *rig) newcomer(ctx context.Context, number, messages int) (*person, error) {
	p := &person{rig: r, home: number, Client: r.client(number)}
	if err := p.SignUp(ctx, r.Sink, password); err != nil {
		return nil, err
	}
	if _, err := r.Sim.AddGenerated(p.Email, google.Generate{Messages: messages, Seed: uint64(number) + 7, Now: time.Now()}); err != nil {
		return nil, err
	}
	return p, p.Connect(ctx, p.Email)
}

// client calls from an address of its own, where the API believes who says so.
func (r *rig) client(number int) customer.Client {
	return customer.Client{Base: r.base(0), Email: fmt.Sprintf("person%d@mail.example", number), Header: http.Header{"X-Forwarded-For": {fmt.Sprintf("198.%d.%d.7", 18+number/256, number%256)}}}
}

// cleanup is a set of messages that a customer has approved, and what becomes of it.
type cleanup struct {
	who      *person
	plan     string
	toClean  int
	approved map[string]bool
	before   map[string]int // calls per message that had changed it before
	digest   string         // of the whole mailbox before
	job      customer.Job
	undo     customer.Job
	begun    time.Time
	canceled bool // the customer asked to stop it
}

// every is more than half of a generated mailbox.
func every() any { return map[string]any{"all": []any{map[string]any{"older_than_days": 30}}} }

// preview freezes a cleanup and reads what it may touch.
func (p *person) preview(ctx context.Context) (*cleanup, error) {
	var j customer.Job
	body := map[string]any{"action": "trash", "criteria": every()}
	if err := p.do(ctx, http.MethodPost, "/api/v1/gmail/cleanup/dry-run", newKey(), body, &j); err != nil {
		return nil, err
	}
	j, err := p.follow(ctx, j, repeatLimit)
	if err != nil {
		return nil, err
	}
	if j.State != "succeeded" {
		return nil, fmt.Errorf("the preview of %s is %s: %+v", p.Email, j.State, j.Error)
	}
	var result struct {
		ID      string `json:"cleanup_plan_id"`
		ToClean int    `json:"to_clean"`
	}
	if err := json.Unmarshal(j.Result, &result); err != nil {
		return nil, fmt.Errorf("read the preview: %w", err)
	}
	c := &cleanup{who: p, plan: result.ID, toClean: result.ToClean, approved: map[string]bool{}}
	return c, errors.Join(c.readApproved(ctx), c.remember())
}

func (c *cleanup) readApproved(ctx context.Context) error {
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
			Next string `json:"next_cursor"`
		}
		if err := c.who.do(ctx, http.MethodGet, "/api/v1/cleanup-plans/"+c.plan+"/messages?cursor="+url.QueryEscape(cursor), "", nil, &page); err != nil {
			return err
		}
		for _, m := range page.Items {
			c.approved[m.ID] = true
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(c.approved) != c.toClean {
		return fmt.Errorf("plan %s holds %d messages and lists %d", c.plan, c.toClean, len(c.approved))
	}
	return nil
}

// remember notes the simulated Google's own books.
func (c *cleanup) remember() error {
	book, err := c.who.rig.Sim.Ledger(c.who.Email)
	if err != nil {
		return err
	}
	truth, err := c.who.rig.Sim.Truth(c.who.Email)
	c.before, c.digest = maps.Clone(book.Changes), truth.Digest
	return err
}

// changes counts, per message, the calls that changed it since the preview.
func (c *cleanup) changes() (map[string]int, error) {
	book, err := c.who.rig.Sim.Ledger(c.who.Email)
	since := map[string]int{}
	for id, n := range book.Changes {
		if n -= c.before[id]; n > 0 {
			since[id] = n
		}
	}
	return since, err
}

func (c *cleanup) changed() int {
	since, err := c.changes()
	if err != nil {
		return -1
	}
	return len(since)
}

// execute starts it; the job counts as acknowledged from then on.
func (c *cleanup) execute(ctx context.Context) error {
	c.begun = time.Now()
	return c.who.do(ctx, http.MethodPost, "/api/v1/gmail/cleanup/execute", newKey(), map[string]any{"cleanup_plan_id": c.plan}, &c.job)
}

// cancel asks the job to stop; that it is over already is as good.
func (c *cleanup) cancel(ctx context.Context) error {
	c.canceled = true
	err := c.who.do(ctx, http.MethodPost, "/api/v1/jobs/"+c.job.ID+"/cancel", newKey(), struct{}{}, nil)
	var problem *customer.Problem
	if errors.As(err, &problem) && problem.Status == http.StatusConflict {
		return nil
	}
	return err
}

// finish follows it to its end.
func (c *cleanup) finish(ctx context.Context, limit time.Duration) (err error) {
	c.job, err = c.who.follow(ctx, c.job, limit)
	return err
}

// revert undoes it and follows that to its end.
func (c *cleanup) revert(ctx context.Context, limit time.Duration) error {
	err := c.who.do(ctx, http.MethodPost, "/api/v1/jobs/"+c.job.ID+"/undo", newKey(), struct{}{}, &c.undo)
	if err != nil {
		return err
	}
	c.undo, err = c.who.follow(ctx, c.undo, limit)
	return err
}

// errStuck says that a job did not end within its bound.
var errStuck = errors.New("the job did not end")

func (p *person) follow(ctx context.Context, j customer.Job, limit time.Duration) (customer.Job, error) {
	for end := time.Now().Add(limit); !j.Over(); {
		if time.Now().After(end) {
			return j, fmt.Errorf("%w within %s: %s %s is %s (%s)", errStuck, limit, j.Kind, j.ID, j.State, j.Phase)
		}
		if err := p.do(ctx, http.MethodGet, "/api/v1/jobs/"+url.PathEscape(j.ID)+"?wait=2", "", nil, &j); err != nil {
			return j, err
		}
	}
	return j, nil
}

// submit asks for a small job and does not wait for it.
func (p *person) submit(ctx context.Context) error {
	body := map[string]any{"action": "mark_read", "criteria": every()}
	return p.do(ctx, http.MethodPost, "/api/v1/gmail/cleanup/dry-run", newKey(), body, new(customer.Job))
}

// signIn gets a fresh token: the old one's day is over where the clock jumped.
func (p *person) signIn(ctx context.Context) error {
	var session struct {
		AccessToken string `json:"access_token"`
	}
	p.Token = ""
	if err := p.do(ctx, http.MethodPost, "/api/v1/auth/login", newKey(), map[string]string{"email": p.Email, "password": password}, &session); err != nil {
		return err
	}
	p.Token = session.AccessToken
	return nil
}

// previews makes a cleanup for each of several people.
func previews(ctx context.Context, people []*person) ([]*cleanup, error) {
	cs := make([]*cleanup, len(people))
	return cs, each(people, func(i int, p *person) (err error) {
		cs[i], err = p.preview(ctx)
		return err
	})
}

// each does something for all at once.
func each[T any](all []T, f func(i int, one T) error) error {
	var g errgroup.Group
	for i, one := range all {
		g.Go(func() error { return f(i, one) })
	}
	return g.Wait()
}
