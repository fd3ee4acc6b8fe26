package store

import (
	"strconv"
	"time"
)

// Discrepancy is something in the books that does not agree: which rule, of what, and how.
type Discrepancy struct {
	Rule   string
	Object string // a job's uuid, a period's start or an audit row's number
	Detail string
}

const quotaBreachesSQL = `
WITH book AS (
  SELECT period_start, used, reserved, 0 AS ledger, 0 AS open FROM usage_tracking WHERE customer_id = @customer
  UNION ALL SELECT period_start, 0, 0, emails, 0 FROM usage_ledger WHERE customer_id = @customer
  UNION ALL SELECT period_start, 0, 0, emails, 0 FROM archived_usage WHERE customer_id = @customer
  UNION ALL SELECT period_start, 0, 0, 0, reserved - settled FROM jobs
    WHERE customer_id = @customer AND state NOT IN ('succeeded','failed','canceled') AND reserved > settled
), period AS (
  SELECT period_start, sum(used) AS used, sum(reserved) AS reserved, sum(ledger) AS ledger, sum(open) AS open FROM book GROUP BY period_start
)
SELECT 'used is not the sum of the ledger' AS rule, period_start::text AS object, format('used %s, ledger %s', used, ledger) AS detail FROM period WHERE used <> ledger
UNION ALL
SELECT 'reserved is not what open jobs hold', period_start::text, format('reserved %s, open jobs %s', reserved, open) FROM period WHERE reserved <> open
UNION ALL
SELECT 'settled is not what the ledger says', j.id::text, format('settled %s, ledger %s', j.settled, coalesce(l.emails, 0))
FROM jobs j LEFT JOIN (SELECT job_id, sum(emails) AS emails FROM usage_ledger WHERE customer_id = @customer AND kind = 'settle' GROUP BY job_id) l ON l.job_id = j.id
WHERE j.customer_id = @customer AND j.settled <> coalesce(l.emails, 0)`

// QuotaBreaches compares the usage of the transaction's customer with the ledger, of the months in the archive with its sums, and with
// what open jobs hold, as one statement sees them. Empty: the books agree.
func (tx *Tx) QuotaBreaches() (list []Discrepancy, err error) {
	return list, doing(tx.Raw(quotaBreachesSQL, named(tx)).Scan(&list).Error, "verify quota")
}

const jobBreachesSQL = `
WITH job AS (SELECT *, state IN ('succeeded','failed','canceled') AS over FROM jobs WHERE customer_id = @customer)
SELECT 'nobody works on it' AS rule, id::text AS object, format('running, its lease ended at %s', lease_until) AS detail
FROM job WHERE state = 'running' AND lease_until < clock_timestamp() - make_interval(secs => @slack)
UNION ALL
SELECT 'nobody takes it', id::text, format('%s, due at %s', state, greatest(run_at, dispatched_at))
FROM job WHERE state IN ('queued','waiting','dispatched') AND greatest(run_at, dispatched_at) < clock_timestamp() - interval '1 hour'
UNION ALL
SELECT 'ended without an end', id::text, format('%s, finished at %s', state, coalesce(finished_at::text, 'no time')) FROM job WHERE over <> (finished_at IS NOT NULL)
UNION ALL
SELECT 'its run says otherwise', j.id::text, format('job %s, run %s', j.state, r.state)
FROM job j JOIN cleanup_runs r ON r.customer_id = j.customer_id AND r.job_id = j.id WHERE j.over AND r.state <> j.state
UNION ALL
SELECT 'more done than approved', j.id::text, format('%s messages in batches, %s reserved', b.asked, j.reserved)
FROM job j JOIN (SELECT job_id, sum(asked) AS asked FROM batches WHERE customer_id = @customer AND state = 'done' GROUP BY job_id) b ON b.job_id = j.id
WHERE j.kind = 'execute' AND b.asked > j.reserved
UNION ALL
SELECT 'one cleanup plan, several runs', min(id::text), format('%s executes of plan %s', count(*), plan_id)
FROM job WHERE kind = 'execute' AND (state = 'succeeded' OR settled > 0) AND plan_id IS NOT NULL GROUP BY plan_id HAVING count(*) > 1`

// JobBreaches looks for jobs of the transaction's customer that are stuck or contradict their run, their batches or each other, and
// for a break in the audit chain. A claim counts as dead slack after its lease ended.
func (tx *Tx) JobBreaches(slack time.Duration) (list []Discrepancy, err error) {
	args := named(tx)
	args["slack"] = slack.Seconds()
	if err := tx.Raw(jobBreachesSQL, args).Scan(&list).Error; err != nil {
		return nil, doing(err, "verify jobs")
	}
	audit, err := tx.AuditBreaches()
	return append(list, audit...), err
}

// AuditBreaches is VerifyAudit in the words of the other books.
func (tx *Tx) AuditBreaches() ([]Discrepancy, error) {
	proof, err := tx.VerifyAudit()
	return proof.breaches(), err
}

// breaches says it in the words of the other books.
func (p AuditProof) breaches() (list []Discrepancy) {
	if p.Broken > 0 {
		list = append(list, Discrepancy{"the audit chain is broken", strconv.FormatInt(p.Broken, 10), "the entry does not follow from the one before"})
	}
	if p.Cut {
		list = append(list, Discrepancy{"the audit log lost its end", "head", "what the head names is neither an entry nor an anchor"})
	}
	return list
}

func named(tx *Tx) map[string]any { return map[string]any{"customer": dbID(tx.Customer)} }
