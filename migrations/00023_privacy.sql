-- +goose Up

-- A customer who asked to be forgotten: shut at once, purged some days later. What stays is a row of dates under an id that names nobody,
-- and the audit chain, which knows people by pseudonyms alone.
SET LOCAL lock_timeout = '500ms';

ALTER TABLE customers ADD COLUMN deleted_at timestamptz, ADD COLUMN purge_at timestamptz, ADD COLUMN purged_at timestamptz;
COMMENT ON COLUMN customers.deleted_at IS 'when its owner deleted it: nobody uses it any more';
COMMENT ON COLUMN customers.purge_at IS 'from when on the scheduler removes what it left';
COMMENT ON COLUMN customers.purged_at IS 'when nothing was left but this row and the audit chain';
CREATE INDEX customers_to_purge ON customers (purge_at) WHERE purged_at IS NULL AND purge_at IS NOT NULL;

-- A Google account is remembered, as a keyed hash, for as long as its one trial counts: until 24 months after nobody has it connected.
ALTER TABLE google_accounts ADD COLUMN idle_since timestamptz;
COMMENT ON COLUMN google_accounts.idle_since IS 'since when no customer has a mailbox of it';
CREATE INDEX mailboxes_account ON mailboxes (account);

GRANT SELECT (purge_at, purged_at) ON customers TO mailsweep_system;
GRANT DELETE ON google_accounts TO mailsweep_system;
SET LOCAL ROLE mailsweep_system;
-- +goose StatementBegin
CREATE FUNCTION sys.purges_due(p_now timestamptz, p_n int) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT id FROM customers WHERE purge_at <= p_now AND purged_at IS NULL ORDER BY purge_at LIMIT p_n
$$;

-- Notes which Google accounts nobody has connected, and forgets those that nobody had for 24 months; says how many.
CREATE FUNCTION sys.forget_accounts(p_now timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE n bigint;
BEGIN
  UPDATE google_accounts g SET idle_since = NULL WHERE idle_since IS NOT NULL AND EXISTS (SELECT FROM mailboxes m WHERE m.account = g.account);
  UPDATE google_accounts g SET idle_since = p_now WHERE idle_since IS NULL AND NOT EXISTS (SELECT FROM mailboxes m WHERE m.account = g.account);
  DELETE FROM google_accounts WHERE idle_since < p_now - interval '24 months' AND active_job_id IS NULL;
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION sys.purges_due(timestamptz, int), sys.forget_accounts(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sys.purges_due(timestamptz, int), sys.forget_accounts(timestamptz) TO mailsweep_scheduler;
RESET ROLE;

-- Who works for several customers signs in at one that is there.
CREATE POLICY lookup ON customers FOR SELECT TO mailsweep_lookup USING (true);
GRANT SELECT (id, deleted_at) ON customers TO mailsweep_lookup;
SET LOCAL ROLE mailsweep_lookup;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION lookup.user_by_email(p_email text) RETURNS TABLE (customer_id uuid, user_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT m.customer_id, u.id FROM users u JOIN members m ON m.user_id = u.id JOIN customers c ON c.id = m.customer_id
  WHERE u.email = p_email ORDER BY c.deleted_at IS NOT NULL, m.created_at, m.customer_id LIMIT 1
$$;

CREATE OR REPLACE FUNCTION lookup.google_identity(p_subject bytea) RETURNS TABLE (customer_id uuid, user_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT m.customer_id, u.id FROM users u JOIN members m ON m.user_id = u.id JOIN customers c ON c.id = m.customer_id
  WHERE u.google_subject = p_subject ORDER BY c.deleted_at IS NOT NULL, m.created_at, m.customer_id LIMIT 1
$$;

-- For whom a person works, the longest first, deleted ones last.
CREATE OR REPLACE FUNCTION lookup.memberships(p_user uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT m.customer_id FROM members m JOIN customers c ON c.id = m.customer_id WHERE m.user_id = p_user ORDER BY c.deleted_at IS NOT NULL, m.created_at, m.customer_id
$$;
-- +goose StatementEnd
RESET ROLE;

-- Removes about p_most rows of the transaction's customer and says how many; 0: none was left, and the customer's own row has become a
-- tombstone. The catalogue says where rows are, so a new table cannot be forgotten; kept is what names nobody. It is called until it
-- says 0: each call is whole by itself.
-- +goose StatementBegin
CREATE FUNCTION purge_some(p_now timestamptz, p_most int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE me uuid := app_customer(); t regclass; who uuid; n bigint; gone bigint := 0; blank text;
BEGIN
  PERFORM FROM customers WHERE id = me AND purge_at <= p_now AND purged_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'this customer is not to be purged'; END IF;
  -- People first, while the fence still shows them. Whoever makes one of them a member elsewhere waits for the row, and finds it or not.
  FOR who IN SELECT id FROM users ORDER BY id FOR UPDATE LOOP
    CONTINUE WHEN EXISTS (SELECT FROM lookup.memberships(who) AS c WHERE c <> me);
    DELETE FROM users WHERE id = who;
    gone := gone + 1;
  END LOOP;
  FOR t IN SELECT c.oid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'customer_id' AND NOT a.attisdropped
    WHERE c.relkind IN ('r','p') AND NOT c.relispartition AND c.relnamespace IN ('public'::regnamespace, to_regnamespace('archive'))
      AND c.relname !~ '^audit_(heads|anchors|logs(_[0-9]{6})?)$' ORDER BY c.relname
  LOOP
    EXIT WHEN gone >= p_most;
    EXECUTE format('DELETE FROM %s WHERE customer_id = $1 AND ctid = ANY (ARRAY(SELECT ctid FROM %s WHERE customer_id = $1 LIMIT $2))', t, t) USING me, p_most - gone;
    GET DIAGNOSTICS n = ROW_COUNT;
    gone := gone + n;
  END LOOP;
  SET CONSTRAINTS ALL IMMEDIATE; -- what triggers count, they count as this function, not as its caller at the commit
  IF gone > 0 THEN RETURN gone; END IF;
  SELECT string_agg(format('%I = %s', attname, CASE attname WHEN 'data_key' THEN '''''' ELSE 'DEFAULT' END), ', ') INTO blank FROM pg_attribute
  WHERE attrelid = 'customers'::regclass AND attnum > 0 AND NOT attisdropped
    AND attname NOT IN ('id','created_at','suspended_at','deleted_at','purge_at','purged_at','plan_version');
  EXECUTE format('UPDATE customers SET purged_at = $1, %s WHERE id = $2', blank) USING p_now, me;
  RETURN 0;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION purge_some(timestamptz, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION purge_some(timestamptz, int) TO mailsweep_scheduler;

-- What Google tells of an account concerns each customer that has its mailbox, unless that was consented to anew since.
ALTER TABLE mailboxes ADD COLUMN consented_at timestamptz;
COMMENT ON COLUMN mailboxes.consented_at IS 'when the consent in force was given; null: before this was written down';
CREATE POLICY lookup ON mailboxes FOR SELECT TO mailsweep_lookup USING (true);
GRANT SELECT (customer_id, id, account, state) ON mailboxes TO mailsweep_lookup;
GRANT SELECT (id) ON security_events TO mailsweep_app;
SET LOCAL ROLE mailsweep_lookup;
-- +goose StatementBegin
CREATE FUNCTION lookup.mailboxes_of(p_account bytea) RETURNS TABLE (customer_id uuid, mailbox_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT customer_id, id FROM mailboxes WHERE account = p_account AND state <> 'disconnected' ORDER BY customer_id
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION lookup.mailboxes_of(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup.mailboxes_of(bytea) TO mailsweep_app;
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_lookup;
DROP FUNCTION lookup.mailboxes_of(bytea);
RESET ROLE;
REVOKE SELECT (id) ON security_events FROM mailsweep_app;
REVOKE SELECT (customer_id, id, account, state) ON mailboxes FROM mailsweep_lookup;
DROP POLICY lookup ON mailboxes;
ALTER TABLE mailboxes DROP COLUMN consented_at;
DROP FUNCTION purge_some(timestamptz, int);
SET LOCAL ROLE mailsweep_lookup;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION lookup.user_by_email(p_email text) RETURNS TABLE (customer_id uuid, user_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT m.customer_id, u.id FROM users u JOIN members m ON m.user_id = u.id WHERE u.email = p_email ORDER BY m.created_at LIMIT 1
$$;
CREATE OR REPLACE FUNCTION lookup.google_identity(p_subject bytea) RETURNS TABLE (customer_id uuid, user_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT m.customer_id, u.id FROM users u JOIN members m ON m.user_id = u.id WHERE u.google_subject = p_subject ORDER BY m.created_at, m.customer_id LIMIT 1
$$;
CREATE OR REPLACE FUNCTION lookup.memberships(p_user uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT customer_id FROM members WHERE user_id = p_user ORDER BY created_at, customer_id
$$;
-- +goose StatementEnd
RESET ROLE;
REVOKE SELECT (id, deleted_at) ON customers FROM mailsweep_lookup;
DROP POLICY lookup ON customers;
SET LOCAL ROLE mailsweep_system;
DROP FUNCTION sys.purges_due(timestamptz, int), sys.forget_accounts(timestamptz);
RESET ROLE;
REVOKE DELETE ON google_accounts FROM mailsweep_system;
DROP INDEX mailboxes_account;
ALTER TABLE google_accounts DROP COLUMN idle_since;
DROP INDEX customers_to_purge;
ALTER TABLE customers DROP COLUMN deleted_at, DROP COLUMN purge_at, DROP COLUMN purged_at;
