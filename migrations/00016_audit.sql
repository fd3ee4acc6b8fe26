-- +goose Up

-- The audit chain is written by two functions alone, in a form in which no two rows agree: fields that were joined by a bar could move a
-- character from one to the next and keep their hash. Rows from before keep the form (1) that they were hashed in.
SET LOCAL lock_timeout = '500ms';

ALTER TABLE audit_logs ADD COLUMN IF NOT EXISTS form smallint NOT NULL DEFAULT 1;
ALTER TABLE ops_log ADD COLUMN IF NOT EXISTS form smallint NOT NULL DEFAULT 1;
COMMENT ON COLUMN audit_logs.form IS 'how hash is made of the row: 1 joined with bars, 2 a JSON array';

-- What is hashed of a row, behind the hash before it. For VerifyAudit too.
-- +goose StatementBegin
CREATE FUNCTION audit_text(p_form int, p_seq bigint, p_customer uuid, p_id uuid, p_at timestamptz, p_actor text, p_action text, p_object text, p_request text, p_address bytea, p_data jsonb)
RETURNS bytea LANGUAGE sql STABLE AS $$
  SELECT convert_to(CASE p_form
    WHEN 1 THEN concat_ws('|', p_seq, p_customer, p_id, extract(epoch FROM p_at), p_actor, p_action, p_object, p_request, encode(p_address, 'hex'), p_data::text)
    WHEN 2 THEN jsonb_build_array(2, p_seq, p_customer, p_id, extract(epoch FROM p_at), p_actor, p_action, p_object, p_request, encode(p_address, 'hex'), p_data)::text
  END, 'UTF8')
$$;

-- With its owner's rights, so that no process needs the right to write rows or heads; the tenant's fence is around the owner too.
CREATE OR REPLACE FUNCTION audit(p_customer uuid, p_id uuid, p_at timestamptz, p_actor text, p_action text, p_object text, p_request text, p_address bytea, p_data jsonb)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE s bigint; p bytea; h bytea;
BEGIN
  SELECT seq, hash INTO s, p FROM audit_heads WHERE customer_id = p_customer FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO audit_heads(customer_id) VALUES (p_customer) ON CONFLICT DO NOTHING;
    SELECT seq, hash INTO s, p FROM audit_heads WHERE customer_id = p_customer FOR UPDATE;
  END IF;
  s := s + 1;
  h := sha256(p || audit_text(2, s, p_customer, p_id, p_at, p_actor, p_action, p_object, p_request, p_address, p_data));
  INSERT INTO audit_logs (customer_id, id, seq, at, actor, action, object, request_id, address_hash, data, prev_hash, hash, form)
    VALUES (p_customer, p_id, s, p_at, p_actor, p_action, p_object, p_request, p_address, p_data, p, h, 2);
  UPDATE audit_heads SET seq = s, hash = h WHERE customer_id = p_customer;
  RETURN s;
END $$;

-- Keeps what a customer's chain needs to be verified once a month's rows are detached. Doing it again changes nothing.
CREATE FUNCTION anchor_audit(p_customer uuid, p_month date) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  INSERT INTO audit_anchors (customer_id, month, seq, hash)
  SELECT customer_id, p_month, seq, hash FROM (
    SELECT customer_id, seq, hash, lead(seq) OVER (ORDER BY seq) AS next FROM audit_logs
    WHERE customer_id = p_customer AND id >= uuid_floor(p_month::timestamp AT TIME ZONE 'UTC') AND id < uuid_floor((p_month + interval '1 month') AT TIME ZONE 'UTC')) m
  WHERE next IS DISTINCT FROM seq + 1 ON CONFLICT DO NOTHING
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION anchor_audit(uuid, date), audit_text(int, bigint, uuid, uuid, timestamptz, text, text, text, text, bytea, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_text(int, bigint, uuid, uuid, timestamptz, text, text, text, text, bytea, jsonb) TO mailsweep_app, mailsweep_worker, mailsweep_scheduler;
GRANT EXECUTE ON FUNCTION anchor_audit(uuid, date) TO mailsweep_scheduler;

REVOKE INSERT, UPDATE ON audit_heads FROM mailsweep_app, mailsweep_worker, mailsweep_scheduler;
REVOKE INSERT ON audit_logs FROM mailsweep_app, mailsweep_worker, mailsweep_scheduler;
REVOKE INSERT ON audit_anchors FROM mailsweep_scheduler;

-- Nor is it emptied, whole or by month.
CREATE TRIGGER audit_not_emptied BEFORE TRUNCATE ON audit_logs FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_not_emptied BEFORE TRUNCATE ON ops_log FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
-- +goose StatementBegin
DO $$
DECLARE part regclass; body text := pg_get_functiondef('ensure_partitions(date,int)'::regprocedure);
  was text := 'PERFORM fence(part::regclass);';
BEGIN
  FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass LOOP
    EXECUTE format('CREATE TRIGGER audit_not_emptied BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()', part);
  END LOOP;
  IF position(was IN body) = 0 THEN RAISE EXCEPTION 'not found: %', was; END IF;
  EXECUTE replace(body, was, was || ' IF t = ''audit_logs'' THEN EXECUTE format(''CREATE TRIGGER audit_not_emptied BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()'', part); END IF;');
END $$;
-- +goose StatementEnd

SET LOCAL ROLE mailsweep_system;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION sys.ops_note(p_at timestamptz, p_operator text, p_act text, p_object text, p_reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE s bigint := 0; p bytea := '';
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ops_log', 0)); -- one writer at a time: each row's hash holds the one before
  SELECT seq, hash INTO s, p FROM ops_log ORDER BY seq DESC LIMIT 1;
  s := coalesce(s, 0) + 1; p := coalesce(p, '');
  INSERT INTO ops_log (seq, at, operator, act, object, reason, prev_hash, hash, form) VALUES (s, p_at, p_operator, p_act, p_object, p_reason, p,
    sha256(p || convert_to(jsonb_build_array(2, s, extract(epoch FROM p_at), p_operator, p_act, p_object, p_reason)::text, 'UTF8')), 2);
  RETURN s;
END $$;
-- +goose StatementEnd
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_system;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION sys.ops_note(p_at timestamptz, p_operator text, p_act text, p_object text, p_reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE s bigint := 0; p bytea := '';
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ops_log', 0));
  SELECT seq, hash INTO s, p FROM ops_log ORDER BY seq DESC LIMIT 1;
  s := coalesce(s, 0) + 1; p := coalesce(p, '');
  INSERT INTO ops_log VALUES (s, p_at, p_operator, p_act, p_object, p_reason, p,
    sha256(p || convert_to(concat_ws('|', s, extract(epoch FROM p_at), p_operator, p_act, p_object, p_reason), 'UTF8')));
  RETURN s;
END $$;
-- +goose StatementEnd
RESET ROLE;
-- +goose StatementBegin
DO $$
DECLARE part regclass; body text := pg_get_functiondef('ensure_partitions(date,int)'::regprocedure);
BEGIN
  EXECUTE replace(body, ' IF t = ''audit_logs'' THEN EXECUTE format(''CREATE TRIGGER audit_not_emptied BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()'', part); END IF;', '');
  FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass LOOP
    EXECUTE format('DROP TRIGGER audit_not_emptied ON %s', part);
  END LOOP;
END $$;
CREATE OR REPLACE FUNCTION audit(p_customer uuid, p_id uuid, p_at timestamptz, p_actor text, p_action text, p_object text, p_request text, p_address bytea, p_data jsonb)
RETURNS bigint LANGUAGE plpgsql SECURITY INVOKER AS $$
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
DROP TRIGGER audit_not_emptied ON audit_logs;
DROP TRIGGER audit_not_emptied ON ops_log;
GRANT INSERT, UPDATE ON audit_heads TO mailsweep_app, mailsweep_worker, mailsweep_scheduler;
GRANT INSERT ON audit_logs TO mailsweep_app, mailsweep_worker, mailsweep_scheduler;
GRANT INSERT ON audit_anchors TO mailsweep_scheduler;
DROP FUNCTION anchor_audit(uuid, date);
DROP FUNCTION audit_text(int, bigint, uuid, uuid, timestamptz, text, text, text, text, bytea, jsonb);
-- The columns stay: rows that were hashed in the second form would verify as broken after the next Up.
