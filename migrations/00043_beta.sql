-- +goose Up

-- A closed test takes so many customers and no more.
SET LOCAL lock_timeout = '500ms';
SET LOCAL ROLE mailsweep_lookup;
-- +goose StatementBegin
-- How many customers there are whose address was proven and who did not delete themselves.
CREATE FUNCTION lookup.proven_customers() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT count(*) FROM customers c WHERE c.deleted_at IS NULL
    AND EXISTS (SELECT FROM members m JOIN users u ON u.id = m.user_id WHERE m.customer_id = c.id AND u.verified_at IS NOT NULL)
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION lookup.proven_customers() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup.proven_customers() TO mailsweep_app;
RESET ROLE;

-- +goose Down
SET LOCAL lock_timeout = '500ms';
SET LOCAL ROLE mailsweep_lookup;
DROP FUNCTION lookup.proven_customers();
RESET ROLE;
