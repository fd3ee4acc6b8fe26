-- +goose Up

SET LOCAL lock_timeout = '500ms';

ALTER TABLE jobs ADD COLUMN away_since timestamptz;
COMMENT ON COLUMN jobs.away_since IS 'the first claim of those in a row whose calls Gmail did not answer';

SET LOCAL ROLE mailsweep_system;

-- Of more jobs than are listed at once the oldest are asked about: those that Redis lost are among them before long. And a job that waited
-- and is handed out is shown as queued from then on: that is a change. Open jobs are counted along the line's index, of which (rank <= 1)
-- is the first column.
-- +goose StatementBegin
DO $$
DECLARE c record;
BEGIN
  FOR c IN SELECT pg_get_functiondef(v.f) AS body, v.was, v.becomes FROM (VALUES
    ('sys.unclaimed(double precision)'::regprocedure, ' LIMIT 1000', ' ORDER BY dispatched_at LIMIT 1000'),
    ('sys.dispatch_line(boolean,int,int)', 'dispatched_at = clock_timestamp()', 'dispatched_at = clock_timestamp(), version = j.version + (j.state = ''waiting'')::int'),
    ('sys.open_jobs(int)', 'AND j.rank = r.rank', 'AND (j.rank <= 1) = (r.rank <= 1) AND j.rank = r.rank')) AS v(f, was, becomes) LOOP
    IF position(c.was IN c.body) = 0 THEN RAISE EXCEPTION 'not found: %', c.was; END IF;
    EXECUTE replace(c.body, c.was, c.becomes);
  END LOOP;
END $$;
-- +goose StatementEnd
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_system;
-- +goose StatementBegin
DO $$
DECLARE c record;
BEGIN
  FOR c IN SELECT pg_get_functiondef(v.f) AS body, v.was, v.becomes FROM (VALUES
    ('sys.unclaimed(double precision)'::regprocedure, ' ORDER BY dispatched_at LIMIT 1000', ' LIMIT 1000'),
    ('sys.dispatch_line(boolean,int,int)', ', version = j.version + (j.state = ''waiting'')::int', ''),
    ('sys.open_jobs(int)', 'AND (j.rank <= 1) = (r.rank <= 1) AND j.rank = r.rank', 'AND j.rank = r.rank')) AS v(f, was, becomes) LOOP
    EXECUTE replace(c.body, c.was, c.becomes);
  END LOOP;
END $$;
-- +goose StatementEnd
RESET ROLE;
ALTER TABLE jobs DROP COLUMN away_since;
