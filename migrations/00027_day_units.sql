-- +goose Up

-- What a worker that starts knows of a day's Gmail units when Redis has forgotten it.

GRANT SELECT (units) ON jobs TO mailsweep_system;

SET LOCAL ROLE mailsweep_system;

-- Units that jobs which began since then have spent. What jobs that began before spent since then is not known and not counted. A job
-- begins at most two days after it was made, but for those that lay in wait: they are few.
-- +goose StatementBegin
CREATE FUNCTION sys.units_since(p_since timestamptz) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT coalesce(sum(j.units), 0)::bigint FROM jobs j WHERE j.id >= uuid_floor(p_since - interval '2 days') AND j.started_at >= p_since
$$;
-- +goose StatementEnd

REVOKE EXECUTE ON FUNCTION sys.units_since(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sys.units_since(timestamptz) TO mailsweep_worker;
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_system;
DROP FUNCTION sys.units_since;
RESET ROLE;
REVOKE SELECT (units) ON jobs FROM mailsweep_system;
