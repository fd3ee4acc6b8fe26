package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mailsweep/internal/sweep"
)

// poll measures what it costs to ask for a job as somebody: token, revocation, rate limit and tenant, against a handler that reads the same row for
// whoever asks.
func poll(ctx context.Context, b *bench) (lines []line, err error) {
	r, err := b.start(ctx, "api")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	polls, _, err := r.polls(ctx, 4)
	if err != nil {
		return nil, err
	}
	same, err := r.sameJobs(polls)
	if err != nil {
		return nil, err
	}
	database, err := r.database()
	if err != nil {
		return nil, err
	}
	bare, stop, err := b.serving(ctx, "job", database)
	if err != nil {
		return nil, err
	}
	defer stop()
	var ours, theirs []time.Duration
	for range rounds {
		for _, turn := range []struct {
			at   string
			asks [][]byte
			p50  *[]time.Duration
		}{{bare, same, &theirs}, {addr(r.API), polls, &ours}} {
			l, err := press(ctx, turn.at, len(turn.asks), roundTime, func(conn, _ int) []byte { return turn.asks[conn] })
			if err == nil {
				err = l.only(200)
			}
			if err != nil {
				return nil, err
			}
			*turn.p50 = append(*turn.p50, l.at(0.5))
		}
	}
	got := float64(middle(ours)) / float64(middle(theirs))
	return []line{goal(line{what: "poll as somebody (token, revocation, limit, tenant), p50 of 4 connections", ours: ms(middle(ours)),
		limit: "the same row for whoever asks " + ms(middle(theirs)), ratio: times(got), goal: "≤ 5x"}, got <= 5)}, nil
}

// sameJobs asks the bare handler for the jobs of polls.
func (r *rig) sameJobs(polls [][]byte) (same [][]byte, err error) {
	for _, p := range polls {
		_, rest, _ := strings.Cut(string(p), "/api/v1/jobs/")
		shown, _, _ := strings.Cut(rest, " ")
		id, err := sweep.JobID.Parse(shown)
		if err != nil {
			return nil, fmt.Errorf("find the job that is polled: %w", err)
		}
		same = append(same, request("GET", "/"+id.String(), "", ""))
	}
	return same, nil
}
