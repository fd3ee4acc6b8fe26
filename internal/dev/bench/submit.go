package bench

import (
	"context"
	"fmt"
	"math"
	"time"
)

const (
	rounds    = 3
	roundTime = 3 * time.Second
)

// executeBody plans and executes at once: the submission that reserves quota.
const executeBody = `{"action":"trash","criteria":{"all":[{"from":"news@example.com"},{"older_than_days":365}]},"max_messages":1}`

// submissions is a load of executes: every request with its own key, each connection walking through its share of the customers.
type submissions struct {
	r      *rig
	people []person
	conns  int
	n      int // of the load, part of the keys
}

func (s *submissions) press(ctx context.Context, d time.Duration) (load, error) {
	s.n++
	share := len(s.people) / s.conns
	l, err := press(ctx, addr(s.r.API), s.conns, d, func(conn, i int) []byte {
		p := s.people[conn*share+i%share]
		return request("POST", "/api/v1/gmail/cleanup/execute", p.token, executeBody, "Idempotency-Key", fmt.Sprintf("%d-%d-%d", s.n, conn, i))
	})
	if err != nil {
		return l, err
	}
	return l, l.only(202)
}

// clear takes the jobs away again, so that each load finds the same database.
func (s *submissions) clear(ctx context.Context) error {
	return s.r.exec(ctx, emptyJobs, "CHECKPOINT")
}

// round is one turn of the alternation.
type round struct {
	limit float64
	ours  load
}

func (s *submissions) rounds(ctx context.Context, in *inserts) (list []round, err error) {
	for range rounds {
		var one round
		if one.limit, err = in.run(ctx, s.conns, roundTime); err != nil {
			return list, err
		}
		if one.ours, err = s.press(ctx, roundTime); err != nil {
			return list, err
		}
		list = append(list, one)
		if err := s.clear(ctx); err != nil {
			return list, err
		}
	}
	return list, nil
}

func shares(list []round) (ours, limit float64, p50, p99 time.Duration) {
	var rates, limits []float64
	var half, most []time.Duration
	for _, r := range list {
		rates, limits = append(rates, r.ours.perSecond), append(limits, r.limit)
		half, most = append(half, r.ours.at(0.5)), append(most, r.ours.at(0.99))
	}
	return median(rates), median(limits), middle(half), middle(most)
}

// submit measures a POST that reserves, admits and audits, against PostgreSQL inserting single rows; then without the audit chain, and
// with Redis stopped.
func submit(ctx context.Context, b *bench) (lines []line, err error) {
	r, err := b.start(ctx, "api")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	people, err := r.people(ctx, 800)
	if err != nil {
		return nil, err
	}
	in, err := b.inserts(ctx, r)
	if err != nil {
		return nil, err
	}
	s := &submissions{r: r, people: people, conns: 8}
	if _, err := s.press(ctx, time.Second); err != nil { // warm: connections, statements, caches
		return nil, err
	}
	whole, err := s.rounds(ctx, in)
	if err != nil {
		return nil, err
	}
	lines = append(lines, submitLine("submit, full middleware, limits and audit chain, durable, 8 connections", whole, 0.18))
	quiet, err := s.withoutChain(ctx, in)
	if err != nil {
		return lines, err
	}
	lines = append(lines, submitLine("the same without request limits and audit chain", quiet, 0.25))
	l, err := s.withoutRedis(ctx, whole)
	return append(lines, l...), err
}

func submitLine(what string, list []round, want float64) line {
	ours, limit, p50, p99 := shares(list)
	return goal(line{what: what, ours: fmt.Sprintf("%s, p50 %s, p99 %s", rate(ours), ms(p50), ms(p99)), limit: "pgbench single insert " + rate(limit),
		ratio: times(ours / limit), goal: "≥ " + times(want)}, ours/limit >= want)
}

// withoutChain replaces the audit function of this row's database by one that does nothing, and stops Redis, so that requests are
// counted in the process alone.
func (s *submissions) withoutChain(ctx context.Context, in *inserts) ([]round, error) {
	err := s.r.exec(ctx, "ALTER FUNCTION audit RENAME TO audit_chain",
		`CREATE FUNCTION audit(uuid, uuid, timestamptz, text, text, text, text, bytea, jsonb) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'`)
	if err != nil {
		return nil, err
	}
	if err := s.r.Services.Redis.Stop(); err != nil {
		return nil, err
	}
	list, err := s.rounds(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := s.r.Services.Redis.Restart(ctx); err != nil {
		return nil, err
	}
	return list, s.r.exec(ctx, "DROP FUNCTION audit", "ALTER FUNCTION audit_chain RENAME TO audit")
}

// withoutRedis: nothing of a submission waits for Redis.
func (s *submissions) withoutRedis(ctx context.Context, whole []round) ([]line, error) {
	if err := s.r.Services.Redis.Stop(); err != nil {
		return nil, err
	}
	if _, err := s.press(ctx, time.Second); err != nil {
		return nil, err
	}
	var list []round
	for range rounds {
		ours, err := s.press(ctx, roundTime)
		if err != nil {
			return nil, err
		}
		list = append(list, round{ours: ours})
		if err := s.clear(ctx); err != nil {
			return nil, err
		}
	}
	ours, _, _, p99 := shares(list)
	with, _, _, p99With := shares(whole)
	slower := float64(p99) / math.Max(1, float64(p99With))
	return []line{goal(line{what: "the same with Redis stopped", ours: fmt.Sprintf("%s, p99 %s", rate(ours), ms(p99)), limit: fmt.Sprintf("with Redis %s, p99 %s", rate(with), ms(p99With)),
		ratio: fmt.Sprintf("%s, p99 %s", times(ours/with), times(slower)), goal: "same rate and p99 (within 10 %)"}, ours >= 0.9*with && slower <= 1.1)}, nil
}
