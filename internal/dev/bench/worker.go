package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/sim/google"
)

const (
	mailboxSize = 14_000
	cancels     = 40
	timeScale   = 1000 // of the simulated Google's quota: what is measured does not wait for it
)

// startOwned starts everything for one customer with a full mailbox; whoever gets the rig stops it.
func (b *bench) startOwned(ctx context.Context) (*rig, *customer.Client, error) {
	r, err := b.startAt(ctx, timeScale, "api", "worker", "scheduler")
	if err != nil {
		return nil, nil, err
	}
	c, err := r.owner(ctx)
	if err != nil {
		r.stop()
		return nil, nil, err
	}
	return r, c, nil
}

// owner signs up a customer with a full mailbox at the simulated Google.
func (r *rig) owner(ctx context.Context) (*customer.Client, error) {
	c := &customer.Client{Base: r.API, Email: "ada@mail.example"}
	if _, err := r.Sim.AddGenerated(c.Email, google.Generate{Messages: mailboxSize, Seed: 1, Now: time.Now()}); err != nil {
		return nil, fmt.Errorf("fill the mailbox: %w", err)
	}
	if err := c.SignUp(ctx, r.Sink, "quilted otters at dawn"); err != nil {
		return nil, err
	}
	if err := r.exec(ctx, "UPDATE customers SET plan = 'enterprise'"); err != nil {
		return nil, err
	}
	if err := c.Connect(ctx, c.Email); err != nil {
		return nil, err
	}
	_, err := c.Run(ctx, "/api/v1/gmail/analyze", struct{}{}, func(customer.Job) {})
	return c, err
}

// kill measures from the kill -9 of a worker in the middle of an execute to the next batch that is settled, by a worker that was there.
func kill(ctx context.Context, b *bench) ([]line, error) {
	r, c, err := b.startOwned(ctx)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	j, err := r.execution(ctx, c)
	if err != nil {
		return nil, err
	}
	if _, err := until(ctx, time.Minute, "the first batches", func() (bool, error) { n, err := r.batches(ctx); return n >= 2, err }); err != nil {
		return nil, err
	}
	r.Children["worker"].Kill()
	killed := time.Now()
	before, err := r.batches(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.Spawn("worker"); err != nil {
		return nil, err
	}
	if _, err := until(ctx, 2*time.Minute, "the next batch", func() (bool, error) { n, err := r.batches(ctx); return n > before, err }); err != nil {
		return nil, err
	}
	took := time.Since(killed)
	r.Sim.ClearFaults()
	if j, err = c.Follow(ctx, j, func(customer.Job) {}); err != nil {
		return nil, err
	}
	charged, settled, err := r.charged(ctx)
	if err != nil {
		return nil, err
	}
	var did struct{ Cleaned int }
	if err := json.Unmarshal(j.Result, &did); err != nil {
		return nil, fmt.Errorf("read the result: %w", err)
	}
	return []line{goal(line{what: "execute resumed after kill -9 of its worker", ours: fmt.Sprintf("%.1f s, from batch %d of %d; %d messages cleaned, %d charged", took.Seconds(), before+1, settled, did.Cleaned, charged),
		limit: "asynq alone 60 s and from zero; River rescues after 1 h", ratio: "–", goal: "≤ 25 s, from the last batch"}, took <= 25*time.Second && charged == did.Cleaned)}, nil
}

// execution starts an execute of some ten batches, each of which takes a second.
func (r *rig) execution(ctx context.Context, c *customer.Client) (j customer.Job, err error) {
	plan, err := c.Run(ctx, "/api/v1/gmail/cleanup/dry-run", json.RawMessage(`{"action":"trash","criteria":{"all":[{"older_than_days":30}]}}`), func(customer.Job) {})
	if err != nil {
		return j, err
	}
	var frozen struct {
		ID string `json:"cleanup_plan_id"`
	}
	if err := json.Unmarshal(plan.Result, &frozen); err != nil {
		return j, fmt.Errorf("read the preview: %w", err)
	}
	r.Sim.Inject(google.Fault{Method: "messages.batchModify", Delay: time.Second})
	err = c.Do(ctx, http.MethodPost, "/api/v1/gmail/cleanup/execute", map[string]string{"cleanup_plan_id": frozen.ID}, &j)
	return j, err
}

func (r *rig) batches(ctx context.Context) (n int, err error) {
	if err := r.root.QueryRow(ctx, "SELECT count(*) FROM batches WHERE state = 'done'").Scan(&n); err != nil {
		return 0, fmt.Errorf("count batches: %w", err)
	}
	return n, nil
}

func (r *rig) charged(ctx context.Context) (emails, batches int, err error) {
	err = r.root.QueryRow(ctx, "SELECT coalesce(sum(emails), 0), count(*) FILTER (WHERE kind = 'settle') FROM usage_ledger").Scan(&emails, &batches)
	if err != nil {
		return 0, 0, fmt.Errorf("read the ledger: %w", err)
	}
	return emails, batches, nil
}

// cancel measures from sending the cancel of a running job to its end, while Gmail takes 300 ms a call.
func cancel(ctx context.Context, b *bench) ([]line, error) {
	r, c, err := b.startOwned(ctx)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	if err := r.exec(ctx, "DELETE FROM jobs"); err != nil {
		return nil, err
	}
	r.Sim.Inject(google.Fault{Delay: 300 * time.Millisecond})
	var l load
	for i := range cancels {
		took, err := r.cancelOne(ctx, c, time.Duration(i*7)*time.Millisecond)
		if err != nil {
			return nil, err
		}
		l.took = append(l.took, took)
	}
	slices.Sort(l.took)
	again, err := r.count(ctx, "state <> 'canceled' OR fence <> 2") // the claim and the end raise it by one each
	if err != nil {
		return nil, err
	}
	return []line{goal(line{what: fmt.Sprintf("cancel of a running job, effective (%d cancels)", cancels), ours: span(l.at(0.5), l.at(0.99)) + fmt.Sprintf(", %d claimed again", again),
		limit: "asynq alone: the task is retried", ratio: "–", goal: "p99 ≤ 2 s, never retried"}, l.at(0.99) <= 2*time.Second && again == 0)}, nil
}

func (r *rig) cancelOne(ctx context.Context, c *customer.Client, later time.Duration) (time.Duration, error) {
	var j customer.Job
	if err := c.Do(ctx, http.MethodPost, "/api/v1/gmail/analyze", struct{}{}, &j); err != nil {
		return 0, err
	}
	if _, err := until(ctx, 20*time.Second, "the job runs", func() (bool, error) { n, err := r.count(ctx, "state = 'running'"); return n > 0, err }); err != nil {
		return 0, err
	}
	time.Sleep(later) // another moment of the run each time
	began := time.Now()
	if err := c.Do(ctx, http.MethodPost, "/api/v1/jobs/"+j.ID+"/cancel", struct{}{}, nil); err != nil {
		return 0, err
	}
	_, err := until(ctx, 30*time.Second, "the job is canceled", func() (bool, error) {
		n, err := r.count(ctx, "state NOT IN ('succeeded','failed','canceled')")
		return n == 0, err
	})
	return time.Since(began), err
}
