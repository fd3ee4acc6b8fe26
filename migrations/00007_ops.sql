-- +goose Up

-- What operators see of all customers together, and what they may do to all of them at once. They log in as mailsweep_ops, which reads no
-- tenant's table: these functions give it ids, states, counts and our own words, never mail data.

CREATE INDEX jobs_failed ON jobs (id) WHERE state = 'failed';

-- What operators asked for, append-only and hash-chained like a customer's audit log, in which what concerns one customer stands too.
CREATE TABLE ops_log (
  seq       bigint PRIMARY KEY,
  at        timestamptz NOT NULL,
  operator  text NOT NULL CHECK (operator <> ''),
  act       text NOT NULL,
  object    text NOT NULL DEFAULT '',
  reason    text NOT NULL DEFAULT '',
  prev_hash bytea NOT NULL,
  hash      bytea NOT NULL
);
CREATE TRIGGER ops_log_append_only BEFORE UPDATE OR DELETE ON ops_log FOR EACH ROW EXECUTE FUNCTION audit_refuse();

GRANT SELECT ON ops_log TO mailsweep_ops;
GRANT SELECT, INSERT ON ops_log TO mailsweep_system;
GRANT INSERT, UPDATE (lifted_at, lifted_by) ON halts TO mailsweep_system;
GRANT SELECT (phase, done, total, per_second, builds, fence, error_code, started_at, finished_at) ON jobs TO mailsweep_system;

SET LOCAL ROLE mailsweep_system;

-- +goose StatementBegin
CREATE FUNCTION sys.ops_note(p_at timestamptz, p_operator text, p_act text, p_object text, p_reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE s bigint := 0; p bytea := '';
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ops_log', 0)); -- one writer at a time: each row's hash holds the one before
  SELECT seq, hash INTO s, p FROM ops_log ORDER BY seq DESC LIMIT 1;
  s := coalesce(s, 0) + 1; p := coalesce(p, '');
  INSERT INTO ops_log VALUES (s, p_at, p_operator, p_act, p_object, p_reason, p,
    sha256(p || convert_to(concat_ws('|', s, extract(epoch FROM p_at), p_operator, p_act, p_object, p_reason), 'UTF8')));
  RETURN s;
END $$;

-- Puts a halt or pause in force and returns its id: that of the same one, if it is in force already.
CREATE FUNCTION sys.halt(p_id uuid, p_at timestamptz, p_scope text, p_value text, p_pause boolean, p_reason text, p_operator text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE same uuid;
BEGIN
  PERFORM sys.ops_note(p_at, p_operator, CASE WHEN p_pause THEN 'pause' ELSE 'halt' END, btrim(p_scope || ' ' || p_value), p_reason);
  SELECT id INTO same FROM halts WHERE lifted_at IS NULL AND scope = p_scope AND value = p_value AND pause = p_pause LIMIT 1;
  IF same IS NULL THEN
    INSERT INTO halts (id, scope, value, reason, created_by, created_at, pause) VALUES (p_id, p_scope, p_value, p_reason, p_operator, p_at, p_pause);
  END IF;
  RETURN coalesce(same, p_id);
END $$;

-- Lifts a halt or pause; false if it was not in force any more.
CREATE FUNCTION sys.lift(p_id uuid, p_at timestamptz, p_reason text, p_operator text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE what text;
BEGIN
  UPDATE halts SET lifted_at = p_at, lifted_by = p_operator WHERE id = p_id AND lifted_at IS NULL RETURNING btrim(scope || ' ' || value) INTO what;
  IF what IS NULL THEN RETURN false; END IF;
  PERFORM sys.ops_note(p_at, p_operator, 'lift', what, p_reason);
  RETURN true;
END $$;

-- Open jobs by kind and plan, of each line and of what is paused at most p_cap. age: of the one that may run for longest, in seconds.
CREATE FUNCTION sys.ops_depth(p_now timestamptz, p_cap int)
RETURNS TABLE (kind text, plan text, queued bigint, running bigint, waiting bigint, paused bigint, age double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH open AS MATERIALIZED (
    (SELECT j.customer_id, j.kind, j.state, j.run_at FROM jobs j WHERE j.state IN ('queued','waiting') AND (j.rank <= 1) = true ORDER BY j.vt, j.id LIMIT p_cap)
    UNION ALL
    (SELECT j.customer_id, j.kind, j.state, j.run_at FROM jobs j WHERE j.state IN ('queued','waiting') AND (j.rank <= 1) = false ORDER BY j.vt, j.id LIMIT p_cap)
    UNION ALL
    SELECT j.customer_id, j.kind, j.state, j.run_at FROM jobs j WHERE j.state IN ('dispatched','running')
    UNION ALL
    (SELECT j.customer_id, j.kind, j.state, j.run_at FROM jobs j WHERE j.state = 'paused' LIMIT p_cap)
  )
  SELECT o.kind, CASE WHEN c.plan = 'free' AND c.trial_ends_at > p_now THEN 'trial' ELSE c.plan END,
    count(*) FILTER (WHERE o.state IN ('queued','dispatched')), count(*) FILTER (WHERE o.state = 'running'),
    count(*) FILTER (WHERE o.state = 'waiting'), count(*) FILTER (WHERE o.state = 'paused'),
    greatest(0, coalesce(extract(epoch FROM clock_timestamp() - min(o.run_at) FILTER (WHERE o.state IN ('queued','dispatched'))), 0))::double precision
  FROM open o JOIN customers c ON c.id = o.customer_id GROUP BY 1, 2 ORDER BY 1, 2
$$;

-- A page of jobs, newest first, before p_before. p_view: open, queued, running, waiting, stuck, failed, or all, which needs a customer.
-- Without a customer the open ones are looked for among the first p_cap of each line. p_job asks for one job.
CREATE FUNCTION sys.ops_jobs(p_view text, p_kind text, p_customer uuid, p_job uuid, p_before uuid, p_n int, p_cap int)
RETURNS TABLE (customer_id uuid, id uuid, kind text, state text, plan text, phase text, done int, total int, per_second double precision, worker text, builds text,
  fence int, barren int, error_code text, trouble text, stuck text, run_at timestamptz, lease_until timestamptz, created_at timestamptz, started_at timestamptz, finished_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH lines AS (SELECT p_customer IS NULL AND p_view IN ('open','queued','waiting','stuck') AS yes), before AS (
    SELECT coalesce(p_before, 'ffffffff-ffff-ffff-ffff-ffffffffffff') AS id
  ), picked AS MATERIALIZED (
    (SELECT j.customer_id, j.id FROM jobs j WHERE (SELECT yes FROM lines) AND j.state IN ('queued','waiting') AND (j.rank <= 1) = true ORDER BY j.vt, j.id LIMIT p_cap)
    UNION ALL
    (SELECT j.customer_id, j.id FROM jobs j WHERE (SELECT yes FROM lines) AND j.state IN ('queued','waiting') AND (j.rank <= 1) = false ORDER BY j.vt, j.id LIMIT p_cap)
    UNION ALL
    SELECT j.customer_id, j.id FROM jobs j WHERE p_customer IS NULL AND p_view IN ('open','queued','running','stuck') AND j.state IN ('dispatched','running')
    UNION ALL
    (SELECT j.customer_id, j.id FROM jobs j WHERE p_customer IS NULL AND p_view IN ('open','waiting') AND j.state = 'paused' LIMIT p_cap)
    UNION ALL
    SELECT j.customer_id, j.id FROM jobs j WHERE p_view NOT IN ('failed','all') AND j.customer_id = p_customer AND j.state NOT IN ('succeeded','failed','canceled')
    UNION ALL
    (SELECT j.customer_id, j.id FROM jobs j WHERE p_view = 'failed' AND j.state = 'failed' AND (p_kind = '' OR j.kind = p_kind)
       AND (p_customer IS NULL OR j.customer_id = p_customer) AND j.id < (SELECT id FROM before) ORDER BY j.id DESC LIMIT p_n)
    UNION ALL
    (SELECT j.customer_id, j.id FROM jobs j WHERE p_view = 'all' AND j.customer_id = p_customer AND (p_kind = '' OR j.kind = p_kind)
       AND j.id < (SELECT id FROM before) ORDER BY j.id DESC LIMIT p_n)
    UNION ALL
    SELECT j.customer_id, j.id FROM jobs j WHERE p_view = 'job' AND j.id = p_job
  )
  SELECT s.* FROM picked p CROSS JOIN LATERAL (
    SELECT j.customer_id, j.id, j.kind, j.state, CASE WHEN c.plan = 'free' AND c.trial_ends_at > now() THEN 'trial' ELSE c.plan END, j.phase, j.done, j.total, j.per_second,
      j.worker, array_to_string(j.builds, ' '), j.fence, j.barren, j.error_code, j.trouble, CASE
        WHEN j.state = 'running' AND j.lease_until < clock_timestamp() THEN 'its worker fell silent'
        WHEN j.state = 'dispatched' AND j.dispatched_at < clock_timestamp() - interval '30 seconds' THEN 'no worker takes it'
        WHEN j.state IN ('queued','dispatched','running','waiting') AND j.barren >= 2 THEN j.barren || ' claims in a row without progress' ELSE '' END AS stuck,
      j.run_at, j.lease_until, j.created_at, j.started_at, j.finished_at
    FROM jobs j JOIN customers c ON c.id = j.customer_id WHERE j.customer_id = p.customer_id AND j.id = p.id) s
  WHERE (p_kind = '' OR s.kind = p_kind) AND s.id < (SELECT id FROM before)
    AND CASE p_view WHEN 'queued' THEN s.state IN ('queued','dispatched') WHEN 'running' THEN s.state = 'running' WHEN 'waiting' THEN s.state IN ('waiting','paused')
      WHEN 'stuck' THEN s.stuck <> '' ELSE true END
  ORDER BY s.id DESC LIMIT p_n
$$;

-- Executes that a worker began, asked for in [p_from, p_to), newest first: of a build, of a customer, or all.
CREATE FUNCTION sys.ops_runs(p_build text, p_customer uuid, p_from timestamptz, p_to timestamptz, p_n int) RETURNS TABLE (customer_id uuid, job_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT j.customer_id, j.id FROM jobs j
  WHERE j.kind = 'execute' AND j.fence > 0 AND j.id >= uuid_floor(p_from) AND j.id < uuid_floor(p_to)
    AND (p_build = '' OR p_build = ANY (j.builds)) AND (p_customer IS NULL OR j.customer_id = p_customer)
  ORDER BY j.id DESC LIMIT p_n
$$;
-- +goose StatementEnd

REVOKE EXECUTE ON FUNCTION sys.ops_note(timestamptz, text, text, text, text), sys.halt(uuid, timestamptz, text, text, boolean, text, text), sys.lift(uuid, timestamptz, text, text),
  sys.ops_depth(timestamptz, int), sys.ops_jobs(text, text, uuid, uuid, uuid, int, int), sys.ops_runs(text, uuid, timestamptz, timestamptz, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sys.ops_note(timestamptz, text, text, text, text), sys.halt(uuid, timestamptz, text, text, boolean, text, text), sys.lift(uuid, timestamptz, text, text),
  sys.ops_depth(timestamptz, int), sys.ops_jobs(text, text, uuid, uuid, uuid, int, int), sys.ops_runs(text, uuid, timestamptz, timestamptz, int) TO mailsweep_ops;
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_system;
DROP FUNCTION sys.ops_runs, sys.ops_jobs, sys.ops_depth, sys.lift, sys.halt, sys.ops_note;
RESET ROLE;
REVOKE SELECT (phase, done, total, per_second, builds, fence, error_code, started_at, finished_at) ON jobs FROM mailsweep_system;
REVOKE INSERT, UPDATE (lifted_at, lifted_by) ON halts FROM mailsweep_system;
DROP TABLE ops_log;
DROP INDEX jobs_failed;
