-- +goose Up

-- What a submission counts and compares is in few rows of its own, whatever the customer's history: no statement of the request path
-- looks through the months of jobs.
SET LOCAL lock_timeout = '500ms';

-- The jobs that are not over. Kept by triggers, so that every writer of jobs keeps it.
CREATE TABLE open_jobs (
  customer_id uuid NOT NULL,
  job_id      uuid NOT NULL,
  mailbox_id  uuid NOT NULL,
  kind        text NOT NULL,
  plan_id     uuid,
  undo_of     uuid,
  PRIMARY KEY (customer_id, job_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

-- +goose StatementBegin
CREATE FUNCTION job_is_open(p_state text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT p_state NOT IN ('succeeded','failed','canceled') $$;
CREATE FUNCTION open_jobs_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'DELETE' AND job_is_open(NEW.state) THEN
    INSERT INTO open_jobs (customer_id, job_id, mailbox_id, kind, plan_id, undo_of)
    VALUES (NEW.customer_id, NEW.id, NEW.mailbox_id, NEW.kind, NEW.plan_id, NEW.undo_of)
    ON CONFLICT (customer_id, job_id) DO UPDATE SET plan_id = excluded.plan_id;
  ELSE
    DELETE FROM open_jobs WHERE customer_id = OLD.customer_id AND job_id = OLD.id;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION job_is_open(text), open_jobs_follow() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION job_is_open(text) TO mailsweep_app, mailsweep_worker, mailsweep_scheduler, mailsweep_system;

CREATE TRIGGER open_jobs_enter AFTER INSERT ON jobs FOR EACH ROW WHEN (job_is_open(NEW.state)) EXECUTE FUNCTION open_jobs_follow();
CREATE TRIGGER open_jobs_change AFTER UPDATE OF state, plan_id ON jobs FOR EACH ROW
  WHEN (job_is_open(OLD.state) <> job_is_open(NEW.state) OR job_is_open(NEW.state) AND OLD.plan_id IS DISTINCT FROM NEW.plan_id) EXECUTE FUNCTION open_jobs_follow();
CREATE TRIGGER open_jobs_leave AFTER DELETE ON jobs FOR EACH ROW WHEN (job_is_open(OLD.state)) EXECUTE FUNCTION open_jobs_follow();

-- The triggers' lock on jobs lasts until the commit: none is missed.
ALTER TABLE jobs NO FORCE ROW LEVEL SECURITY;
INSERT INTO open_jobs SELECT customer_id, id, mailbox_id, kind, plan_id, undo_of FROM jobs WHERE job_is_open(state);
ALTER TABLE jobs FORCE ROW LEVEL SECURITY;
SELECT fence('open_jobs');
CREATE POLICY system ON open_jobs TO mailsweep_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON open_jobs TO mailsweep_app, mailsweep_worker, mailsweep_scheduler, mailsweep_system;

-- Executes of a day are counted where the virtual time is: the row is written at each submission anyway.
ALTER TABLE customers ADD COLUMN executes_on date, ADD COLUMN executes int NOT NULL DEFAULT 0;
COMMENT ON COLUMN customers.executes IS 'admitted on the day executes_on, UTC';

-- The chain's head is there but at a customer's first entry: looked for first, made only where absent.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit(p_customer uuid, p_id uuid, p_at timestamptz, p_actor text, p_action text, p_object text, p_request text, p_address bytea, p_data jsonb)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE s bigint; p bytea; h bytea;
BEGIN
  SELECT seq, hash INTO s, p FROM audit_heads WHERE customer_id = p_customer FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO audit_heads(customer_id) VALUES (p_customer) ON CONFLICT DO NOTHING;
    SELECT seq, hash INTO s, p FROM audit_heads WHERE customer_id = p_customer FOR UPDATE;
  END IF;
  s := s + 1;
  h := sha256(p || convert_to(concat_ws('|', s, p_customer, p_id, extract(epoch FROM p_at), p_actor, p_action, p_object, p_request, encode(p_address, 'hex'), p_data::text), 'UTF8'));
  INSERT INTO audit_logs VALUES (p_customer, p_id, s, p_at, p_actor, p_action, p_object, p_request, p_address, p_data, p, h);
  UPDATE audit_heads SET seq = s, hash = h WHERE customer_id = p_customer;
  RETURN s;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit(p_customer uuid, p_id uuid, p_at timestamptz, p_actor text, p_action text, p_object text, p_request text, p_address bytea, p_data jsonb)
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
ALTER TABLE customers DROP COLUMN executes_on, DROP COLUMN executes;
DROP TRIGGER open_jobs_enter ON jobs;
DROP TRIGGER open_jobs_change ON jobs;
DROP TRIGGER open_jobs_leave ON jobs;
DROP TABLE open_jobs;
DROP FUNCTION open_jobs_follow, job_is_open;
