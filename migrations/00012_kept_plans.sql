-- +goose Up

-- What is asked all the time keeps its plan. A function in SQL is parsed and planned at every call, over all months of jobs: that was
-- most of what a look of the dispatcher and a submission cost. One in PL/pgSQL is planned once per connection.

-- The reason of the oldest halt in force that concerns a job; null: none does.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION halted(p_customer uuid, p_kind text, p_build text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE why text;
BEGIN
  SELECT reason INTO why FROM halts WHERE lifted_at IS NULL AND NOT pause AND halt_covers(scope, value, p_customer, p_kind, p_build) ORDER BY created_at LIMIT 1;
  RETURN why;
END $$;

-- Whether another job of the customer that writes stands in one of p_states on the same Google account. One that ops keep from starting
-- does not count as queued.
CREATE FUNCTION others_write(p_customer uuid, p_job uuid, p_account bytea, p_states text[]) RETURNS boolean LANGUAGE plpgsql STABLE
  SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN EXISTS (SELECT FROM open_jobs o JOIN jobs j ON j.customer_id = o.customer_id AND j.id = o.job_id
    WHERE o.customer_id = p_customer AND o.kind IN ('execute','undo') AND o.job_id <> p_job AND j.account = p_account AND j.state = ANY (p_states)
      AND (j.state <> 'queued' OR NOT EXISTS (SELECT FROM halts h WHERE h.lifted_at IS NULL AND halt_covers(h.scope, h.value, j.customer_id, j.kind, ''))));
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION others_write(uuid, uuid, bytea, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION others_write(uuid, uuid, bytea, text[]) TO mailsweep_app, mailsweep_worker, mailsweep_scheduler;

-- A lane is freed by its job's id alone.
CREATE INDEX open_jobs_id ON open_jobs (job_id);

SET LOCAL ROLE mailsweep_system;

-- +goose StatementBegin
DO $$
DECLARE f regprocedure; p record;
BEGIN
  FOREACH f IN ARRAY ARRAY['sys.dispatch_line(boolean,int,int)', 'sys.outbox_due(int)', 'sys.dead_leases(int)', 'sys.unclaimed(double precision)']::regprocedure[] LOOP
    SELECT proname, pg_get_function_arguments(f) AS args, pg_get_function_result(f) AS result, prosrc INTO p FROM pg_proc WHERE oid = f;
    EXECUTE format('CREATE OR REPLACE FUNCTION sys.%I(%s) RETURNS %s LANGUAGE plpgsql SECURITY DEFINER
      SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan AS %L', p.proname, p.args, p.result,
      E'#variable_conflict use_column\nBEGIN RETURN QUERY' || p.prosrc || '; END');
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION sys.release_lane(p_account bytea, p_job uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE google_accounts SET active_job_id = NULL WHERE account = p_account AND active_job_id = p_job;
END $$;

-- Lanes held by jobs that are over.
CREATE OR REPLACE FUNCTION sys.free_lanes() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE freed bigint;
BEGIN
  UPDATE google_accounts g SET active_job_id = NULL WHERE g.active_job_id IS NOT NULL AND NOT EXISTS (SELECT FROM open_jobs o WHERE o.job_id = g.active_job_id);
  GET DIAGNOSTICS freed = ROW_COUNT;
  RETURN freed;
END $$;
-- +goose StatementEnd
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_system;
-- +goose StatementBegin
DO $$
DECLARE f regprocedure; p record;
BEGIN
  FOREACH f IN ARRAY ARRAY['sys.dispatch_line(boolean,int,int)', 'sys.outbox_due(int)', 'sys.dead_leases(int)', 'sys.unclaimed(double precision)']::regprocedure[] LOOP
    SELECT proname, pg_get_function_arguments(f) AS args, pg_get_function_result(f) AS result, prosrc INTO p FROM pg_proc WHERE oid = f;
    EXECUTE format('CREATE OR REPLACE FUNCTION sys.%I(%s) RETURNS %s LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS %L',
      p.proname, p.args, p.result, regexp_replace(p.prosrc, '^#variable_conflict use_column\nBEGIN RETURN QUERY|; END$', '', 'g'));
  END LOOP;
END $$;
CREATE OR REPLACE FUNCTION sys.release_lane(p_account bytea, p_job uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  UPDATE google_accounts SET active_job_id = NULL WHERE account = p_account AND active_job_id = p_job
$$;
CREATE OR REPLACE FUNCTION sys.free_lanes() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH u AS (
    UPDATE google_accounts g SET active_job_id = NULL
    WHERE g.active_job_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = g.active_job_id AND j.state NOT IN ('succeeded','failed','canceled')) RETURNING 1
  ) SELECT count(*) FROM u
$$;
-- +goose StatementEnd
RESET ROLE;
DROP INDEX open_jobs_id;
DROP FUNCTION others_write;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION halted(p_customer uuid, p_kind text, p_build text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT reason FROM halts WHERE lifted_at IS NULL AND NOT pause AND halt_covers(scope, value, p_customer, p_kind, p_build) ORDER BY created_at LIMIT 1
$$;
-- +goose StatementEnd
