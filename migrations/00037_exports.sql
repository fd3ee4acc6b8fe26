-- +goose Up

-- A customer's data as one file, made by a worker: for a day it can be fetched, then its content goes. It is kept in pieces, each sealed with
-- the customer's data key: what destroys the key destroys them.
SET LOCAL lock_timeout = '500ms';

CREATE TABLE exports (
  customer_id uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  id          uuid NOT NULL,
  user_id     uuid NOT NULL,
  bytes       bigint NOT NULL DEFAULT 0,
  created_at  timestamptz NOT NULL,
  ready_at    timestamptz,
  expires_at  timestamptz,
  PRIMARY KEY (customer_id, id)
);
COMMENT ON COLUMN exports.user_id IS 'who asked for it, and is told';
COMMENT ON COLUMN exports.bytes IS 'of the file, as it is fetched';
SELECT fence('exports');

-- No foreign key to exports: while pieces are written, nobody who deletes an export waits. Who deletes takes the export first; its maker finds it gone.
CREATE TABLE export_parts (
  customer_id uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  export_id   uuid NOT NULL,
  n           int NOT NULL,
  sealed      bytea NOT NULL,
  PRIMARY KEY (customer_id, export_id, n)
);
ALTER TABLE export_parts ALTER COLUMN sealed SET STORAGE EXTERNAL;
SELECT fence('export_parts');

GRANT SELECT, INSERT, DELETE ON exports TO mailsweep_app;
GRANT SELECT, DELETE ON export_parts TO mailsweep_app;
GRANT SELECT (customer_id, id, user_id, created_at, ready_at, expires_at), UPDATE (bytes, ready_at, expires_at) ON exports TO mailsweep_worker;
GRANT INSERT ON export_parts TO mailsweep_worker;
GRANT SELECT (customer_id, id, created_at, expires_at), DELETE ON exports TO mailsweep_scheduler;
GRANT SELECT (customer_id, export_id, n), DELETE ON export_parts TO mailsweep_scheduler;

-- What the worker reads for an export, beside what it reads for its jobs: no hash of a secret, no secret.
GRANT SELECT (verified_at, last_login_at, failures, created_at) ON users TO mailsweep_worker;
GRANT SELECT (customer_id, id, user_id, device, second_factor, created_at, seen_at, expires_at, ended_at) ON sessions TO mailsweep_worker;
GRANT SELECT (customer_id, id, user_id, name, id8, scopes, networks, created_at, expires_at, revoked_at, last_used_at, flagged_at) ON api_keys TO mailsweep_worker;
GRANT SELECT (customer_id, id, email, role, invited_by, expires_at, created_at) ON invitations TO mailsweep_worker;
GRANT SELECT (customer_id, id, user_id, kind, email, expires_at, used_at, created_at) ON email_tokens TO mailsweep_worker;
GRANT SELECT (customer_id, user_id, on_at, created_at) ON second_factors TO mailsweep_worker;
GRANT SELECT (customer_id, user_id, mailbox_id, email, scopes, error, expires_at, used_at) ON oauth_states TO mailsweep_worker;
GRANT SELECT ON subscriptions, billing_intents, archived_usage TO mailsweep_worker;

-- +goose Down
REVOKE SELECT ON subscriptions, billing_intents, archived_usage FROM mailsweep_worker;
REVOKE SELECT (user_id, mailbox_id, email, scopes, error, expires_at, used_at) ON oauth_states FROM mailsweep_worker;
REVOKE SELECT (customer_id, user_id, on_at, created_at) ON second_factors FROM mailsweep_worker;
REVOKE SELECT (customer_id, id, user_id, kind, email, expires_at, used_at, created_at) ON email_tokens FROM mailsweep_worker;
REVOKE SELECT (customer_id, id, email, role, invited_by, expires_at, created_at) ON invitations FROM mailsweep_worker;
REVOKE SELECT (customer_id, id, user_id, name, id8, scopes, networks, created_at, expires_at, revoked_at, last_used_at, flagged_at) ON api_keys FROM mailsweep_worker;
REVOKE SELECT (customer_id, id, user_id, device, second_factor, created_at, seen_at, expires_at, ended_at) ON sessions FROM mailsweep_worker;
REVOKE SELECT (verified_at, last_login_at, failures, created_at) ON users FROM mailsweep_worker;
DROP TABLE export_parts, exports;
