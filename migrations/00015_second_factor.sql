-- +goose Up

-- A person's second factor: a code of an app that changes every 30 seconds (RFC 6238), and recovery codes for the day on which the app
-- is gone. The app's secret is sealed with the customer's data key; a recovery code is a salted hash.
SET LOCAL lock_timeout = '500ms';

CREATE TABLE second_factors (
  customer_id uuid NOT NULL,
  user_id     uuid NOT NULL,
  secret      bytea NOT NULL,
  salt        bytea NOT NULL,
  last_step   bigint NOT NULL DEFAULT 0,
  on_at       timestamptz,
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (customer_id, user_id),
  FOREIGN KEY (customer_id, user_id) REFERENCES members(customer_id, user_id) ON DELETE CASCADE
);
COMMENT ON COLUMN second_factors.last_step IS 'the 30 seconds of the newest code that was taken: it and older ones are worth nothing';
COMMENT ON COLUMN second_factors.on_at IS 'when the first right code came; before, nobody is asked';
SELECT fence('second_factors');

CREATE TABLE recovery_codes (
  customer_id uuid NOT NULL,
  user_id     uuid NOT NULL,
  hash        bytea NOT NULL,
  PRIMARY KEY (customer_id, user_id, hash),
  FOREIGN KEY (customer_id, user_id) REFERENCES second_factors(customer_id, user_id) ON DELETE CASCADE
);
SELECT fence('recovery_codes');

-- Whoever has given a right password, or Google's word, and owes the second factor still.
CREATE TABLE login_challenges (
  customer_id   uuid NOT NULL,
  id            uuid NOT NULL,
  user_id       uuid NOT NULL,
  hash          bytea NOT NULL UNIQUE,
  token_version int NOT NULL,
  tries         int NOT NULL DEFAULT 0,
  expires_at    timestamptz NOT NULL,
  PRIMARY KEY (customer_id, id),
  FOREIGN KEY (customer_id, user_id) REFERENCES members(customer_id, user_id) ON DELETE CASCADE
);
COMMENT ON COLUMN login_challenges.token_version IS 'the person''s when the password was right: a password changed since makes it worthless';
CREATE INDEX login_challenges_user ON login_challenges(customer_id, user_id);
SELECT fence('login_challenges');

ALTER TABLE customers ADD COLUMN require_2fa boolean NOT NULL DEFAULT false;

GRANT SELECT, INSERT, UPDATE, DELETE ON second_factors, login_challenges TO mailsweep_app;
GRANT SELECT, INSERT, DELETE ON recovery_codes TO mailsweep_app;
GRANT SELECT (customer_id, id, expires_at), DELETE ON login_challenges TO mailsweep_scheduler;

CREATE POLICY lookup ON login_challenges FOR SELECT TO mailsweep_lookup USING (true);
GRANT SELECT (customer_id, id, hash) ON login_challenges TO mailsweep_lookup;

SET LOCAL ROLE mailsweep_lookup;
-- +goose StatementBegin
CREATE FUNCTION lookup.login_challenge(p_hash bytea) RETURNS TABLE (customer_id uuid, challenge_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT customer_id, id FROM login_challenges WHERE hash = p_hash
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION lookup.login_challenge(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup.login_challenge(bytea) TO mailsweep_app;
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_lookup;
DROP FUNCTION lookup.login_challenge;
RESET ROLE;
ALTER TABLE customers DROP COLUMN require_2fa;
DROP TABLE login_challenges, recovery_codes, second_factors;
