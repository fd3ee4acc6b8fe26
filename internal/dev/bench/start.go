package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// previewBody is what somebody waits for: the line of analyses and dry runs.
const previewBody = `{"action":"trash","criteria":{"all":[{"from":"news@example.com"},{"older_than_days":365}]}}`

const startsMeasured = 400

// start measures from sending the POST to the commit of the claim, one job at a time, on an idle platform.
func start(ctx context.Context, b *bench) ([]line, error) {
	r, err := b.start(ctx, "api", "scheduler")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	people, err := r.people(ctx, 100)
	if err != nil {
		return nil, err
	}
	quick, err := r.starts(ctx, people, "/api/v1/gmail/cleanup/dry-run", previewBody)
	if err != nil {
		return nil, err
	}
	bulk, err := r.starts(ctx, people, "/api/v1/gmail/cleanup/execute", executeBody)
	if err != nil {
		return nil, err
	}
	asynq, err := b.peer(ctx, r, "asynq", "start", startsMeasured)
	if err != nil {
		return nil, err
	}
	river, err := b.peer(ctx, r, "river", "start", startsMeasured)
	if err != nil {
		return nil, err
	}
	peers := fmt.Sprintf("asynq alone at 5 ms %s; River tuned %s", span(asynq.P50, asynq.P99), span(river.P50, river.P99))
	show := func(what string, l load) line {
		return goal(line{what: what, ours: span(l.at(0.5), l.at(0.99)), limit: peers, ratio: times(float64(l.at(0.5)) / float64(asynq.P50)),
			goal: "p50 ≤ 8 ms, p99 ≤ 20 ms"}, l.at(0.5) <= 8*time.Millisecond && l.at(0.99) <= 20*time.Millisecond)
	}
	return []line{show("job start when idle, POST sent to claim committed, a dry run", quick), show("the same, an execute", bulk)}, nil
}

func span(p50, p99 time.Duration) string { return fmt.Sprintf("p50 %s, p99 %s", ms(p50), ms(p99)) }

// starts submits jobs one after the other and waits for each claim.
func (r *rig) starts(ctx context.Context, people []person, path, body string) (l load, err error) {
	claims := make(chan sweep.ID, 1000)
	h, err := newHands(ctx, r.Env, 32, claimed(func(ctx context.Context, db *store.DB, c *store.Claim) error {
		claims <- c.ID
		return succeed(ctx, db, c)
	}))
	if err != nil {
		return l, err
	}
	defer h.run(ctx)()
	w, err := dial(addr(r.API))
	if err != nil {
		return l, err
	}
	defer w.Close()
	for i := range startsMeasured + 20 {
		began := time.Now()
		id, err := submitOne(w, path, people[i%len(people)].token, body, fmt.Sprintf("start-%d", i))
		if err != nil {
			return l, err
		}
		at, err := await(ctx, claims, id)
		if err != nil {
			return l, err
		}
		if i >= 20 { // the first ones warm connections and statements
			l.took = append(l.took, at.Sub(began))
		}
		time.Sleep(time.Duration(40+7*(i%13)) * time.Millisecond) // idle again, and not in step with anybody's looks
	}
	slices.Sort(l.took)
	return l, nil
}

// submitOne posts a job and gives its id.
func submitOne(w *wire, path, token, body, key string) (sweep.ID, error) {
	a, err := w.ask(request("POST", path, token, body, "Idempotency-Key", key))
	if err != nil {
		return sweep.ID{}, err
	}
	var job struct{ ID string }
	if err := json.Unmarshal(a.body, &job); err != nil || a.status != 202 {
		return sweep.ID{}, fmt.Errorf("submit: %d %s", a.status, a.body)
	}
	return sweep.JobID.Parse(job.ID)
}

// await waits for one job's claim, passing over others'.
func await(ctx context.Context, claims <-chan sweep.ID, job sweep.ID) (time.Time, error) {
	late := time.After(time.Minute)
	for {
		select {
		case id := <-claims:
			if id == job {
				return time.Now(), nil
			}
		case <-late:
			return time.Time{}, fmt.Errorf("job %s was not claimed", sweep.JobID.Show(job))
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}
