-- +goose Up

-- An address that had its trial is remembered, as a keyed hash, for as long as that counts: until 24 months after its customer was purged.
SET LOCAL lock_timeout = '500ms';

CREATE TABLE trial_addresses (
  address  bytea PRIMARY KEY,
  customer uuid,
  freed_at timestamptz,
  CHECK ((customer IS NULL) = (freed_at IS NOT NULL))
);
COMMENT ON COLUMN trial_addresses.customer IS 'whose trial it was; null since that customer was purged: then nothing leads from one to the other';
COMMENT ON COLUMN trial_addresses.freed_at IS 'the beginning of the month after that customer was purged: no time of day leads from one to the other';
CREATE INDEX trial_addresses_customer ON trial_addresses (customer);
CREATE INDEX trial_addresses_freed ON trial_addresses (freed_at);
ALTER TABLE trial_addresses ENABLE ROW LEVEL SECURITY;
ALTER TABLE trial_addresses FORCE ROW LEVEL SECURITY;
CREATE POLICY system ON trial_addresses TO mailsweep_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON trial_addresses TO mailsweep_system;

SET LOCAL ROLE mailsweep_system;
-- +goose StatementBegin
-- Notes that p_customer has its trial by this address; false when another had one by it. Of several at once the first is noted.
CREATE FUNCTION sys.use_trial(p_address bytea, p_customer uuid) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  INSERT INTO trial_addresses AS t (address, customer) VALUES (p_address, p_customer)
  ON CONFLICT (address) DO UPDATE SET address = t.address
  RETURNING coalesce(t.customer = p_customer, false)
$$;

-- Cuts what leads from a purged customer to the addresses that had its trial.
CREATE FUNCTION sys.free_trials(p_customer uuid, p_now timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  UPDATE trial_addresses SET customer = NULL, freed_at = date_trunc('month', p_now, 'UTC') + interval '1 month' WHERE customer = p_customer
$$;

-- Forgets the addresses whose customer was purged 24 months ago.
CREATE FUNCTION sys.forget_trials(p_now timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  DELETE FROM trial_addresses WHERE freed_at < p_now - interval '24 months'
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION sys.use_trial(bytea, uuid), sys.free_trials(uuid, timestamptz), sys.forget_trials(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sys.use_trial(bytea, uuid) TO mailsweep_app;
GRANT EXECUTE ON FUNCTION sys.free_trials(uuid, timestamptz), sys.forget_trials(timestamptz) TO mailsweep_scheduler;
RESET ROLE;

-- +goose Down
SET LOCAL lock_timeout = '500ms';
SET LOCAL ROLE mailsweep_system;
DROP FUNCTION sys.use_trial(bytea, uuid), sys.free_trials(uuid, timestamptz), sys.forget_trials(timestamptz);
RESET ROLE;
DROP TABLE trial_addresses;
