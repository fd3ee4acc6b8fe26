-- +goose Up

-- What operators forgive of a month, and books that agree also where the ledger has gone into the archive.
SET LOCAL lock_timeout = '500ms';

-- What a run still counts is looked up at each batch of an undo.
CREATE INDEX jobs_undos ON jobs (customer_id, undo_of) WHERE undo_of IS NOT NULL;

-- Takes off what the runs of a month still count for the transaction's customer, by one negative row for each of them: no undo and no
-- proof gives it back a second time. Says how many messages that were. What is reserved stays so. The lock keeps out who gives back meanwhile.
-- +goose StatementBegin
CREATE FUNCTION reset_usage(p_period timestamptz, p_now timestamptz) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE me uuid := app_customer(); forgiven bigint;
BEGIN
  IF p_period < ledger_begins() THEN RAISE EXCEPTION 'the ledger of this month is in the archive'; END IF;
  PERFORM FROM usage_tracking WHERE customer_id = me AND period_start = p_period FOR UPDATE;
  WITH counted AS (
    SELECT coalesce(u.undo_of, l.job_id) AS run, sum(l.emails) AS n, count(*) FILTER (WHERE l.kind = 'ops') AS before
    FROM usage_ledger l LEFT JOIN jobs u ON l.kind = 'undo' AND u.customer_id = l.customer_id AND u.id = l.job_id
    WHERE l.customer_id = me AND l.period_start = p_period GROUP BY 1 HAVING sum(l.emails) > 0
  ), taken AS (
    INSERT INTO usage_ledger (customer_id, job_id, batch_no, kind, emails, period_start, created_at)
    SELECT me, run, before, 'ops', -n, p_period, p_now FROM counted RETURNING emails
  ) SELECT coalesce(-sum(emails), 0) INTO forgiven FROM taken;
  UPDATE usage_tracking SET used = used - forgiven WHERE customer_id = me AND period_start = p_period;
  RETURN forgiven;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION reset_usage(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reset_usage(timestamptz, timestamptz) TO mailsweep_app;

-- The sums of the ledger's months that nobody can read any more, by the period that they count in.
CREATE TABLE archived_usage (
  customer_id  uuid NOT NULL,
  period_start timestamptz NOT NULL,
  emails       bigint NOT NULL,
  PRIMARY KEY (customer_id, period_start)
);
SELECT fence('archived_usage');
GRANT SELECT ON archived_usage TO mailsweep_scheduler;

-- Adds up a month of the ledger that is no part of it any more. Its caller moves it out of sight in the same transaction. The two tables are
-- the owner's, who looks past their fences for that long.
-- +goose StatementBegin
CREATE FUNCTION sum_up_ledger(p_part regclass) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', p_part);
  ALTER TABLE archived_usage NO FORCE ROW LEVEL SECURITY;
  EXECUTE format('INSERT INTO archived_usage AS a SELECT l.customer_id, l.period_start, sum(l.emails) FROM %s l GROUP BY 1, 2
    ON CONFLICT (customer_id, period_start) DO UPDATE SET emails = a.emails + excluded.emails', p_part);
  ALTER TABLE archived_usage FORCE ROW LEVEL SECURITY;
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', p_part);
END $$;

-- As before; what a month of the ledger adds up to stays in reach.
CREATE OR REPLACE FUNCTION detach_partition(p_table text, p_month date) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE m timestamp := date_trunc('month', p_month); t text; part text; key name; open bigint;
BEGIN
  IF p_table NOT IN ('jobs','audit_logs','outbox') THEN RAISE EXCEPTION 'not a table that is detached by month'; END IF;
  IF m + interval '3 months' > now() AT TIME ZONE 'UTC' THEN RAISE EXCEPTION 'this month and the two before are kept'; END IF;
  EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', p_table);
  open := sys.unfinished(p_table, CASE WHEN m::date = held_together(p_table) THEN '00000000-0000-0000-0000-000000000000' ELSE uuid_floor(m AT TIME ZONE 'UTC') END,
    uuid_floor((m + interval '1 month') AT TIME ZONE 'UTC'));
  IF open > 0 THEN RETURN open; END IF;
  FOREACH t IN ARRAY CASE p_table WHEN 'jobs' THEN ARRAY['batches','usage_ledger','jobs'] ELSE ARRAY[p_table] END LOOP
    part := format('%s_%s', t, to_char(m, 'YYYYMM'));
    CONTINUE WHEN to_regclass('public.' || part) IS NULL;
    EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', t, part);
    FOR key IN SELECT conname FROM pg_constraint WHERE conrelid = part::regclass AND contype = 'f' LOOP
      EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', part, key);
    END LOOP;
    IF t = 'usage_ledger' THEN
      PERFORM sum_up_ledger(part::regclass);
    END IF;
    IF t = 'audit_logs' THEN -- a detached partition loses its parent's triggers
      EXECUTE format('CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION audit_refuse()', part);
    END IF;
    EXECUTE format('ALTER TABLE %I SET SCHEMA archive', part);
  END LOOP;
  RETURN 0;
END $$;

DO $$
DECLARE part regclass;
BEGIN
  FOR part IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'archive'::regnamespace AND c.relname ~ '^usage_ledger_[0-9]{6}$' LOOP
    PERFORM sum_up_ledger(part);
  END LOOP;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION sum_up_ledger(regclass) FROM PUBLIC;

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION detach_partition(p_table text, p_month date) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE m timestamp := date_trunc('month', p_month); t text; part text; key name; open bigint;
BEGIN
  IF p_table NOT IN ('jobs','audit_logs','outbox') THEN RAISE EXCEPTION 'not a table that is detached by month'; END IF;
  IF m + interval '3 months' > now() AT TIME ZONE 'UTC' THEN RAISE EXCEPTION 'this month and the two before are kept'; END IF;
  EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', p_table);
  open := sys.unfinished(p_table, CASE WHEN m::date = held_together(p_table) THEN '00000000-0000-0000-0000-000000000000' ELSE uuid_floor(m AT TIME ZONE 'UTC') END,
    uuid_floor((m + interval '1 month') AT TIME ZONE 'UTC'));
  IF open > 0 THEN RETURN open; END IF;
  FOREACH t IN ARRAY CASE p_table WHEN 'jobs' THEN ARRAY['batches','usage_ledger','jobs'] ELSE ARRAY[p_table] END LOOP
    part := format('%s_%s', t, to_char(m, 'YYYYMM'));
    CONTINUE WHEN to_regclass('public.' || part) IS NULL;
    EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', t, part);
    FOR key IN SELECT conname FROM pg_constraint WHERE conrelid = part::regclass AND contype = 'f' LOOP
      EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', part, key);
    END LOOP;
    IF t = 'audit_logs' THEN -- a detached partition loses its parent's triggers
      EXECUTE format('CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION audit_refuse()', part);
    END IF;
    EXECUTE format('ALTER TABLE %I SET SCHEMA archive', part);
  END LOOP;
  RETURN 0;
END $$;
-- +goose StatementEnd
DROP FUNCTION sum_up_ledger(regclass), reset_usage(timestamptz, timestamptz);
DROP TABLE archived_usage;
DROP INDEX jobs_undos;
