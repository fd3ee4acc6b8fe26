-- +goose NO TRANSACTION
-- +goose Up

-- Indexes that serve a page of jobs by kind and state and the nightly clearing, whatever is over. Each partition's is built in a
-- transaction of its own, so that nobody waits longer than one month takes; then the table's is put together from them. Done again after
-- a failure, it goes on where it was.
-- +goose StatementBegin
DO $$
DECLARE i record; part text; tries int;
BEGIN
  FOR i IN SELECT * FROM (VALUES
    ('jobs', 'jobs_over', '(customer_id, kind, state, id) WHERE state IN (''succeeded'',''failed'',''canceled'')'),
    ('jobs', 'jobs_unstripped', '(customer_id, finished_at) WHERE finished_at IS NOT NULL AND (params IS NOT NULL OR checkpoint IS NOT NULL OR result IS NOT NULL)'),
    ('batches', 'batches_made', '(customer_id, created_at)')) AS v(tab, name, how) LOOP
    FOR part IN SELECT c.relname FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid WHERE h.inhparent = i.tab::regclass ORDER BY 1 LOOP
      tries := 0;
      LOOP
        PERFORM set_config('lock_timeout', '500ms', true);
        BEGIN
          EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %I %s', i.name || right(part, 7), part, i.how);
          EXIT;
        EXCEPTION WHEN lock_not_available THEN
          tries := tries + 1;
          IF tries = 20 THEN RAISE; END IF;
        END;
        COMMIT;
        PERFORM pg_sleep(0.1);
      END LOOP;
      COMMIT;
    END LOOP;
    PERFORM set_config('lock_timeout', '500ms', true);
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %I %s', i.name, i.tab, i.how);
    COMMIT;
  END LOOP;
  -- the primary key, read backwards, does the same
  PERFORM set_config('lock_timeout', '500ms', true);
  DROP INDEX IF EXISTS jobs_of_customer;
END $$;
-- +goose StatementEnd

-- +goose Down
CREATE INDEX IF NOT EXISTS jobs_of_customer ON jobs (customer_id, id DESC);
DROP INDEX IF EXISTS jobs_over;
DROP INDEX IF EXISTS jobs_unstripped;
DROP INDEX IF EXISTS batches_made;
