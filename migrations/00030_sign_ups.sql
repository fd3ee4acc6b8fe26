-- +goose Up

-- A sign-up is nobody's until its address is proven: a stranger may have made it. Its trial begins with the proof, what waits too long for
-- one is dropped, and people change their address by two mails more.
SET LOCAL lock_timeout = '500ms';

CREATE INDEX users_unproven ON users (created_at) WHERE verified_at IS NULL;

ALTER TABLE email_tokens DROP CONSTRAINT email_tokens_kind_check;
ALTER TABLE email_tokens ADD CONSTRAINT email_tokens_kind_check CHECK (kind IN ('verify','reset','change','undo'));
COMMENT ON COLUMN email_tokens.email IS 'which the token proves: of a change the new address, of its undoing the old one';

-- Drops the transaction's customer if nobody has ever proven an address there: its address is free at once, and the purge removes the rest.
-- Who proves one holds the customer's row. Each statement sees what was committed before it.
-- +goose StatementBegin
CREATE FUNCTION drop_sign_up(p_now timestamptz) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM customers WHERE id = app_customer() AND deleted_at IS NULL FOR UPDATE;
  IF NOT FOUND OR EXISTS (SELECT FROM users WHERE verified_at IS NOT NULL) THEN RETURN false; END IF;
  UPDATE customers SET deleted_at = p_now, purge_at = p_now, suspended_at = coalesce(suspended_at, p_now), plan_version = plan_version + 1 WHERE id = app_customer();
  DELETE FROM users WHERE id IN (SELECT user_id FROM members WHERE customer_id = app_customer());
  RETURN true;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION drop_sign_up(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_sign_up(timestamptz) TO mailsweep_app, mailsweep_scheduler;

GRANT SELECT (verified_at, created_at) ON users TO mailsweep_lookup;
GRANT SELECT (user_id, expires_at) ON email_tokens TO mailsweep_lookup;
SET LOCAL ROLE mailsweep_lookup;
-- +goose StatementBegin
CREATE FUNCTION lookup.stale_sign_ups(p_before timestamptz, p_n int) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT m.customer_id FROM users u JOIN members m ON m.user_id = u.id JOIN customers c ON c.id = m.customer_id AND c.deleted_at IS NULL
  WHERE u.verified_at IS NULL AND u.created_at < p_before
    AND NOT EXISTS (SELECT FROM email_tokens e WHERE e.customer_id = m.customer_id AND e.user_id = u.id AND e.expires_at >= p_before)
  ORDER BY u.created_at LIMIT p_n
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION lookup.stale_sign_ups(timestamptz, int) FROM PUBLIC;
GRANT USAGE ON SCHEMA lookup TO mailsweep_scheduler;
GRANT EXECUTE ON FUNCTION lookup.stale_sign_ups(timestamptz, int) TO mailsweep_scheduler;
RESET ROLE;

-- Of those who wait already, no trial runs.
ALTER TABLE customers NO FORCE ROW LEVEL SECURITY;
ALTER TABLE members NO FORCE ROW LEVEL SECURITY;
ALTER TABLE users NO FORCE ROW LEVEL SECURITY;
UPDATE customers c SET name = '', trial_ends_at = NULL, plan_version = plan_version + 1 WHERE c.deleted_at IS NULL
  AND EXISTS (SELECT FROM members m WHERE m.customer_id = c.id)
  AND NOT EXISTS (SELECT FROM members m JOIN users u ON u.id = m.user_id WHERE m.customer_id = c.id AND u.verified_at IS NOT NULL);
ALTER TABLE customers FORCE ROW LEVEL SECURITY;
ALTER TABLE members FORCE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;

-- +goose Down
SET LOCAL lock_timeout = '500ms';
SET LOCAL ROLE mailsweep_lookup;
DROP FUNCTION lookup.stale_sign_ups(timestamptz, int);
REVOKE USAGE ON SCHEMA lookup FROM mailsweep_scheduler;
RESET ROLE;
REVOKE SELECT (verified_at, created_at) ON users FROM mailsweep_lookup;
REVOKE SELECT (user_id, expires_at) ON email_tokens FROM mailsweep_lookup;
DROP FUNCTION drop_sign_up(timestamptz);
ALTER TABLE email_tokens NO FORCE ROW LEVEL SECURITY;
DELETE FROM email_tokens WHERE kind IN ('change','undo');
ALTER TABLE email_tokens FORCE ROW LEVEL SECURITY;
ALTER TABLE email_tokens DROP CONSTRAINT email_tokens_kind_check;
ALTER TABLE email_tokens ADD CONSTRAINT email_tokens_kind_check CHECK (kind IN ('verify','reset'));
COMMENT ON COLUMN email_tokens.email IS NULL;
DROP INDEX users_unproven;
