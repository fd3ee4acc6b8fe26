-- +goose Up

-- Whether another customer has a Google account connected: who leaves last gives the consent back, which is one for all of them.
SET LOCAL ROLE mailsweep_lookup;
GRANT USAGE ON SCHEMA lookup TO mailsweep_worker;
GRANT EXECUTE ON FUNCTION lookup.mailboxes_of(bytea) TO mailsweep_worker;
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_lookup;
REVOKE EXECUTE ON FUNCTION lookup.mailboxes_of(bytea) FROM mailsweep_worker;
REVOKE USAGE ON SCHEMA lookup FROM mailsweep_worker;
RESET ROLE;
