-- +goose Up

-- A consent that was parked and that nobody completed in time is given back at Google by the worker, which deletes its row then and nobody else.
SET LOCAL lock_timeout = '500ms';

CREATE INDEX oauth_states_parked ON oauth_states (expires_at) WHERE granted IS NOT NULL;
GRANT SELECT (expires_at), DELETE ON oauth_states TO mailsweep_worker;
GRANT SELECT (granted, account, expires_at) ON oauth_states TO mailsweep_lookup;

SET LOCAL ROLE mailsweep_lookup;
-- +goose StatementBegin
CREATE FUNCTION lookup.consents_to_revoke(p_now timestamptz, p_n int) RETURNS TABLE (customer_id uuid, hash bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT customer_id, hash FROM oauth_states WHERE granted IS NOT NULL AND expires_at <= p_now ORDER BY expires_at LIMIT p_n
$$;

-- Whether a Google account's consent, which is one for everybody at Google, serves a mailbox or is about to.
CREATE FUNCTION lookup.consent_in_use(p_account bytea, p_now timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM mailboxes WHERE account = p_account AND state <> 'disconnected')
    OR EXISTS (SELECT FROM oauth_states WHERE granted IS NOT NULL AND expires_at > p_now AND account = p_account)
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION lookup.consents_to_revoke(timestamptz, int), lookup.consent_in_use(bytea, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup.consents_to_revoke(timestamptz, int), lookup.consent_in_use(bytea, timestamptz) TO mailsweep_worker;
REVOKE EXECUTE ON FUNCTION lookup.mailboxes_of(bytea) FROM mailsweep_worker;
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_lookup;
GRANT EXECUTE ON FUNCTION lookup.mailboxes_of(bytea) TO mailsweep_worker;
DROP FUNCTION lookup.consents_to_revoke(timestamptz, int), lookup.consent_in_use(bytea, timestamptz);
RESET ROLE;
REVOKE SELECT (granted, account, expires_at) ON oauth_states FROM mailsweep_lookup;
REVOKE SELECT (expires_at), DELETE ON oauth_states FROM mailsweep_worker;
DROP INDEX oauth_states_parked;
