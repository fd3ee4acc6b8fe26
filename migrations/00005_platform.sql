-- +goose Up

-- The job platform: moves that the database itself refuses, halts and pauses, a cap on what one customer has running, poison with its reason.

-- Which state may follow which: the same table as in package sweep; a test compares them.
-- +goose StatementBegin
CREATE FUNCTION job_may_move(p_from text, p_to text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE p_from
    WHEN 'queued' THEN p_to IN ('dispatched','paused','failed','canceled')
    WHEN 'dispatched' THEN p_to IN ('running','queued','paused','failed','canceled')
    WHEN 'running' THEN p_to IN ('running','queued','waiting','paused','succeeded','failed','canceled')
    WHEN 'waiting' THEN p_to IN ('dispatched','queued','paused','failed','canceled')
    WHEN 'paused' THEN p_to IN ('queued','failed','canceled')
    WHEN 'failed' THEN p_to = 'queued'
    ELSE false END
$$;
CREATE FUNCTION job_refuse_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'a job cannot go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation'; END $$;
-- +goose StatementEnd
CREATE TRIGGER job_moves BEFORE UPDATE OF state ON jobs FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state AND NOT job_may_move(OLD.state, NEW.state)) EXECUTE FUNCTION job_refuse_move();

ALTER TABLE jobs ADD COLUMN pause_requested boolean NOT NULL DEFAULT false, ADD COLUMN trouble text NOT NULL DEFAULT '',
  ADD COLUMN builds text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN jobs.builds IS 'of the workers that claimed it: what a bulk undo by build looks for';
COMMENT ON COLUMN jobs.trouble IS 'why the last claim broke, for operators: our own words, never mail data';

-- A line of the dispatcher is what writes or what does not; within it the order is virtual time.
CREATE INDEX jobs_line ON jobs ((rank <= 1), vt, id) WHERE state IN ('queued','waiting');
DROP INDEX jobs_open;

ALTER TABLE halts ADD COLUMN pause boolean NOT NULL DEFAULT false, ADD COLUMN lifted_by text NOT NULL DEFAULT '';
COMMENT ON COLUMN halts.pause IS 'false, a halt: submits are refused, what runs stops at its next edge. true, a pause: submits are taken and nothing new starts';
COMMENT ON COLUMN halts.value IS 'the kind of job, the customer''s UUID or the build; empty for all';
CREATE INDEX halts_in_force ON halts (created_at) WHERE lifted_at IS NULL;

-- Whether a halt or pause concerns a job. One expression, so that the planner can take it into whatever asks.
-- +goose StatementBegin
CREATE FUNCTION halt_covers(p_scope text, p_value text, p_customer uuid, p_kind text, p_build text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT p_scope = 'all' OR p_scope = 'kind' AND p_value = p_kind OR p_scope = 'customer' AND p_value = p_customer::text
    OR p_scope = 'build' AND p_value = p_build AND p_value <> ''
$$;
-- The reason of the oldest halt in force that concerns a job; null: none does.
CREATE FUNCTION halted(p_customer uuid, p_kind text, p_build text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT reason FROM halts WHERE lifted_at IS NULL AND NOT pause AND halt_covers(scope, value, p_customer, p_kind, p_build) ORDER BY created_at LIMIT 1
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION job_may_move(text, text), job_refuse_move(), halt_covers(text, text, uuid, text, text), halted(uuid, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION job_may_move(text, text) TO mailsweep_app, mailsweep_worker, mailsweep_scheduler, mailsweep_system;
GRANT EXECUTE ON FUNCTION halt_covers(text, text, uuid, text, text), halted(uuid, text, text) TO mailsweep_app, mailsweep_worker, mailsweep_scheduler, mailsweep_system, mailsweep_ops;

GRANT SELECT (worker, trouble, cancel_requested), UPDATE (trouble) ON jobs TO mailsweep_system;
SET LOCAL ROLE mailsweep_system;

-- Takes the next jobs of a line (p_writes: executes and undos, else analyses and dry runs) by virtual time until p_window of them are in
-- flight, of one customer at most p_each. What ops halted or paused stays, unless it is to be canceled. A writing job needs its Google account's lane, which it takes
-- here; of several for one account the lowest rank goes first, but a job that comes back to the queue with its lane (a dead lease, a wait)
-- goes on before any other: nobody else can.
-- +goose StatementBegin
CREATE FUNCTION sys.dispatch_line(p_writes boolean, p_window int, p_each int)
RETURNS TABLE (customer_id uuid, job_id uuid, epoch int, kind text, request_id text, traceparent text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH flying AS MATERIALIZED (
    SELECT j.customer_id, count(*) AS n FROM jobs j WHERE j.state IN ('dispatched','running') AND (j.rank <= 1) = p_writes GROUP BY 1
  ), room AS (
    SELECT greatest(0, p_window - coalesce(sum(n), 0)) AS n FROM flying
  ), stop AS MATERIALIZED (
    SELECT h.scope, h.value FROM halts h WHERE h.lifted_at IS NULL
  ), c AS MATERIALIZED (
    SELECT j.customer_id, j.id, j.account, j.rank, j.vt FROM jobs j
    WHERE j.state IN ('queued','waiting') AND (j.rank <= 1) = p_writes AND j.run_at <= clock_timestamp()
      AND j.customer_id NOT IN (SELECT f.customer_id FROM flying f WHERE f.n >= p_each)
      AND (j.cancel_requested OR NOT EXISTS (SELECT FROM stop s WHERE halt_covers(s.scope, s.value, j.customer_id, j.kind, '')))
      AND (j.rank > 1 OR EXISTS (
        SELECT FROM google_accounts g WHERE g.account = j.account AND (g.active_job_id = j.id OR g.active_job_id IS NULL
          AND NOT EXISTS (SELECT FROM jobs o WHERE o.account = j.account AND o.rank <= 1 AND o.state IN ('queued','waiting')
                          AND o.run_at <= clock_timestamp() AND (o.rank, o.vt, o.id) < (j.rank, j.vt, j.id)
                          AND (o.cancel_requested OR NOT EXISTS (SELECT FROM stop s WHERE halt_covers(s.scope, s.value, o.customer_id, o.kind, '')))))))
    ORDER BY j.vt, j.id LIMIT (SELECT n FROM room) FOR UPDATE OF j SKIP LOCKED
  ), turn AS (
    SELECT t.* FROM (
      SELECT c.*, coalesce(f.n, 0) + row_number() OVER (PARTITION BY c.customer_id ORDER BY c.vt, c.id) AS nth FROM c LEFT JOIN flying f USING (customer_id)) t
    WHERE t.nth <= p_each
  ), lane AS (
    UPDATE google_accounts g SET active_job_id = t.id FROM turn t
    WHERE t.rank <= 1 AND g.account = t.account AND (g.active_job_id IS NULL OR g.active_job_id = t.id) RETURNING t.id
  ), clock AS (
    UPDATE dispatch_clock SET vt = greatest(vt, (SELECT max(t.vt) FROM turn t)) WHERE (SELECT max(t.vt) FROM turn t) > vt
  )
  UPDATE jobs j SET state = 'dispatched', epoch = j.epoch + 1, dispatched_at = clock_timestamp()
  FROM turn t WHERE j.customer_id = t.customer_id AND j.id = t.id AND (t.rank > 1 OR t.id IN (SELECT id FROM lane))
  RETURNING j.customer_id, j.id, j.epoch, j.kind, j.request_id, j.traceparent
$$;

-- What binaries of the release before call, while both run.
CREATE OR REPLACE FUNCTION sys.dispatch(p_low int, p_high int, p_window int)
RETURNS TABLE (customer_id uuid, job_id uuid, epoch int, kind text, request_id text, traceparent text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT * FROM sys.dispatch_line(p_high <= 1, p_window, p_window)
$$;

-- Jobs whose lease died go back to the queue; those that died p_poison times in a row without a batch are returned with poison =
-- true and left for the caller to fail, because failing releases a reservation inside the tenant.
CREATE OR REPLACE FUNCTION sys.dead_leases(p_poison int)
RETURNS TABLE (customer_id uuid, job_id uuid, poison boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH dead AS MATERIALIZED (
    SELECT j.customer_id, j.id, j.barren + 1 >= p_poison AS poison FROM jobs j
    WHERE j.state = 'running' AND j.lease_until < clock_timestamp() LIMIT 500 FOR UPDATE SKIP LOCKED
  ), u AS (
    UPDATE jobs j SET state = CASE WHEN d.poison THEN j.state ELSE 'queued' END, run_at = clock_timestamp(), version = j.version + 1,
           barren = CASE WHEN d.poison THEN j.barren ELSE j.barren + 1 END, trouble = 'worker ' || j.worker || ' fell silent'
    FROM dead d WHERE j.customer_id = d.customer_id AND j.id = d.id RETURNING j.customer_id, j.id, d.poison
  ) SELECT * FROM u
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION sys.dispatch_line(boolean, int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sys.dispatch_line(boolean, int, int) TO mailsweep_app, mailsweep_scheduler;
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_system;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION sys.dispatch(p_low int, p_high int, p_window int)
RETURNS TABLE (customer_id uuid, job_id uuid, epoch int, kind text, request_id text, traceparent text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH room AS (
    SELECT greatest(0, p_window - count(*)) AS n FROM jobs WHERE state IN ('dispatched','running') AND rank BETWEEN p_low AND p_high
  ), c AS MATERIALIZED (
    SELECT j.customer_id, j.id, j.account, j.rank, j.vt FROM jobs j
    WHERE j.state IN ('queued','waiting') AND j.run_at <= clock_timestamp() AND j.rank BETWEEN p_low AND p_high
      AND (j.rank > 1 OR EXISTS (
        SELECT FROM google_accounts g WHERE g.account = j.account AND (g.active_job_id = j.id OR g.active_job_id IS NULL
          AND NOT EXISTS (SELECT FROM jobs o WHERE o.account = j.account AND o.rank <= 1 AND o.state IN ('queued','waiting')
                          AND o.run_at <= clock_timestamp() AND (o.rank, o.vt, o.id) < (j.rank, j.vt, j.id)))))
    ORDER BY j.vt, j.id LIMIT (SELECT n FROM room) FOR UPDATE OF j SKIP LOCKED
  ), lane AS (
    UPDATE google_accounts g SET active_job_id = c.id FROM c
    WHERE c.rank <= 1 AND g.account = c.account AND (g.active_job_id IS NULL OR g.active_job_id = c.id) RETURNING c.id
  ), clock AS (
    UPDATE dispatch_clock SET vt = greatest(vt, (SELECT max(c.vt) FROM c)) WHERE (SELECT max(c.vt) FROM c) > vt
  )
  UPDATE jobs j SET state = 'dispatched', epoch = j.epoch + 1, dispatched_at = clock_timestamp(), version = j.version + 1
  FROM c WHERE j.customer_id = c.customer_id AND j.id = c.id AND (c.rank > 1 OR c.id IN (SELECT id FROM lane))
  RETURNING j.customer_id, j.id, j.epoch, j.kind, j.request_id, j.traceparent
$$;
CREATE OR REPLACE FUNCTION sys.dead_leases(p_poison int)
RETURNS TABLE (customer_id uuid, job_id uuid, poison boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH dead AS MATERIALIZED (
    SELECT j.customer_id, j.id, j.barren + 1 >= p_poison AS poison FROM jobs j
    WHERE j.state = 'running' AND j.lease_until < clock_timestamp() LIMIT 500 FOR UPDATE SKIP LOCKED
  ), u AS (
    UPDATE jobs j SET state = CASE WHEN d.poison THEN j.state ELSE 'queued' END, run_at = clock_timestamp(), version = j.version + 1,
           barren = CASE WHEN d.poison THEN j.barren ELSE j.barren + 1 END
    FROM dead d WHERE j.customer_id = d.customer_id AND j.id = d.id RETURNING j.customer_id, j.id, d.poison
  ) SELECT * FROM u
$$;
-- +goose StatementEnd
DROP FUNCTION sys.dispatch_line(boolean, int, int);
RESET ROLE;
REVOKE SELECT (worker, trouble, cancel_requested), UPDATE (trouble) ON jobs FROM mailsweep_system;
DROP FUNCTION halted, halt_covers;
DROP INDEX halts_in_force;
ALTER TABLE halts DROP COLUMN pause, DROP COLUMN lifted_by;
CREATE INDEX jobs_open ON jobs (rank, vt, id) WHERE state IN ('queued','waiting');
DROP INDEX jobs_line;
DROP TRIGGER job_moves ON jobs;
UPDATE jobs SET state = 'waiting' WHERE state = 'paused';
ALTER TABLE jobs DROP COLUMN pause_requested, DROP COLUMN trouble, DROP COLUMN builds;
DROP FUNCTION job_refuse_move, job_may_move;
