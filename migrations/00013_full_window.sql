-- +goose Up

-- A look at a line whose window is full ends with the count, before the whole statement is set up over all months of jobs.
SET LOCAL ROLE mailsweep_system;
-- +goose StatementBegin
DO $$
DECLARE body text := (SELECT prosrc FROM pg_proc WHERE oid = 'sys.dispatch_line(boolean,int,int)'::regprocedure);
BEGIN
  EXECUTE format('CREATE OR REPLACE FUNCTION sys.dispatch_line(p_writes boolean, p_window int, p_each int)
    RETURNS TABLE (customer_id uuid, job_id uuid, epoch int, kind text, request_id text, traceparent text) LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan AS %L', replace(body, E'\nBEGIN RETURN QUERY', E'\nBEGIN
  IF p_window <= (SELECT count(*) FROM jobs j WHERE j.state IN (''dispatched'',''running'') AND (j.rank <= 1) = p_writes) THEN
    RETURN;
  END IF;
  RETURN QUERY'));
END $$;
-- +goose StatementEnd
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_system;
-- +goose StatementBegin
DO $$
DECLARE body text := (SELECT prosrc FROM pg_proc WHERE oid = 'sys.dispatch_line(boolean,int,int)'::regprocedure);
BEGIN
  EXECUTE format('CREATE OR REPLACE FUNCTION sys.dispatch_line(p_writes boolean, p_window int, p_each int)
    RETURNS TABLE (customer_id uuid, job_id uuid, epoch int, kind text, request_id text, traceparent text) LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan AS %L',
    regexp_replace(body, E'\nBEGIN\\s+IF .*? END IF;\\s+RETURN QUERY', E'\nBEGIN RETURN QUERY'));
END $$;
-- +goose StatementEnd
RESET ROLE;
