package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// status measures GET /jobs/{id} with token and row-level security, and the 304 path, against an Echo that answers one GET.
func status(ctx context.Context, b *bench) (lines []line, err error) {
	r, err := b.start(ctx, "api")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	polls, known, err := r.polls(ctx, 32)
	if err != nil {
		return nil, err
	}
	bare, stop, err := b.bare(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	plain := request("GET", "/", "", "")
	var limit, ours, unchanged []float64
	var p99, p99Known []time.Duration
	for range rounds {
		for _, turn := range []struct {
			at     string
			status int
			next   func(conn, i int) []byte
			rates  *[]float64
			p99    *[]time.Duration
		}{{bare, 200, func(int, int) []byte { return plain }, &limit, new([]time.Duration)},
			{addr(r.API), 200, func(conn, _ int) []byte { return polls[conn] }, &ours, &p99},
			{addr(r.API), 304, func(conn, _ int) []byte { return known[conn] }, &unchanged, &p99Known}} {
			l, err := press(ctx, turn.at, len(polls), roundTime, turn.next)
			if err == nil {
				err = l.only(turn.status)
			}
			if err != nil {
				return nil, err
			}
			*turn.rates, *turn.p99 = append(*turn.rates, l.perSecond), append(*turn.p99, l.at(0.99))
		}
	}
	top := median(limit)
	show := func(what string, rates []float64, p99 []time.Duration, want float64) line {
		got := median(rates)
		return goal(line{what: what, ours: fmt.Sprintf("%s, p99 %s", rate(got), ms(middle(p99))), limit: "bare Echo GET " + rate(top), ratio: times(got / top),
			goal: "≥ " + times(want)}, got/top >= want)
	}
	return []line{show("status poll, token and RLS, 32 connections", ours, p99, 0.20), show("the 304 path", unchanged, p99Known, 0.57)}, nil
}

// polls submits one job each of n customers and gives the requests that ask for it, without and with its ETag.
func (r *rig) polls(ctx context.Context, n int) (polls, known [][]byte, err error) {
	people, err := r.people(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	w, err := dial(addr(r.API))
	if err != nil {
		return nil, nil, err
	}
	defer w.Close()
	jobs := make([]string, n)
	for i, p := range people {
		a, err := w.ask(request("POST", "/api/v1/gmail/cleanup/execute", p.token, executeBody))
		if err != nil {
			return nil, nil, err
		}
		var job struct{ ID string }
		if err := json.Unmarshal(a.body, &job); err != nil || a.status != 202 {
			return nil, nil, fmt.Errorf("submit: %d %s", a.status, a.body)
		}
		jobs[i] = "/api/v1/jobs/" + job.ID
	}
	if err := r.dispatched(ctx); err != nil {
		return nil, nil, err
	}
	for i, p := range people {
		a, err := w.ask(request("GET", jobs[i], p.token, ""))
		if err != nil || a.etag == "" {
			return nil, nil, fmt.Errorf("poll: %d %s %w", a.status, a.body, err)
		}
		polls = append(polls, request("GET", jobs[i], p.token, ""))
		known = append(known, request("GET", jobs[i], p.token, "", "If-None-Match", a.etag))
	}
	return polls, known, nil
}

// dispatched waits until no job is queued: from then on nothing changes without a worker.
func (r *rig) dispatched(ctx context.Context) error {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var n int
		if err := r.root.QueryRow(ctx, "SELECT count(*) FROM jobs WHERE state = 'queued'").Scan(&n); err != nil {
			return fmt.Errorf("count queued jobs: %w", err)
		}
		if n == 0 {
			return nil
		}
	}
	return fmt.Errorf("the dispatcher leaves jobs queued")
}
