-- +goose Up

-- Sessions of browsers begin: what a cookie is compared with when it is used.
SET LOCAL lock_timeout = '500ms';

ALTER TABLE sessions
  ADD COLUMN token_version int NOT NULL DEFAULT 0,
  ADD COLUMN second_factor boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN sessions.hash IS 'SHA-256 of the cookie, which is 256 random bits';
COMMENT ON COLUMN sessions.device IS 'program and system in our own words, such as Firefox on Linux';
COMMENT ON COLUMN sessions.address_hash IS 'keyed hash of the network in which it began';
COMMENT ON COLUMN sessions.seen_at IS 'the last use, to the minute';
COMMENT ON COLUMN sessions.token_version IS 'the person''s when it began: what ends all tokens ends it';
COMMENT ON COLUMN sessions.second_factor IS 'whether the person gave theirs when it began';
CREATE INDEX sessions_user ON sessions(customer_id, user_id) WHERE ended_at IS NULL;

-- A session's person, hash and limits never change; who clears old ones away reads no hash.
REVOKE UPDATE ON sessions FROM mailsweep_app;
GRANT UPDATE (seen_at, ended_at, token_version) ON sessions TO mailsweep_app;
REVOKE SELECT ON sessions FROM mailsweep_scheduler;
GRANT SELECT (customer_id, id, expires_at, ended_at) ON sessions TO mailsweep_scheduler;

-- +goose Down
REVOKE SELECT (customer_id, id, expires_at, ended_at) ON sessions FROM mailsweep_scheduler;
GRANT SELECT ON sessions TO mailsweep_scheduler;
REVOKE UPDATE (seen_at, ended_at, token_version) ON sessions FROM mailsweep_app;
GRANT UPDATE ON sessions TO mailsweep_app;
DROP INDEX sessions_user;
ALTER TABLE sessions DROP COLUMN token_version, DROP COLUMN second_factor;
