package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mailsweep/internal/sweep"
)

const (
	reserving   = 800 // customers, whose rows the connections take by chance
	reserveTime = 10 * time.Second
	usageRows   = 1_000_000
)

// A customer of this row by its number n.
const numbered = `('00000000-0000-7000-8000-' || lpad(%s::text, 12, '0'))`

// reservation is what Submit does for the quota, as the API does it: by its own role, as one tenant, in one trip to the database, which is one
// transaction.
const reservation = `\set n random(1, %d)
\startpipeline
SELECT set_config('app.customer_id', ` + numbered + `, true), set_config('plan_cache_mode', 'force_generic_plan', true);
INSERT INTO usage_tracking AS t (customer_id, period_start, reserved) SELECT ` + numbered + `::uuid, '%s', 1 WHERE 1 <= 1000000000
  ON CONFLICT (customer_id, period_start) DO UPDATE SET reserved = t.reserved + excluded.reserved WHERE t.used + t.reserved + excluded.reserved <= 1000000000;
\endpipeline
`

// bareUpdate is the same condition on a table without tenants.
const bareUpdate = `\set n random(1, %d)
UPDATE limit_usage SET reserved = reserved + 1 WHERE customer_id = ` + numbered + `::uuid AND used + reserved + 1 <= 1000000000;
`

// reserve measures the reservation of quota against a bare conditional update, both by pgbench, at the same time.
func reserve(ctx context.Context, b *bench) ([]line, error) {
	r, err := b.start(ctx, "api")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	period := sweep.PeriodAt(time.Now()).Start.Format(time.RFC3339)
	err = r.exec(ctx, fmt.Sprintf("INSERT INTO customers (id, data_key, created_at) SELECT "+numbered+"::uuid, '', now() FROM generate_series(1, %d) n", "n", reserving),
		"CREATE TABLE limit_usage (customer_id uuid PRIMARY KEY, used int NOT NULL DEFAULT 0, reserved int NOT NULL DEFAULT 0)", "INSERT INTO limit_usage (customer_id) SELECT id FROM customers",
		"ANALYZE customers", "ANALYZE limit_usage")
	if err != nil {
		return nil, err
	}
	bare, err := b.script(r, "bare.sql", fmt.Sprintf(bareUpdate, reserving, ":n"))
	if err != nil {
		return nil, err
	}
	ours, err := b.script(r, "reserve.sql", fmt.Sprintf(reservation, reserving, ":n", ":n", period))
	if err != nil {
		return nil, err
	}
	ours.url = r.Env["API_DATABASE_URL"]
	var limits, rates, ratios []float64
	for range rounds {
		limit, got, err := atOnce(ctx, bare, ours)
		if err != nil {
			return nil, err
		}
		limits, rates, ratios = append(limits, limit), append(rates, got), append(ratios, got/limit)
	}
	got := median(ratios)
	return []line{goal(line{what: "reservation of quota in its tenant's transaction, durable, 8 connections", ours: rate(median(rates)), limit: "bare conditional update beside it " + rate(median(limits)), ratio: times(got),
		goal: "≥ 0.80x"}, got >= 0.8)}, nil
}

// atOnce runs both beside each other, so that they see the same machine whatever else it does.
func atOnce(ctx context.Context, a, b *inserts) (rateA, rateB float64, err error) {
	var both sync.WaitGroup
	var errA, errB error
	both.Go(func() { rateA, errA = a.run(ctx, 8, reserveTime) })
	both.Go(func() { rateB, errB = b.run(ctx, 8, reserveTime) })
	both.Wait()
	return rateA, rateB, errors.Join(errA, errB)
}

// script is something for pgbench, by default as superuser.
func (b *bench) script(r *rig, name, text string) (*inserts, error) {
	path, err := filepath.Abs(filepath.Join(b.Dir, "bench", name))
	if err != nil {
		return nil, fmt.Errorf("find pgbench's script: %w", err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("write pgbench's script: %w", err)
	}
	url, err := r.database()
	return &inserts{r: r, script: path, url: url}, err
}

// usage measures the submit among a thousand rows of usage and among a million: of each row of usage_tracking there is one in the ledger. Before, among, and after, so that a
// machine that changes meanwhile does not show as ours.
func usage(ctx context.Context, b *bench) ([]line, error) {
	r, err := b.start(ctx, "api")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	people, err := r.people(ctx, growthPeople)
	if err != nil {
		return nil, err
	}
	s := &submissions{r: r, people: people, conns: 8}
	var few, many []time.Duration
	for _, turn := range []struct {
		months int
		p50    *[]time.Duration
	}{{1, &few}, {usageRows / growthPeople, &many}, {1, &few}} {
		if err := r.used(ctx, turn.months); err != nil {
			return nil, err
		}
		if _, err := s.press(ctx, time.Second); err != nil {
			return nil, err
		}
		for range rounds {
			l, err := s.press(ctx, roundTime)
			if err != nil {
				return nil, err
			}
			*turn.p50 = append(*turn.p50, l.at(0.5))
			if err := r.exec(ctx, "DELETE FROM jobs", "TRUNCATE idempotency_keys", "VACUUM jobs, open_jobs, customers, usage_tracking", "CHECKPOINT"); err != nil {
				return nil, err
			}
		}
	}
	got := float64(middle(many)) / float64(middle(few))
	return []line{goal(line{what: "submit among a million rows of usage and of its ledger, p50", ours: ms(middle(many)), limit: "among a thousand " + ms(middle(few)), ratio: times(got), goal: "≤ 1.20x"}, got <= 1.2)}, nil
}

// used writes what each customer used in so many months, this one the last.
func (r *rig) used(ctx context.Context, months int) error {
	args := map[string]any{"months": months}
	err := r.exec(ctx, "TRUNCATE usage_tracking, usage_ledger")
	if err == nil {
		err = r.named(ctx, `INSERT INTO usage_tracking (customer_id, period_start, used) SELECT c.id, (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => n)) AT TIME ZONE 'UTC', 400
			FROM customers c, generate_series(0, @months::int - 1) n`, args)
	}
	if err == nil {
		err = r.named(ctx, `INSERT INTO usage_ledger (customer_id, job_id, batch_no, kind, emails, period_start, created_at)
			SELECT c.id, overlay(gen_random_uuid()::text placing left(uuid_floor(now())::text, 13) || '-7' from 1 for 15)::uuid, 0, 'settle', 1, date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', now() FROM customers c, generate_series(1, @months::int) n`, args)
	}
	if err != nil {
		return err
	}
	return r.exec(ctx, "VACUUM ANALYZE usage_tracking, usage_ledger", "CHECKPOINT")
}
