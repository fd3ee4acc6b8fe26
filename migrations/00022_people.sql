-- +goose Up

-- People join a customer by invitations that go out by mail, may work for several customers, and may change their address.
SET LOCAL lock_timeout = '500ms';

CREATE TABLE invitations (
  customer_id uuid NOT NULL,
  id          uuid NOT NULL,
  email       text NOT NULL CHECK (octet_length(email) <= 254),
  role        text NOT NULL CHECK (role IN ('owner','operator','viewer')),
  hash        bytea NOT NULL UNIQUE,
  invited_by  uuid NOT NULL,
  expires_at  timestamptz NOT NULL,
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (customer_id, id),
  UNIQUE (customer_id, email),
  FOREIGN KEY (customer_id, invited_by) REFERENCES members(customer_id, user_id) ON DELETE CASCADE
);
COMMENT ON TABLE invitations IS 'those that nobody has taken yet; who takes or revokes one deletes it';
COMMENT ON COLUMN invitations.hash IS 'SHA-256 of the newest mail''s token: the older mails are worth nothing';
COMMENT ON COLUMN invitations.invited_by IS 'good only while they are an owner';
SELECT fence('invitations');

GRANT SELECT, INSERT, DELETE ON invitations TO mailsweep_app;
GRANT UPDATE (role, hash, invited_by, expires_at) ON invitations TO mailsweep_app;
GRANT SELECT (customer_id, id, expires_at), DELETE ON invitations TO mailsweep_scheduler;
GRANT UPDATE (role) ON members TO mailsweep_app;

ALTER TABLE users ADD COLUMN failures int NOT NULL DEFAULT 0;
COMMENT ON COLUMN users.failures IS 'wrong passwords since the last right one';

CREATE POLICY lookup ON invitations FOR SELECT TO mailsweep_lookup USING (true);
GRANT SELECT (customer_id, id, hash) ON invitations TO mailsweep_lookup;

SET LOCAL ROLE mailsweep_lookup;
GRANT USAGE ON SCHEMA lookup TO mailsweep_owner;
-- +goose StatementBegin
CREATE FUNCTION lookup.invitation(p_hash bytea) RETURNS TABLE (customer_id uuid, invitation_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT customer_id, id FROM invitations WHERE hash = p_hash
$$;

-- For whom a person works, the longest first.
CREATE FUNCTION lookup.memberships(p_user uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT customer_id FROM members WHERE user_id = p_user ORDER BY created_at, customer_id
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION lookup.invitation(bytea), lookup.memberships(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup.invitation(bytea) TO mailsweep_app;
GRANT EXECUTE ON FUNCTION lookup.memberships(uuid) TO mailsweep_app, mailsweep_owner;
RESET ROLE;

-- Ends a person's membership in the transaction's customer, with all that hangs on it. Who works for nobody then is forgotten, so that the
-- address is free. Whoever makes the person a member elsewhere at the same time waits for the row, and finds it or not.
-- +goose StatementBegin
CREATE FUNCTION part_with(p_user uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM users WHERE id = p_user FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  IF EXISTS (SELECT FROM lookup.memberships(p_user) AS c WHERE c <> app_customer()) THEN
    DELETE FROM members WHERE customer_id = app_customer() AND user_id = p_user;
  ELSE
    DELETE FROM users WHERE id = p_user;
  END IF;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION part_with(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION part_with(uuid) TO mailsweep_app;

-- +goose Down
DROP FUNCTION part_with(uuid);
SET LOCAL ROLE mailsweep_lookup;
DROP FUNCTION lookup.invitation(bytea), lookup.memberships(uuid);
REVOKE USAGE ON SCHEMA lookup FROM mailsweep_owner;
RESET ROLE;
ALTER TABLE users DROP COLUMN failures;
REVOKE UPDATE (role) ON members FROM mailsweep_app;
DROP TABLE invitations;
