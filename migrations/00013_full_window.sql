-- +goose Up

-- A look at a line whose window is full ends with the count, before the whole statement is set up over all months of jobs.
SET LOCAL ROLE mailsweep_system;
-- +goose StatementBegin
DO $$
DECLARE was text := pg_get_functiondef('sys.dispatch_line(boolean,int,int)'::regprocedure);
BEGIN
  ASSERT was LIKE E'%\nBEGIN RETURN QUERY%', 'sys.dispatch_line is not as this migration knows it';
  EXECUTE replace(was, E'\nBEGIN RETURN QUERY', E'\nBEGIN
  IF p_window <= (SELECT count(*) FROM jobs j WHERE j.state IN (''dispatched'',''running'') AND (j.rank <= 1) = p_writes) THEN
    RETURN;
  END IF;
  RETURN QUERY');
END $$;
-- +goose StatementEnd
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_system;
-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE regexp_replace(pg_get_functiondef('sys.dispatch_line(boolean,int,int)'::regprocedure), E'\nBEGIN\\s+IF .*? END IF;\\s+RETURN QUERY', E'\nBEGIN RETURN QUERY');
END $$;
-- +goose StatementEnd
RESET ROLE;
