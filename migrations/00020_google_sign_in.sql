-- +goose Up

-- Signing in with Google. Who somebody is there is Google's sub, as a keyed hash: addresses change and change hands, a sub does neither.
SET LOCAL lock_timeout = '500ms';

ALTER TABLE users ADD COLUMN google_subject bytea;
COMMENT ON COLUMN users.google_subject IS 'the one Google account that signs the person in, for whomever they work';
CREATE UNIQUE INDEX users_google_subject_key ON users(google_subject) WHERE google_subject IS NOT NULL;

-- A sign-in that is under way on Google's page, or that came back and owes the password of an account with its address. Nobody's customer
-- is known yet, so it has none; every column is a hash of what only the other side has.
CREATE TABLE google_sign_ins (
  ticket     bytea PRIMARY KEY,
  state      bytea NOT NULL,
  nonce      bytea NOT NULL,
  subject    bytea,
  address    bytea,
  expires_at timestamptz NOT NULL,
  CHECK ((subject IS NULL) = (address IS NULL))
);
COMMENT ON COLUMN google_sign_ins.subject IS 'keyed, once Google has said who it is: only the password is missing then';
COMMENT ON COLUMN google_sign_ins.address IS 'keyed: the account whose password is owed';
CREATE INDEX google_sign_ins_expires ON google_sign_ins(expires_at);

GRANT SELECT, INSERT, DELETE ON google_sign_ins TO mailsweep_app;
GRANT UPDATE (expires_at) ON google_sign_ins TO mailsweep_app; -- to lock what is swept
GRANT SELECT (google_subject) ON users TO mailsweep_lookup;

SET LOCAL ROLE mailsweep_lookup;
-- +goose StatementBegin
CREATE FUNCTION lookup.google_identity(p_subject bytea) RETURNS TABLE (customer_id uuid, user_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT m.customer_id, u.id FROM users u JOIN members m ON m.user_id = u.id WHERE u.google_subject = p_subject ORDER BY m.created_at, m.customer_id LIMIT 1
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION lookup.google_identity(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup.google_identity(bytea) TO mailsweep_app;
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_lookup;
DROP FUNCTION lookup.google_identity;
RESET ROLE;
DROP TABLE google_sign_ins;
ALTER TABLE users DROP COLUMN google_subject;
