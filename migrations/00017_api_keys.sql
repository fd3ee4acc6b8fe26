-- +goose Up

-- What a customer's programs sign in with. The hash is all that is kept of a key; id8 is the part that people tell keys apart by.
SET LOCAL lock_timeout = '500ms';

CREATE TABLE api_keys (
  customer_id  uuid NOT NULL,
  id           uuid NOT NULL,
  user_id      uuid NOT NULL,
  name         text NOT NULL,
  id8          text NOT NULL,
  hash         bytea NOT NULL UNIQUE,
  scopes       text NOT NULL CHECK (scopes <> ''),
  networks     text NOT NULL DEFAULT '',
  created_at   timestamptz NOT NULL,
  expires_at   timestamptz,
  revoked_at   timestamptz,
  last_used_at timestamptz,
  flagged_at   timestamptz,
  PRIMARY KEY (customer_id, id),
  FOREIGN KEY (customer_id, user_id) REFERENCES members(customer_id, user_id) ON DELETE CASCADE
);
COMMENT ON COLUMN api_keys.user_id IS 'who made it: a key can do no more than its maker';
COMMENT ON COLUMN api_keys.scopes IS 'words joined by commas: read, analyze, execute, billing';
COMMENT ON COLUMN api_keys.networks IS 'prefixes joined by commas from which it may be used; empty: from everywhere';
COMMENT ON COLUMN api_keys.flagged_at IS 'when it was seen in an address, where logs and caches keep it';
SELECT fence('api_keys');

GRANT SELECT, INSERT ON api_keys TO mailsweep_app;
GRANT UPDATE (expires_at, revoked_at, last_used_at, flagged_at) ON api_keys TO mailsweep_app;

CREATE POLICY lookup ON api_keys FOR SELECT TO mailsweep_lookup USING (true);
GRANT SELECT (customer_id, id, hash) ON api_keys TO mailsweep_lookup;

SET LOCAL ROLE mailsweep_lookup;
-- +goose StatementBegin
CREATE FUNCTION lookup.api_key(p_hash bytea) RETURNS TABLE (customer_id uuid, key_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT customer_id, id FROM api_keys WHERE hash = p_hash
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION lookup.api_key(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup.api_key(bytea) TO mailsweep_app;
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_lookup;
DROP FUNCTION lookup.api_key;
RESET ROLE;
DROP TABLE api_keys;
