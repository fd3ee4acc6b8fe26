-- +goose Up

-- What the scheduler tells Prometheus about all customers together. Each count stops at a cap, so that a look costs the same whatever
-- has piled up; each age is that of the first of a pile in the order in which it goes.

CREATE INDEX jobs_paused ON jobs (id) WHERE state = 'paused';

GRANT SELECT (created_at) ON outbox TO mailsweep_system;

SET LOCAL ROLE mailsweep_system;

-- Open jobs by kind and state, each counted up to p_cap. late is for how many seconds the worst of them has waited for what should
-- happen at once: a queued or waiting job since it may run (one whose Google account is busy does not count), a dispatched one since it
-- was handed to Redis, a running one since its lease ended.
-- +goose StatementBegin
CREATE FUNCTION sys.open_jobs(p_cap int) RETURNS TABLE (kind text, state text, n bigint, late double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH line AS MATERIALIZED (
    SELECT h.* FROM generate_series(0, 3) AS r(rank) CROSS JOIN LATERAL (
      SELECT j.id, j.account, j.kind, j.state, j.rank, j.run_at FROM jobs j
      WHERE j.state IN ('queued','waiting') AND j.rank = r.rank ORDER BY j.vt, j.id LIMIT p_cap) h
  ), open AS (
    SELECT l.kind, l.state, CASE WHEN l.rank > 1 OR EXISTS (SELECT FROM google_accounts g WHERE g.account = l.account
      AND (g.active_job_id IS NULL OR g.active_job_id = l.id)) THEN l.run_at END AS since FROM line l
    UNION ALL
    SELECT j.kind, j.state, CASE j.state WHEN 'dispatched' THEN j.dispatched_at ELSE j.lease_until END FROM jobs j WHERE j.state IN ('dispatched','running')
    UNION ALL
    (SELECT j.kind, j.state, NULL FROM jobs j WHERE j.state = 'paused' LIMIT p_cap)
  )
  SELECT o.kind, o.state, count(*), greatest(0, coalesce(extract(epoch FROM clock_timestamp() - min(o.since)), 0))::double precision FROM open o GROUP BY 1, 2
$$;

-- Posts that are not sent yet, counted up to p_cap, and the age of the oldest of them in seconds.
CREATE FUNCTION sys.unsent_posts(p_cap int) RETURNS TABLE (n bigint, age double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT count(*), greatest(0, coalesce(extract(epoch FROM clock_timestamp() - min(o.created_at)), 0))::double precision
  FROM (SELECT created_at FROM outbox WHERE state IN ('queued','dispatched') ORDER BY run_at LIMIT p_cap) o
$$;
-- +goose StatementEnd

REVOKE EXECUTE ON FUNCTION sys.open_jobs(int), sys.unsent_posts(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sys.open_jobs(int), sys.unsent_posts(int) TO mailsweep_scheduler, mailsweep_ops;
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_system;
DROP FUNCTION sys.open_jobs, sys.unsent_posts;
RESET ROLE;
DROP INDEX jobs_paused;
