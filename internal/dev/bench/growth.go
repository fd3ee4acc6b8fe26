package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailsweep/internal/sweep"
)

const (
	growthPeople = 1000 // submit
	growthOwners = 50   // have the jobs, so that the smallest history has a full page too
)

// growth measures submit, status, history and sweep with 10^3, then ever more finished jobs in the database, all in this month's partition.
func growth(ctx context.Context, b *bench) (lines []line, err error) {
	r, err := b.start(ctx, "api")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	people, err := r.people(ctx, growthPeople)
	if err != nil {
		return nil, err
	}
	owners := people[:growthOwners]
	sizes := []int{20, 200, 2000, 20_000} // jobs of each owner
	if b.Full {
		sizes = append(sizes, 200_000)
	}
	acts := []string{"submit", "status", "history", "sweep"}
	p99 := map[string][]time.Duration{}
	have := 0
	for _, each := range sizes {
		for _, p := range owners {
			if err := r.fill(ctx, backlog{kind: sweep.DryRun, customer: p.customer, each: each - have, state: sweep.Succeeded, over: sinceMonth()}); err != nil {
				return nil, err
			}
		}
		have = each
		if err := r.exec(ctx, "VACUUM ANALYZE jobs", "CHECKPOINT"); err != nil {
			return nil, err
		}
		one, err := r.grown(ctx, people, owners)
		if err != nil {
			return nil, err
		}
		for act, took := range one {
			p99[act] = append(p99[act], took)
		}
		say("  %d jobs: %v", each*growthOwners, one)
	}
	for _, act := range acts {
		all := p99[act]
		worst := float64(slices.Max(all)) / float64(all[0])
		lines = append(lines, goal(line{what: fmt.Sprintf("%s p99, 10^3 to 10^%d jobs", act, len(sizes)+2), ours: "each size: " + list(all[1:]), limit: "with 10^3 jobs " + ms(all[0]),
			ratio: times(worst) + " at worst", goal: "≤ 1.30x"}, worst <= 1.3))
	}
	return lines, nil
}

// sinceMonth is how far back this month goes, so that old jobs do not count as today's.
func sinceMonth() time.Duration { return time.Since(sweep.PeriodAt(time.Now()).Start) - time.Minute }

func list(took []time.Duration) string {
	var shown []string
	for _, d := range took {
		shown = append(shown, ms(d))
	}
	return strings.Join(shown, ", ")
}

// grown measures each act: three rounds, the middle one's p99.
func (r *rig) grown(ctx context.Context, people, owners []person) (map[string]time.Duration, error) {
	polls, err := r.oldJobs(ctx, owners[:32])
	if err != nil {
		return nil, err
	}
	var histories [][]byte
	for _, p := range owners[:32] {
		histories = append(histories, request("GET", "/api/v1/jobs?limit=20", p.token, ""))
	}
	s := &submissions{r: r, people: people, conns: 8, n: int(time.Now().UnixMilli())}
	reads := func(of [][]byte) func() (load, error) {
		return func() (load, error) {
			l, err := press(ctx, addr(r.API), 8, roundTime, func(conn, i int) []byte { return of[(conn*4+i)%len(of)] })
			if err == nil {
				err = l.only(200)
			}
			return l, err
		}
	}
	out := map[string]time.Duration{}
	for act, measure := range map[string]func() (load, error){"submit": func() (load, error) { return s.press(ctx, roundTime) }, "status": reads(polls),
		"history": reads(histories), "sweep": func() (load, error) { return r.sweeps(ctx) }} {
		var rounds99 []time.Duration
		for range rounds {
			l, err := measure()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", act, err)
			}
			rounds99 = append(rounds99, l.at(0.99))
		}
		out[act] = middle(rounds99)
	}
	return out, r.exec(ctx, "DELETE FROM jobs WHERE kind = 'execute'", "TRUNCATE idempotency_keys, usage_ledger, usage_tracking CASCADE", "VACUUM jobs")
}

// sweeps times the sweeper's statements.
func (r *rig) sweeps(ctx context.Context) (l load, err error) {
	for range 300 {
		began := time.Now()
		if err := r.exec(ctx, "SELECT count(*) FROM sys.dead_leases(5)", "SELECT count(*) FROM sys.unclaimed(15)", "SELECT sys.free_lanes()"); err != nil {
			return l, err
		}
		l.took = append(l.took, time.Since(began))
	}
	slices.Sort(l.took)
	return l, nil
}

// oldJobs gives requests that ask for the oldest job of each customer.
func (r *rig) oldJobs(ctx context.Context, people []person) (polls [][]byte, err error) {
	for _, p := range people {
		var id string
		if err := r.root.QueryRow(ctx, "SELECT id::text FROM jobs WHERE customer_id = $1 ORDER BY id LIMIT 1", p.customer.String()).Scan(&id); err != nil {
			return nil, fmt.Errorf("find a job: %w", err)
		}
		job, err := sweep.ParseUUID(id)
		if err != nil {
			return nil, err
		}
		polls = append(polls, request("GET", "/api/v1/jobs/"+sweep.JobID.Show(job), p.token, ""))
	}
	return polls, nil
}
