-- +goose Up

-- The tenant of this transaction. nullif: after a first SET LOCAL the setting is '' and not null.
-- +goose StatementBegin
CREATE FUNCTION app_customer() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(current_setting('app.customer_id', true), '')::uuid $$;
-- +goose StatementEnd

-- The smallest UUIDv7 of an instant: the bound of a partition.
-- +goose StatementBegin
CREATE FUNCTION uuid_floor(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE
  AS $$ SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;
-- +goose StatementEnd

-- A fenced table: FORCE binds the owner too; the restrictive fence keeps it shut if somebody adds a wider permissive policy.
-- +goose StatementBegin
CREATE FUNCTION fence(t regclass, col name DEFAULT 'customer_id') RETURNS void LANGUAGE plpgsql AS $$
DECLARE roles text := 'mailsweep_app, mailsweep_worker, mailsweep_scheduler, mailsweep_owner';
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t);
  EXECUTE format('CREATE POLICY fence ON %s AS RESTRICTIVE TO %s USING (%I = (SELECT app_customer())) WITH CHECK (%I = (SELECT app_customer()))', t, roles, col, col);
  EXECUTE format('CREATE POLICY tenant ON %s TO %s USING (%I = (SELECT app_customer())) WITH CHECK (%I = (SELECT app_customer()))', t, roles, col, col);
END $$;
-- +goose StatementEnd

CREATE TABLE plan_quotas (
  tier                text PRIMARY KEY CHECK (tier IN ('free','basic','pro','enterprise')),
  price_cents         int NOT NULL,
  emails              int NOT NULL CHECK (emails >= 0),
  mailboxes           int NOT NULL CHECK (mailboxes > 0),
  people              int NOT NULL CHECK (people > 0),
  requests_per_minute int NOT NULL CHECK (requests_per_minute > 0)
);
INSERT INTO plan_quotas VALUES
  ('free', 0, 500, 1, 1, 60), ('basic', 900, 5000, 1, 1, 120), ('pro', 2900, 50000, 5, 3, 600), ('enterprise', 9900, 500000, 50, 50, 3000);

CREATE TABLE customers (
  id                 uuid PRIMARY KEY,
  name               text NOT NULL DEFAULT '',
  plan               text NOT NULL DEFAULT 'free' REFERENCES plan_quotas(tier),
  plan_past_due_at   timestamptz,
  plan_ends_at       timestamptz,
  trial_ends_at      timestamptz,
  plan_version       bigint NOT NULL DEFAULT 1,
  stripe_customer_id text UNIQUE,
  suspended_at       timestamptz,
  vt                 double precision NOT NULL DEFAULT 0,
  data_key           bytea NOT NULL,
  created_at         timestamptz NOT NULL
);
COMMENT ON COLUMN customers.vt IS 'virtual time: estimated Gmail units / weight of all jobs submitted so far; the dispatcher serves the smallest first';
COMMENT ON COLUMN customers.data_key IS 'wrapped by the index keyset; destroying it destroys what is sealed for this customer';
SELECT fence('customers', 'id');

CREATE TABLE users (
  id             uuid PRIMARY KEY,
  email          text NOT NULL UNIQUE CHECK (octet_length(email) <= 254),
  name           text NOT NULL DEFAULT '',
  password       text NOT NULL,
  token_version  int NOT NULL DEFAULT 1,
  verified_at    timestamptz,
  last_login_at  timestamptz,
  created_at     timestamptz NOT NULL
);

CREATE TABLE members (
  customer_id uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  user_id     uuid NOT NULL REFERENCES users(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  role        text NOT NULL CHECK (role IN ('owner','operator','viewer')),
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (customer_id, user_id)
);
CREATE INDEX members_user ON members(user_id);
SELECT fence('members');

-- A user is visible to the customers that have them as a member.
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY fence ON users AS RESTRICTIVE TO mailsweep_app, mailsweep_worker, mailsweep_scheduler, mailsweep_owner
  USING (id IN (SELECT user_id FROM members WHERE customer_id = (SELECT app_customer())));
CREATE POLICY tenant ON users TO mailsweep_app, mailsweep_worker, mailsweep_scheduler, mailsweep_owner
  USING (id IN (SELECT user_id FROM members WHERE customer_id = (SELECT app_customer())));

CREATE TABLE email_tokens (
  customer_id uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  id          uuid NOT NULL,
  user_id     uuid NOT NULL,
  kind        text NOT NULL CHECK (kind IN ('verify','reset')),
  hash        bytea NOT NULL UNIQUE,
  email       text NOT NULL,
  expires_at  timestamptz NOT NULL,
  used_at     timestamptz,
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (customer_id, id),
  FOREIGN KEY (customer_id, user_id) REFERENCES members(customer_id, user_id) ON DELETE CASCADE
);
SELECT fence('email_tokens');

CREATE TABLE sessions (
  customer_id  uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  id           uuid NOT NULL,
  user_id      uuid NOT NULL,
  hash         bytea NOT NULL UNIQUE,
  device       text NOT NULL DEFAULT '',
  address_hash bytea,
  created_at   timestamptz NOT NULL,
  seen_at      timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL,
  ended_at     timestamptz,
  PRIMARY KEY (customer_id, id),
  FOREIGN KEY (customer_id, user_id) REFERENCES members(customer_id, user_id) ON DELETE CASCADE
);
SELECT fence('sessions');

CREATE TABLE keep_list (
  customer_id uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  entry       text NOT NULL,
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (customer_id, entry)
);
SELECT fence('keep_list');

CREATE TABLE notices (
  customer_id uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  kind        text NOT NULL,
  key         text NOT NULL,
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (customer_id, kind, key)
);
COMMENT ON TABLE notices IS 'what was said to a customer once: a second notice of the same kind and key is refused';
SELECT fence('notices');

CREATE TABLE idempotency_keys (
  customer_id  uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  route        text NOT NULL,
  key          text NOT NULL,
  request_hash bytea NOT NULL,
  status       int,
  answer       bytea,
  created_at   timestamptz NOT NULL,
  PRIMARY KEY (customer_id, route, key)
);
COMMENT ON COLUMN idempotency_keys.status IS 'null: the first request has not been answered; else the 2xx it was answered with, answer being sealed';
SELECT fence('idempotency_keys');

-- What happens before a customer is known.
CREATE TABLE security_events (
  id           uuid PRIMARY KEY,
  at           timestamptz NOT NULL,
  kind         text NOT NULL,
  address_hash bytea,
  request_id   text NOT NULL DEFAULT ''
);

CREATE TABLE halts (
  id         uuid PRIMARY KEY,
  scope      text NOT NULL CHECK (scope IN ('all','kind','customer','build')),
  value      text NOT NULL DEFAULT '',
  reason     text NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  lifted_at  timestamptz
);

CREATE TABLE duties (
  name        text PRIMARY KEY,
  next_due    timestamptz NOT NULL,
  last_due    timestamptz,
  last_done   timestamptz,
  runs        bigint NOT NULL DEFAULT 0,
  taken_until timestamptz
);
COMMENT ON COLUMN duties.runs IS 'grows with each taking: the fence of the scheduler that does the duty';
COMMENT ON COLUMN duties.taken_until IS 'clock time until which a scheduler has the duty in hand; null: nobody';
ALTER TABLE duties ENABLE ROW LEVEL SECURITY;
ALTER TABLE duties FORCE ROW LEVEL SECURITY;
CREATE POLICY scheduler ON duties TO mailsweep_scheduler, mailsweep_owner USING (true) WITH CHECK (true);
CREATE POLICY ops ON duties FOR SELECT TO mailsweep_ops USING (true);

-- The audit log: append-only, hash-chained per customer, partitioned by its own UUIDv7.
CREATE TABLE audit_heads (
  customer_id uuid PRIMARY KEY REFERENCES customers(id) ON DELETE CASCADE,
  seq         bigint NOT NULL DEFAULT 0,
  hash        bytea NOT NULL DEFAULT ''
);
SELECT fence('audit_heads');

CREATE TABLE audit_logs (
  customer_id  uuid NOT NULL,
  id           uuid NOT NULL,
  seq          bigint NOT NULL,
  at           timestamptz NOT NULL,
  actor        text NOT NULL,
  action       text NOT NULL,
  object       text NOT NULL DEFAULT '',
  request_id   text NOT NULL DEFAULT '',
  address_hash bytea,
  data         jsonb NOT NULL DEFAULT '{}',
  prev_hash    bytea NOT NULL,
  hash         bytea NOT NULL,
  PRIMARY KEY (customer_id, id)
) PARTITION BY RANGE (id);
SELECT fence('audit_logs');

-- +goose StatementBegin
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit_logs FOR EACH ROW EXECUTE FUNCTION audit_refuse();

-- One statement that advances the customer's chain and writes the row; SECURITY INVOKER, so row-level security stands.
-- +goose StatementBegin
CREATE FUNCTION audit(p_customer uuid, p_id uuid, p_at timestamptz, p_actor text, p_action text, p_object text, p_request text, p_address bytea, p_data jsonb)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE s bigint; p bytea; h bytea;
BEGIN
  INSERT INTO audit_heads(customer_id) VALUES (p_customer) ON CONFLICT DO NOTHING;
  SELECT seq, hash INTO s, p FROM audit_heads WHERE customer_id = p_customer FOR UPDATE;
  s := s + 1;
  h := sha256(p || convert_to(concat_ws('|', s, p_customer, p_id, extract(epoch FROM p_at), p_actor, p_action, p_object, p_request, encode(p_address, 'hex'), p_data::text), 'UTF8'));
  INSERT INTO audit_logs VALUES (p_customer, p_id, s, p_at, p_actor, p_action, p_object, p_request, p_address, p_data, p, h);
  UPDATE audit_heads SET seq = s, hash = h WHERE customer_id = p_customer;
  RETURN s;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE audit_logs, audit_heads, duties, halts, security_events, idempotency_keys, notices, keep_list, sessions, email_tokens, members, users, customers, plan_quotas CASCADE;
DROP FUNCTION audit, audit_refuse, fence, uuid_floor, app_customer;
