package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// verdict is what one fault did.
type verdict struct {
	mu sync.Mutex

	Strikes   int
	Lost      int // acknowledged jobs that are gone, stuck, or ended as they must not
	Doubled   int // messages changed twice, jobs done twice, units charged twice
	Outside   int // messages changed that nobody approved
	Recovered []time.Duration
	Notes     []string // figures of this fault
	Wrong     []string // every broken rule, in words
}

func (v *verdict) wrong(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Wrong = append(v.Wrong, fmt.Sprintf(format, args...))
}

func (v *verdict) lost(format string, args ...any) {
	v.wrong(format, args...)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Lost++
}

func (v *verdict) recovered(since time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Recovered = append(v.Recovered, time.Since(since))
}

func (v *verdict) note(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
}

// quantile is of the recovery times; zero without any.
func (v *verdict) quantile(q float64) time.Duration {
	if len(v.Recovered) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(v.Recovered))
	return sorted[int(q*float64(len(sorted)-1))]
}

// settle judges a cleanup that is over against the simulated Google's books, undoes it, and judges that.
func (v *verdict) settle(ctx context.Context, c *cleanup) error {
	if err := v.execution(c); err != nil || c.job.Result == nil {
		return err
	}
	if err := c.revert(ctx, repeatLimit); err != nil {
		v.lost("undo of %s: %s", c.job.ID, err)
		return nil
	}
	truth, err := c.who.rig.Sim.Truth(c.who.Email)
	if c.undo.State != "succeeded" || truth.Digest != c.digest {
		v.lost("undo %s %s: the mailbox is back = %t", c.undo.ID, c.undo.State, truth.Digest == c.digest)
	}
	return err
}

// execution: done in full, or stopped by the customer; each message once; none but the approved; charged what was changed.
func (v *verdict) execution(c *cleanup) error {
	changes, err := c.changes()
	if err != nil {
		return err
	}
	v.count(c, changes)
	var did struct {
		Cleaned int `json:"cleaned"`
	}
	if c.job.Result != nil {
		if err := json.Unmarshal(c.job.Result, &did); err != nil {
			return fmt.Errorf("read the result of %s: %w", c.job.ID, err)
		}
	}
	switch {
	case c.job.State == "succeeded" && len(changes) == c.toClean && did.Cleaned == c.toClean:
	case c.job.State == "canceled" && c.canceled && did.Cleaned == len(changes):
	default:
		v.lost("%s is %s (%s): planned %d, changed %d, told %d; error %+v", c.job.ID, c.job.State, c.job.Phase, c.toClean, len(changes), did.Cleaned, c.job.Error)
	}
	return nil
}

func (v *verdict) count(c *cleanup, changes map[string]int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, times := range changes {
		if times > 1 {
			v.Doubled++
		}
		if !c.approved[id] {
			v.Outside++
		}
	}
}

// rules are what must hold in the database when all is quiet: each query gives one row per breach.
var rules = []struct{ name, query string }{
	{"ledger = used", `SELECT customer_id || ' ' || period_start FROM (
		SELECT customer_id, period_start, used, 0 AS sum FROM usage_tracking UNION ALL
		SELECT customer_id, period_start, 0, emails FROM usage_ledger) x GROUP BY customer_id, period_start HAVING sum(used) <> sum(sum)`},
	{"reserved = open jobs", `SELECT customer_id || ' ' || period_start FROM (
		SELECT customer_id, period_start, reserved, 0 AS open FROM usage_tracking UNION ALL
		SELECT customer_id, period_start, 0, reserved - settled FROM jobs WHERE state NOT IN ('succeeded','failed','canceled') AND reserved > settled) x
		WHERE period_start IS NOT NULL GROUP BY customer_id, period_start HAVING sum(reserved) <> sum(open)`},
	{"settled = ledger", `SELECT id::text FROM jobs j WHERE settled <> (SELECT coalesce(sum(emails), 0) FROM usage_ledger l
		WHERE l.customer_id = j.customer_id AND l.job_id = j.id AND l.kind = 'settle')`},
	{"one run per cleanup plan", `SELECT plan_id::text FROM jobs WHERE kind = 'execute' AND plan_id IS NOT NULL GROUP BY plan_id HAVING count(*) FILTER (WHERE settled > 0 OR state = 'succeeded') > 1`},
	{"audit chain", `SELECT customer_id || ' ' || seq FROM (
		SELECT *, lag(hash, 1, ''::bytea) OVER w AS before, row_number() OVER w AS n FROM audit_logs WINDOW w AS (PARTITION BY customer_id ORDER BY seq)) a
		WHERE seq <> n OR prev_hash <> before OR hash <> sha256(prev_hash || convert_to(jsonb_build_array(2, seq, customer_id, id, extract(epoch FROM at), actor, action, object,
		  request_id, encode(address_hash, 'hex'), data)::text, 'UTF8'))
		UNION ALL SELECT customer_id::text FROM audit_heads h WHERE seq <> (SELECT count(*) FROM audit_logs l WHERE l.customer_id = h.customer_id)`},
	{"lanes are free", `SELECT encode(account, 'hex') FROM google_accounts g WHERE active_job_id IS NOT NULL
		AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = g.active_job_id AND j.state NOT IN ('succeeded','failed','canceled'))`},
	{"no job is open", `SELECT id || ' ' || state || ' ' || phase FROM jobs WHERE state NOT IN ('succeeded','failed','canceled')`},
}

// settleTime is how long the sweeper may take to repair what a fault left.
const settleTime = 30 * time.Second

// verify is the global rule, after every fault: the books agree, the programs' own verification says the same, nobody was shown an
// internal error or a stranger's row.
func (r *rig) verify(ctx context.Context, v *verdict) error {
	for _, rule := range rules {
		var breaches []string
		err := until(ctx, settleTime, rule.name, func() (holds bool) {
			breaches, holds = r.breaches(ctx, rule.query)
			return holds
		})
		if err != nil {
			v.wrong("%s: %d breaches, such as %s", rule.name, len(breaches), first(breaches))
		}
	}
	r.verifyCommands(ctx, v)
	for _, c := range r.calls.take() {
		v.wrong("%s %s was answered %d", c.Method, c.Path, c.Status)
	}
	return r.strangers(ctx, v)
}

func first(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return all[0]
}

func (r *rig) breaches(ctx context.Context, query string) (list []string, none bool) {
	rows, err := r.judge.Query(ctx, query)
	if err != nil {
		return []string{err.Error()}, false
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return []string{err.Error()}, false
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		return []string{err.Error()}, false
	}
	return list, len(list) == 0
}

// verifyCommands runs what ops can run.
func (r *rig) verifyCommands(ctx context.Context, v *verdict) {
	for _, what := range []string{"quota", "jobs"} {
		if out, err := r.Command(ctx, "scheduler", what, "verify").CombinedOutput(); err != nil {
			v.wrong("scheduler %s verify: %s: %s", what, err, strings.TrimSpace(string(out)))
		}
	}
}

// take empties the list of undocumented errors.
func (h *history) take() []call {
	h.mu.Lock()
	defer h.mu.Unlock()
	bare := h.bare
	h.bare = nil
	return bare
}

// strangers: everybody sees the jobs that are their own in the database, and no other's.
func (r *rig) strangers(ctx context.Context, v *verdict) error {
	return each(r.people, func(_ int, p *person) error {
		var page struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
		}
		if err := p.do(ctx, http.MethodGet, "/api/v1/jobs?limit=100", "", nil, &page); err != nil {
			return err
		}
		for _, j := range page.Items {
			var mine bool
			err := r.judge.QueryRow(ctx, `SELECT EXISTS (SELECT FROM jobs WHERE id = $1::uuid AND customer_id = $2::uuid)`, hexOf(j.ID), hexOf(p.ID)).Scan(&mine)
			if err != nil {
				return fmt.Errorf("ask whose job it is: %w", err)
			}
			if !mine {
				v.wrong("%s was shown %s", p.Email, j.ID)
			}
		}
		return nil
	})
}

// hexOf takes the prefix off a public id.
func hexOf(id string) string {
	_, hex, _ := strings.Cut(id, "_")
	return hex
}
