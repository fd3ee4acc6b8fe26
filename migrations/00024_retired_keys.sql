-- +goose Up

SET LOCAL lock_timeout = '500ms';

-- Which key sealed a value: its id stands in front, behind a 1. NULL: it bears none.
CREATE FUNCTION sealed_by(p_sealed bytea) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN length(p_sealed) >= 5 AND get_byte(p_sealed, 0) = 1
    THEN get_byte(p_sealed, 1) * 16777216::bigint + get_byte(p_sealed, 2) * 65536 + get_byte(p_sealed, 3) * 256 + get_byte(p_sealed, 4) END
$$;

-- Which key wrapped a data key. That is a message of protocol buffers, whose first field is what is sealed: a tag and a length of one or
-- two bytes stand before it.
CREATE FUNCTION wrapped_by(p_wrapped bytea) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN length(p_wrapped) >= 8 AND get_byte(p_wrapped, 0) = 18 THEN sealed_by(substring(p_wrapped FROM CASE WHEN get_byte(p_wrapped, 1) < 128 THEN 3 ELSE 4 END)) END
$$;
REVOKE EXECUTE ON FUNCTION sealed_by(bytea), wrapped_by(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sealed_by(bytea), wrapped_by(bytea) TO mailsweep_app, mailsweep_worker, mailsweep_scheduler;

CREATE TABLE retired_keys (
  keyset     text NOT NULL CHECK (keyset IN ('token','index')),
  key_id     bigint NOT NULL,
  retired_at timestamptz NOT NULL,
  PRIMARY KEY (keyset, key_id)
);
COMMENT ON TABLE retired_keys IS 'keys under which nothing is sealed any more, and nothing may be: a process that has not heard of the new one is refused';
GRANT SELECT ON retired_keys TO mailsweep_app, mailsweep_worker, mailsweep_scheduler;
GRANT INSERT, DELETE ON retired_keys TO mailsweep_worker;

-- Whoever retires a key holds the lock alone: it waits for those who looked before it, and who comes later sees what it wrote.
-- +goose StatementBegin
CREATE FUNCTION refuse_retired() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE of text := 'token'; k bigint;
BEGIN
  CASE TG_TABLE_NAME
    WHEN 'oauth_tokens' THEN k := sealed_by(NEW.sealed);
    WHEN 'oauth_states' THEN k := sealed_by(NEW.granted);
    ELSE k := wrapped_by(NEW.data_key); of := 'index';
  END CASE;
  IF k IS NOT NULL THEN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('retired_keys', 0));
    IF EXISTS (SELECT FROM retired_keys r WHERE r.keyset = of AND r.key_id = k) THEN
      RAISE EXCEPTION 'key % of keyset % is retired: this process seals under an old keyset', k, of USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION refuse_retired() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refuse_retired() TO mailsweep_app, mailsweep_worker, mailsweep_scheduler;
CREATE TRIGGER refuse_retired BEFORE INSERT OR UPDATE OF sealed ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION refuse_retired();
CREATE TRIGGER refuse_retired BEFORE INSERT OR UPDATE OF granted ON oauth_states FOR EACH ROW EXECUTE FUNCTION refuse_retired();
CREATE TRIGGER refuse_retired BEFORE INSERT OR UPDATE OF data_key ON customers FOR EACH ROW EXECUTE FUNCTION refuse_retired();

-- The worker seals anew what is sealed under an old key, customer by customer.
GRANT UPDATE (sealed) ON oauth_tokens TO mailsweep_worker;
GRANT SELECT (customer_id, hash, account, granted), UPDATE (granted) ON oauth_states TO mailsweep_worker;
GRANT UPDATE (data_key) ON customers TO mailsweep_worker;
SET LOCAL ROLE mailsweep_system;
GRANT EXECUTE ON FUNCTION sys.customers_after(uuid, int) TO mailsweep_worker;
RESET ROLE;

-- +goose Down
SET LOCAL lock_timeout = '500ms';
REVOKE UPDATE (sealed) ON oauth_tokens FROM mailsweep_worker;
REVOKE SELECT (customer_id, hash, account, granted), UPDATE (granted) ON oauth_states FROM mailsweep_worker;
REVOKE UPDATE (data_key) ON customers FROM mailsweep_worker;
SET LOCAL ROLE mailsweep_system;
REVOKE EXECUTE ON FUNCTION sys.customers_after(uuid, int) FROM mailsweep_worker;
RESET ROLE;
DROP TRIGGER refuse_retired ON oauth_tokens;
DROP TRIGGER refuse_retired ON oauth_states;
DROP TRIGGER refuse_retired ON customers;
DROP FUNCTION refuse_retired();
DROP TABLE retired_keys;
DROP FUNCTION wrapped_by(bytea);
DROP FUNCTION sealed_by(bytea);
