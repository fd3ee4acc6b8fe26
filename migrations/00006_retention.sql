-- +goose Up

-- Others work while this runs: whoever holds a table is waited for half a second, less than the deadlock detector waits, then all of it
-- is tried again. The tables that everybody writes come last, so that their locks are short.
SET LOCAL lock_timeout = '500ms';

-- Where a customer's audit chain goes on after its rows of a month were detached: the hash of each row whose successor stands in
-- another month. That is one a month, or a few when entries written around midnight interleave.
CREATE TABLE audit_anchors (
  customer_id uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  month       date NOT NULL,
  seq         bigint NOT NULL,
  hash        bytea NOT NULL,
  PRIMARY KEY (customer_id, month, seq)
);
SELECT fence('audit_anchors');
GRANT SELECT ON audit_anchors TO mailsweep_app, mailsweep_worker;
GRANT SELECT, INSERT ON audit_anchors TO mailsweep_scheduler;

-- What a customer's runs add up to. Counted by a trigger, so that processes of the release before count too; at the commit, so that no
-- transaction holds the row while it waits for another.
CREATE TABLE run_totals (
  customer_id uuid PRIMARY KEY REFERENCES customers(id) ON DELETE CASCADE,
  runs        bigint NOT NULL,
  cleaned     bigint NOT NULL,
  restored    bigint NOT NULL,
  bytes       bigint NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION run_totals_count() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE n int := 0; c bigint := 0; r bigint := 0; b bigint := 0;
BEGIN
  IF TG_OP <> 'DELETE' THEN n := 1; c := NEW.cleaned; r := coalesce((NEW.undo->>'restored')::bigint, 0); b := NEW.bytes; END IF;
  IF TG_OP <> 'INSERT' THEN n := n - 1; c := c - OLD.cleaned; r := r - coalesce((OLD.undo->>'restored')::bigint, 0); b := b - OLD.bytes; END IF;
  IF TG_OP = 'DELETE' THEN -- with its customer, perhaps
    UPDATE run_totals t SET runs = t.runs + n, cleaned = t.cleaned + c, restored = t.restored + r, bytes = t.bytes + b WHERE t.customer_id = OLD.customer_id;
  ELSIF (n, c, r, b) <> (0, 0, 0, 0) THEN
    INSERT INTO run_totals AS t VALUES (NEW.customer_id, n, c, r, b) ON CONFLICT (customer_id) DO UPDATE
      SET runs = t.runs + excluded.runs, cleaned = t.cleaned + excluded.cleaned, restored = t.restored + excluded.restored, bytes = t.bytes + excluded.bytes;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION run_totals_count() FROM PUBLIC;
CREATE CONSTRAINT TRIGGER run_totals_count AFTER INSERT OR DELETE OR UPDATE OF cleaned, bytes, undo ON cleanup_runs
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION run_totals_count();

-- The trigger's lock on cleanup_runs lasts until the commit: nothing is counted twice or not at all.
ALTER TABLE cleanup_runs NO FORCE ROW LEVEL SECURITY;
INSERT INTO run_totals SELECT customer_id, count(*), sum(cleaned), coalesce(sum((undo->>'restored')::bigint), 0), sum(bytes) FROM cleanup_runs GROUP BY 1;
ALTER TABLE cleanup_runs FORCE ROW LEVEL SECURITY;
SELECT fence('run_totals');
GRANT SELECT ON run_totals TO mailsweep_app, mailsweep_scheduler;
GRANT SELECT, INSERT, UPDATE ON run_totals TO mailsweep_worker;

-- What is looked for every few seconds or at each undo must not grow with what is over.
CREATE INDEX google_accounts_held ON google_accounts (active_job_id) WHERE active_job_id IS NOT NULL;
CREATE INDEX mailboxes_unrevoked ON mailboxes (customer_id) WHERE state = 'disconnected' AND revoked_at IS NULL;
CREATE INDEX customers_trial ON customers (trial_ends_at);
CREATE INDEX cleanup_runs_standing ON cleanup_runs (customer_id, mailbox_id, job_id) WHERE undone_by IS NULL AND cleaned > 0;
CREATE INDEX cleanup_runs_plan ON cleanup_runs (customer_id, plan_id);
CREATE INDEX cleanup_plans_expiry ON cleanup_plans (customer_id, expires_at);

-- What is deleted when it is old.
GRANT DELETE ON notices TO mailsweep_scheduler;
GRANT SELECT (id), DELETE ON security_events TO mailsweep_scheduler;

-- A batch refers to a job of its own month, partition to partition: a month can leave without a look at all the others, which the
-- foreign key between the whole tables takes, under a lock that stops everybody. What is there already was checked by that key.
-- +goose StatementBegin
DO $$
DECLARE part text;
BEGIN
  LOCK TABLE jobs, batches IN ACCESS EXCLUSIVE MODE;
  ALTER TABLE batches DROP CONSTRAINT batches_customer_id_job_id_fkey;
  FOR part IN SELECT right(c.relname, 6) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'batches'::regclass LOOP
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT job FOREIGN KEY (customer_id, job_id) REFERENCES %I (customer_id, id) ON DELETE CASCADE NOT VALID', 'batches_' || part, 'jobs_' || part);
  END LOOP;
END $$;
-- +goose StatementEnd

-- The outbox by month, like jobs. What there is becomes one partition that begins with no month; rows are not copied.
-- +goose StatementBegin
DO $$
DECLARE newest uuid; last date; old text; r text;
BEGIN
  LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE;
  ALTER TABLE outbox NO FORCE ROW LEVEL SECURITY;
  SELECT id INTO newest FROM outbox ORDER BY id DESC LIMIT 1;
  ALTER TABLE outbox FORCE ROW LEVEL SECURITY;
  last := date_trunc('month', greatest(now(), to_timestamp(('x' || left(replace(newest::text, '-', ''), 12))::bit(48)::bigint / 1000.0)) AT TIME ZONE 'UTC')::date;
  old := 'outbox_' || to_char(last, 'YYYYMM');
  EXECUTE format('ALTER TABLE outbox RENAME TO %I', old);
  EXECUTE format('ALTER INDEX outbox_pkey RENAME TO %I', old || '_pkey');
  EXECUTE format('ALTER INDEX outbox_due RENAME TO %I', old || '_run_at_idx');
  EXECUTE format('CREATE TABLE outbox (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS, PRIMARY KEY (customer_id, id),
    CONSTRAINT outbox_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers(id) ON DELETE CASCADE) PARTITION BY RANGE (id)', old);
  CREATE INDEX outbox_due ON outbox (run_at) WHERE state IN ('queued','dispatched');
  PERFORM fence('outbox');
  CREATE POLICY system ON outbox TO mailsweep_system USING (true) WITH CHECK (true);
  GRANT SELECT (customer_id, id, kind, state, epoch, attempts, run_at, request_id), UPDATE (state, epoch, run_at, attempts) ON outbox TO mailsweep_system;
  GRANT SELECT, INSERT ON outbox TO mailsweep_app;
  GRANT SELECT, INSERT, UPDATE ON outbox TO mailsweep_worker, mailsweep_scheduler;
  IF newest IS NULL THEN
    EXECUTE format('DROP TABLE %I', old);
    RETURN;
  END IF;
  EXECUTE format('DROP POLICY system ON %I', old);
  FOREACH r IN ARRAY ARRAY['mailsweep_app','mailsweep_worker','mailsweep_scheduler','mailsweep_system'] LOOP
    EXECUTE format('REVOKE ALL ON %I FROM %I', old, r);
  END LOOP;
  EXECUTE format('ALTER TABLE outbox ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', old, uuid_floor((last + interval '1 month') AT TIME ZONE 'UTC'));
END $$;

-- The month up to which one partition of p_table holds everything; null if each of its partitions begins with a month.
CREATE FUNCTION held_together(p_table text) RETURNS date LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT to_date(right(c.relname, 6), 'YYYYMM') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = p_table::regclass AND pg_get_expr(c.relpartbound, c.oid) LIKE 'FOR VALUES FROM (MINVALUE)%'
$$;

-- As before, with the outbox and the batches' foreign keys.
CREATE OR REPLACE FUNCTION ensure_partitions(p_month date, p_months int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE t text; m date; part text; made int := 0; together date;
BEGIN
  IF p_months < 1 OR p_months > 36 THEN RAISE EXCEPTION 'between 1 and 36 months'; END IF;
  FOREACH t IN ARRAY ARRAY['jobs','batches','usage_ledger','audit_logs','outbox'] LOOP
    together := held_together(t);
    FOR i IN 0 .. p_months - 1 LOOP
      m := (date_trunc('month', p_month) + make_interval(months => i))::date;
      part := format('%s_%s', t, to_char(m, 'YYYYMM'));
      IF to_regclass(part) IS NULL AND (together IS NULL OR m > together) THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, t,
          uuid_floor(m::timestamp AT TIME ZONE 'UTC'), uuid_floor((m + interval '1 month') AT TIME ZONE 'UTC'));
        PERFORM fence(part::regclass);
        IF t = 'batches' THEN
          EXECUTE format('ALTER TABLE %I ADD CONSTRAINT job FOREIGN KEY (customer_id, job_id) REFERENCES %I (customer_id, id) ON DELETE CASCADE', part, 'jobs_' || to_char(m, 'YYYYMM'));
        END IF;
        made := made + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;
-- +goose StatementEnd

-- What keeps a month where it is: jobs that are not over, or mails that are still to be sent.
SET LOCAL ROLE mailsweep_system;
GRANT USAGE ON SCHEMA sys TO mailsweep_owner;
-- +goose StatementBegin
CREATE FUNCTION sys.unfinished(p_table text, p_from uuid, p_to uuid) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT CASE p_table
    WHEN 'jobs' THEN (SELECT count(*) FROM jobs WHERE state NOT IN ('succeeded','failed','canceled') AND id >= p_from AND id < p_to)
    WHEN 'outbox' THEN (SELECT count(*) FROM outbox WHERE state IN ('queued','dispatched') AND id >= p_from AND id < p_to)
    ELSE 0 END
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION sys.unfinished(text, uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sys.unfinished(text, uuid, uuid) TO mailsweep_owner;
RESET ROLE;

-- Moves a month of p_table out of everybody's sight, into the schema archive, and answers 0; or how many of its rows are unfinished, and
-- does nothing. Batches and the ledger go with their jobs, in one transaction. A month that is not there is no error. It locks the tables, but does not wait long for them; its caller tries again.
DROP FUNCTION detach_partition(text, date);
-- +goose StatementBegin
CREATE FUNCTION detach_partition(p_table text, p_month date) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
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
REVOKE EXECUTE ON FUNCTION detach_partition(text, date), held_together(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION detach_partition(text, date) TO mailsweep_scheduler;

-- The first period whose ledger is here as a whole: a job from just before a month's turn may be booked in the next. What was used in
-- periods before stands in usage_tracking alone.
-- +goose StatementBegin
CREATE FUNCTION ledger_begins() RETURNS timestamptz LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT (to_date(min(right(c.relname, 6)), 'YYYYMM') + interval '1 month') AT TIME ZONE 'UTC' FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = 'usage_ledger'::regclass
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION ledger_begins() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_begins() TO mailsweep_app, mailsweep_worker, mailsweep_scheduler, mailsweep_ops;

SELECT ensure_partitions((now() AT TIME ZONE 'UTC' - interval '1 month')::date, 8);

-- +goose Down
-- +goose StatementBegin
DO $$
DECLARE part regclass;
BEGIN
  FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'batches'::regclass LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT job', part);
  END LOOP;
  ALTER TABLE batches ADD FOREIGN KEY (customer_id, job_id) REFERENCES jobs(customer_id, id) ON DELETE CASCADE;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
  LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE;
  ALTER TABLE outbox NO FORCE ROW LEVEL SECURITY;
  ALTER TABLE outbox RENAME TO outbox_by_month;
  ALTER INDEX outbox_pkey RENAME TO outbox_by_month_pkey;
  ALTER INDEX outbox_due RENAME TO outbox_by_month_due;
  CREATE TABLE outbox (LIKE outbox_by_month INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS, PRIMARY KEY (customer_id, id),
    FOREIGN KEY (customer_id) REFERENCES customers(id) ON DELETE CASCADE);
  INSERT INTO outbox SELECT * FROM outbox_by_month;
  DROP TABLE outbox_by_month;
  CREATE INDEX outbox_due ON outbox (run_at) WHERE state IN ('queued','dispatched');
  PERFORM fence('outbox');
  CREATE POLICY system ON outbox TO mailsweep_system USING (true) WITH CHECK (true);
  GRANT SELECT (customer_id, id, kind, state, epoch, attempts, run_at, request_id), UPDATE (state, epoch, run_at, attempts) ON outbox TO mailsweep_system;
  GRANT SELECT, INSERT ON outbox TO mailsweep_app;
  GRANT SELECT, INSERT, UPDATE ON outbox TO mailsweep_worker, mailsweep_scheduler;
END $$;

CREATE OR REPLACE FUNCTION ensure_partitions(p_month date, p_months int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE t text; m date; part text; made int := 0;
BEGIN
  IF p_months < 1 OR p_months > 36 THEN RAISE EXCEPTION 'between 1 and 36 months'; END IF;
  FOREACH t IN ARRAY ARRAY['jobs','batches','usage_ledger','audit_logs'] LOOP
    FOR i IN 0 .. p_months - 1 LOOP
      m := (date_trunc('month', p_month) + make_interval(months => i))::date;
      part := format('%s_%s', t, to_char(m, 'YYYYMM'));
      IF to_regclass(part) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, t,
          uuid_floor(m::timestamp AT TIME ZONE 'UTC'), uuid_floor((m + interval '1 month') AT TIME ZONE 'UTC'));
        PERFORM fence(part::regclass);
        made := made + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;

DROP FUNCTION detach_partition(text, date);
CREATE FUNCTION detach_partition(p_table text, p_month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF p_table NOT IN ('jobs','batches','usage_ledger','audit_logs') THEN RAISE EXCEPTION 'not a partitioned table'; END IF;
  IF p_month > (now() - interval '13 months')::date THEN RAISE EXCEPTION 'kept for 13 months'; END IF;
  EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', p_table, format('%s_%s', p_table, to_char(p_month, 'YYYYMM')));
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION detach_partition(text, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION detach_partition(text, date) TO mailsweep_scheduler;
DROP FUNCTION held_together(text), ledger_begins();
SET LOCAL ROLE mailsweep_system;
DROP FUNCTION sys.unfinished(text, uuid, uuid);
RESET ROLE;
REVOKE SELECT, DELETE ON security_events FROM mailsweep_scheduler;
REVOKE DELETE ON notices FROM mailsweep_scheduler;
DROP INDEX google_accounts_held, mailboxes_unrevoked, customers_trial, cleanup_runs_standing, cleanup_runs_plan, cleanup_plans_expiry;
DROP TRIGGER run_totals_count ON cleanup_runs;
DROP FUNCTION run_totals_count();
DROP TABLE run_totals, audit_anchors;
