-- +goose Up

-- One row per Google account, whoever connected it: its write lane and whether it had a trial. Keyed by a keyed hash of Google's sub.
CREATE TABLE google_accounts (
  account        bytea PRIMARY KEY,
  active_job_id  uuid,
  trial_used_at  timestamptz,
  trial_customer uuid,
  created_at     timestamptz NOT NULL
);
ALTER TABLE google_accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE google_accounts FORCE ROW LEVEL SECURITY;

CREATE TABLE mailboxes (
  customer_id     uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  id              uuid NOT NULL,
  account         bytea NOT NULL REFERENCES google_accounts(account),
  email           text NOT NULL,
  state           text NOT NULL CHECK (state IN ('active','needs_reconnect','disconnected')),
  generation      int NOT NULL DEFAULT 1,
  scopes          text[] NOT NULL DEFAULT '{}',
  labels_made     text[] NOT NULL DEFAULT '{}',
  analysis        bytea,
  analysis_as_of  timestamptz,
  connected_at    timestamptz NOT NULL,
  disconnected_at timestamptz,
  revoked_at      timestamptz,
  PRIMARY KEY (customer_id, id),
  UNIQUE (customer_id, account)
);
COMMENT ON COLUMN mailboxes.generation IS 'grows when the index is built anew under other ids; a cleanup plan is bound to it';
COMMENT ON COLUMN mailboxes.analysis IS 'the last analysis, sealed';
SELECT fence('mailboxes');

CREATE TABLE oauth_tokens (
  customer_id uuid NOT NULL,
  id          uuid NOT NULL,
  mailbox_id  uuid NOT NULL,
  sealed      bytea NOT NULL,
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (customer_id, id),
  FOREIGN KEY (customer_id, mailbox_id) REFERENCES mailboxes(customer_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE oauth_tokens IS 'refresh tokens, sealed to the worker''s private key; the newest of a mailbox is in force';
SELECT fence('oauth_tokens');

CREATE TABLE oauth_states (
  customer_id uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  hash        bytea NOT NULL UNIQUE,
  user_id     uuid NOT NULL,
  mailbox_id  uuid,
  verifier    bytea NOT NULL,
  granted     bytea,
  email       text,
  account     bytea,
  scopes      text[],
  error       text NOT NULL DEFAULT '',
  expires_at  timestamptz NOT NULL,
  used_at     timestamptz,
  PRIMARY KEY (customer_id, hash)
);
COMMENT ON COLUMN oauth_states.verifier IS 'PKCE verifier, sealed with the customer''s data key';
COMMENT ON COLUMN oauth_states.granted IS 'the refresh token parked by the callback, sealed to the worker, until who started the connection completes it';
SELECT fence('oauth_states');

CREATE TABLE mailbox_indexes (
  customer_id uuid NOT NULL,
  mailbox_id  uuid NOT NULL,
  segment     text NOT NULL,
  version     bigint NOT NULL,
  sealed      bytea NOT NULL,
  as_of       timestamptz NOT NULL,
  PRIMARY KEY (customer_id, mailbox_id, segment),
  FOREIGN KEY (customer_id, mailbox_id) REFERENCES mailboxes(customer_id, id) ON DELETE CASCADE
);
SELECT fence('mailbox_indexes');

CREATE TABLE usage_tracking (
  customer_id  uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  period_start timestamptz NOT NULL,
  used         int NOT NULL DEFAULT 0 CHECK (used >= 0),
  reserved     int NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  PRIMARY KEY (customer_id, period_start)
);
SELECT fence('usage_tracking');

CREATE TABLE jobs (
  customer_id      uuid NOT NULL,
  id               uuid NOT NULL,
  mailbox_id       uuid NOT NULL,
  account          bytea NOT NULL,
  kind             text NOT NULL CHECK (kind IN ('analyze','dry_run','execute','undo')),
  state            text NOT NULL CHECK (state IN ('queued','dispatched','running','waiting','paused','succeeded','failed','canceled')),
  rank             smallint NOT NULL,
  vt               double precision NOT NULL,
  params           bytea,
  plan_id          uuid,
  undo_of          uuid,
  reserved         int NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  settled          int NOT NULL DEFAULT 0,
  period_start     timestamptz,
  epoch            int NOT NULL DEFAULT 0,
  fence            int NOT NULL DEFAULT 0,
  barren           int NOT NULL DEFAULT 0,
  worker           text NOT NULL DEFAULT '',
  lease_until      timestamptz,
  run_at           timestamptz NOT NULL,
  dispatched_at    timestamptz,
  cancel_requested boolean NOT NULL DEFAULT false,
  phase            text NOT NULL DEFAULT '',
  done             int NOT NULL DEFAULT 0,
  total            int NOT NULL DEFAULT 0,
  per_second       double precision NOT NULL DEFAULT 0,
  units            bigint NOT NULL DEFAULT 0,
  version          bigint NOT NULL DEFAULT 1,
  checkpoint       bytea,
  result           bytea,
  error_code       text NOT NULL DEFAULT '',
  error_detail     text NOT NULL DEFAULT '',
  actor            text NOT NULL DEFAULT '',
  request_id       text NOT NULL DEFAULT '',
  traceparent      text NOT NULL DEFAULT '',
  created_at       timestamptz NOT NULL,
  started_at       timestamptz,
  finished_at      timestamptz,
  PRIMARY KEY (customer_id, id)
) PARTITION BY RANGE (id);
COMMENT ON COLUMN jobs.barren IS 'claims in a row that ended by a dead lease or a panic without a new batch';
COMMENT ON COLUMN jobs.params IS 'mail data only sealed; stripped after 30 days, like checkpoint and result';
CREATE INDEX jobs_open ON jobs (rank, vt, id) WHERE state IN ('queued','waiting');
CREATE INDEX jobs_flying ON jobs (state, dispatched_at) WHERE state IN ('dispatched','running');
CREATE INDEX jobs_account ON jobs (account, rank) WHERE state IN ('queued','waiting') AND rank <= 1;
CREATE INDEX jobs_id ON jobs (id);
CREATE INDEX jobs_of_customer ON jobs (customer_id, id DESC);
CREATE INDEX jobs_unfinished ON jobs (customer_id, mailbox_id) WHERE state NOT IN ('succeeded','failed','canceled');
SELECT fence('jobs');

CREATE TABLE batches (
  customer_id uuid NOT NULL,
  job_id      uuid NOT NULL,
  n           int NOT NULL,
  ids         bytea,
  label_group text NOT NULL DEFAULT '',
  state       text NOT NULL CHECK (state IN ('intent','done')),
  asked       int NOT NULL,
  created_at  timestamptz NOT NULL,
  done_at     timestamptz,
  PRIMARY KEY (customer_id, job_id, n),
  FOREIGN KEY (customer_id, job_id) REFERENCES jobs(customer_id, id) ON DELETE CASCADE
) PARTITION BY RANGE (job_id);
COMMENT ON COLUMN batches.ids IS 'the message ids in flight with the labels that the call changes on each, sealed: what undo reverses';
SELECT fence('batches');

CREATE TABLE usage_ledger (
  customer_id  uuid NOT NULL,
  job_id       uuid NOT NULL,
  batch_no     int NOT NULL,
  kind         text NOT NULL CHECK (kind IN ('settle','proof','undo','ops')),
  emails       int NOT NULL,
  period_start timestamptz NOT NULL,
  created_at   timestamptz NOT NULL,
  PRIMARY KEY (customer_id, job_id, batch_no, kind)
) PARTITION BY RANGE (job_id);
SELECT fence('usage_ledger');

CREATE TABLE cleanup_plans (
  customer_id uuid NOT NULL,
  id          uuid NOT NULL,
  mailbox_id  uuid NOT NULL,
  account     bytea NOT NULL,
  generation  int NOT NULL,
  action      text NOT NULL,
  head        bytea NOT NULL,
  ids         bytea NOT NULL,
  kept        bytea NOT NULL DEFAULT '',
  messages    int NOT NULL,
  bytes       bigint NOT NULL,
  history_id  numeric(20,0) NOT NULL,
  made_by     uuid NOT NULL,
  made_at     timestamptz NOT NULL,
  expires_at  timestamptz NOT NULL,
  consumed_by uuid,
  consumed_at timestamptz,
  PRIMARY KEY (customer_id, id),
  FOREIGN KEY (customer_id, mailbox_id) REFERENCES mailboxes(customer_id, id) ON DELETE CASCADE
);
COMMENT ON COLUMN cleanup_plans.head IS 'what was asked and what the preview said, sealed';
COMMENT ON COLUMN cleanup_plans.ids IS 'the frozen set, oldest first, sealed';
COMMENT ON COLUMN cleanup_plans.kept IS 'the messages kept back by each protection, sealed';
SELECT fence('cleanup_plans');

CREATE TABLE cleanup_runs (
  customer_id  uuid NOT NULL,
  job_id       uuid NOT NULL,
  plan_id      uuid NOT NULL,
  mailbox_id   uuid NOT NULL,
  action       text NOT NULL,
  state        text NOT NULL,
  planned      int NOT NULL,
  cleaned      int NOT NULL DEFAULT 0,
  skipped      jsonb NOT NULL DEFAULT '{}',
  already_gone int NOT NULL DEFAULT 0,
  bytes        bigint NOT NULL DEFAULT 0,
  history_from numeric(20,0),
  history_to   numeric(20,0),
  confirmed    int NOT NULL DEFAULT 0,
  label_id     text NOT NULL DEFAULT '',
  label_made   boolean NOT NULL DEFAULT false,
  remainder_id uuid,
  actor        text NOT NULL DEFAULT '',
  why          text NOT NULL DEFAULT '',
  started_at   timestamptz NOT NULL,
  finished_at  timestamptz,
  undo_until   timestamptz,
  undone_by    uuid,
  undo         jsonb,
  PRIMARY KEY (customer_id, job_id),
  FOREIGN KEY (customer_id, plan_id) REFERENCES cleanup_plans(customer_id, id) ON DELETE CASCADE
);
SELECT fence('cleanup_runs');

CREATE TABLE outbox (
  customer_id uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  id          uuid NOT NULL,
  user_id     uuid,
  kind        text NOT NULL,
  data        bytea,
  state       text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued','dispatched','done','failed')),
  epoch       int NOT NULL DEFAULT 0,
  attempts    int NOT NULL DEFAULT 0,
  run_at      timestamptz NOT NULL,
  sent_at     timestamptz,
  request_id  text NOT NULL DEFAULT '',
  error       text NOT NULL DEFAULT '',
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (customer_id, id)
);
COMMENT ON COLUMN outbox.data IS 'what the mail says, sealed; emptied once it is sent';
CREATE INDEX outbox_due ON outbox (run_at) WHERE state IN ('queued','dispatched');
SELECT fence('outbox');

-- The dispatcher's virtual clock: a customer who was idle starts here, not at an old credit.
CREATE TABLE dispatch_clock (one boolean PRIMARY KEY DEFAULT true CHECK (one), vt double precision NOT NULL DEFAULT 0);
INSERT INTO dispatch_clock DEFAULT VALUES;

-- Monthly partitions of all partitioned tables from p_month on, each fenced like its parent (policies are not inherited).
-- It locks whole tables, in an order that others' transactions may cross: it gives up long before the deadlock detector would choose a
-- victim among them, and its caller tries again.
-- +goose StatementBegin
CREATE FUNCTION ensure_partitions(p_month date, p_months int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION detach_partition(p_table text, p_month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF p_table NOT IN ('jobs','batches','usage_ledger','audit_logs') THEN RAISE EXCEPTION 'not a partitioned table'; END IF;
  IF p_month > (now() - interval '13 months')::date THEN RAISE EXCEPTION 'kept for 13 months'; END IF;
  EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', p_table, format('%s_%s', p_table, to_char(p_month, 'YYYYMM')));
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE dispatch_clock, outbox, cleanup_runs, cleanup_plans, usage_ledger, batches, jobs, usage_tracking, mailbox_indexes, oauth_states, oauth_tokens, mailboxes, google_accounts CASCADE;
DROP FUNCTION ensure_partitions, detach_partition;
