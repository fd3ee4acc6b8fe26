-- +goose Up

-- Work across tenants, each piece a named SECURITY DEFINER function that returns ids and nothing else. Their owners cannot log in.
-- mailsweep_system moves jobs and posts; mailsweep_lookup finds the tenant of a secret that only its holder knows.

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['jobs','outbox','mailboxes','customers','google_accounts'] LOOP
    EXECUTE format('CREATE POLICY system ON %I TO mailsweep_system USING (true) WITH CHECK (true)', t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['users','members','email_tokens','sessions','oauth_states'] LOOP
    EXECUTE format('CREATE POLICY lookup ON %I FOR SELECT TO mailsweep_lookup USING (true)', t);
  END LOOP;
END $$;
-- +goose StatementEnd

GRANT SELECT (customer_id, id, account, kind, state, rank, vt, epoch, barren, lease_until, run_at, dispatched_at, request_id, traceparent, version, created_at),
      UPDATE (state, epoch, barren, dispatched_at, run_at, version) ON jobs TO mailsweep_system;
GRANT SELECT (customer_id, id, kind, state, epoch, attempts, run_at, request_id), UPDATE (state, epoch, run_at, attempts) ON outbox TO mailsweep_system;
GRANT SELECT (customer_id, id, state, account, disconnected_at, revoked_at) ON mailboxes TO mailsweep_system;
GRANT SELECT (id, trial_ends_at, plan, suspended_at, created_at) ON customers TO mailsweep_system;
GRANT SELECT, INSERT, UPDATE ON google_accounts TO mailsweep_system;
GRANT SELECT, UPDATE ON dispatch_clock TO mailsweep_system;
GRANT SELECT ON halts TO mailsweep_system;
GRANT SELECT (id, email) ON users TO mailsweep_lookup;
GRANT SELECT (customer_id, user_id, created_at) ON members TO mailsweep_lookup;
GRANT SELECT (customer_id, id, kind, hash) ON email_tokens TO mailsweep_lookup;
GRANT SELECT (customer_id, id, hash) ON sessions TO mailsweep_lookup;
GRANT SELECT (customer_id, hash) ON oauth_states TO mailsweep_lookup;

SET LOCAL ROLE mailsweep_system;

-- Takes the next jobs of the ranks p_low..p_high by virtual time until p_window of them are in flight. A writing job needs its
-- Google account's lane, which it takes here; of several for one account the lowest rank goes first, but a job that comes back to the
-- queue with its lane (a dead lease, a wait) goes on before any other: nobody else can.
-- +goose StatementBegin
CREATE FUNCTION sys.dispatch(p_low int, p_high int, p_window int)
RETURNS TABLE (customer_id uuid, job_id uuid, epoch int, kind text, request_id text, traceparent text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH room AS (
    SELECT greatest(0, p_window - count(*)) AS n FROM jobs WHERE state IN ('dispatched','running') AND rank BETWEEN p_low AND p_high
  ), c AS MATERIALIZED (
    SELECT j.customer_id, j.id, j.account, j.rank, j.vt FROM jobs j
    WHERE j.state IN ('queued','waiting') AND j.run_at <= clock_timestamp() AND j.rank BETWEEN p_low AND p_high
      AND (j.rank > 1 OR EXISTS (
        SELECT FROM google_accounts g WHERE g.account = j.account AND (g.active_job_id = j.id OR g.active_job_id IS NULL
          AND NOT EXISTS (SELECT FROM jobs o WHERE o.account = j.account AND o.rank <= 1 AND o.state IN ('queued','waiting')
                          AND o.run_at <= clock_timestamp() AND (o.rank, o.vt, o.id) < (j.rank, j.vt, j.id)))))
    ORDER BY j.vt, j.id LIMIT (SELECT n FROM room) FOR UPDATE OF j SKIP LOCKED
  ), lane AS (
    UPDATE google_accounts g SET active_job_id = c.id FROM c
    WHERE c.rank <= 1 AND g.account = c.account AND (g.active_job_id IS NULL OR g.active_job_id = c.id) RETURNING c.id
  ), clock AS (
    UPDATE dispatch_clock SET vt = greatest(vt, (SELECT max(c.vt) FROM c)) WHERE (SELECT max(c.vt) FROM c) > vt
  )
  UPDATE jobs j SET state = 'dispatched', epoch = j.epoch + 1, dispatched_at = clock_timestamp(), version = j.version + 1
  FROM c WHERE j.customer_id = c.customer_id AND j.id = c.id AND (c.rank > 1 OR c.id IN (SELECT id FROM lane))
  RETURNING j.customer_id, j.id, j.epoch, j.kind, j.request_id, j.traceparent
$$;

-- Jobs handed to Redis longer than p_seconds ago that no worker has claimed: the caller asks Redis about each.
CREATE FUNCTION sys.unclaimed(p_seconds double precision)
RETURNS TABLE (customer_id uuid, job_id uuid, epoch int, kind text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT customer_id, id, epoch, kind FROM jobs
  WHERE state = 'dispatched' AND dispatched_at < clock_timestamp() - make_interval(secs => p_seconds) LIMIT 1000
$$;

-- Gives a dispatched job whose task is lost back to the dispatcher; false if it has moved on meanwhile.
CREATE FUNCTION sys.requeue(p_customer uuid, p_job uuid, p_epoch int) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH u AS (
    UPDATE jobs SET state = 'queued', run_at = clock_timestamp(), version = version + 1
    WHERE customer_id = p_customer AND id = p_job AND epoch = p_epoch AND state = 'dispatched' RETURNING 1
  ) SELECT EXISTS (SELECT FROM u)
$$;

-- Jobs whose lease died go back to the queue; those that died p_poison times in a row without a batch are returned with poison =
-- true and left for the caller to fail, because failing releases a reservation inside the tenant.
CREATE FUNCTION sys.dead_leases(p_poison int)
RETURNS TABLE (customer_id uuid, job_id uuid, poison boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH dead AS MATERIALIZED (
    SELECT j.customer_id, j.id, j.barren + 1 >= p_poison AS poison FROM jobs j
    WHERE j.state = 'running' AND j.lease_until < clock_timestamp() LIMIT 500 FOR UPDATE SKIP LOCKED
  ), u AS (
    UPDATE jobs j SET state = CASE WHEN d.poison THEN j.state ELSE 'queued' END, run_at = clock_timestamp(), version = j.version + 1,
           barren = CASE WHEN d.poison THEN j.barren ELSE j.barren + 1 END
    FROM dead d WHERE j.customer_id = d.customer_id AND j.id = d.id RETURNING j.customer_id, j.id, d.poison
  ) SELECT * FROM u
$$;

-- Lanes held by jobs that are over.
CREATE FUNCTION sys.free_lanes() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH u AS (
    UPDATE google_accounts g SET active_job_id = NULL
    WHERE g.active_job_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = g.active_job_id AND j.state NOT IN ('succeeded','failed','canceled')) RETURNING 1
  ) SELECT count(*) FROM u
$$;

CREATE FUNCTION sys.release_lane(p_account bytea, p_job uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  UPDATE google_accounts SET active_job_id = NULL WHERE account = p_account AND active_job_id = p_job
$$;

-- Makes the Google account known. Returns true when another customer already used a trial with it; else the trial is noted as
-- p_customer's if p_trial.
CREATE FUNCTION sys.know_account(p_account bytea, p_customer uuid, p_trial boolean, p_now timestamptz) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  INSERT INTO google_accounts AS g (account, created_at, trial_used_at, trial_customer)
  VALUES (p_account, p_now, CASE WHEN p_trial THEN p_now END, CASE WHEN p_trial THEN p_customer END)
  ON CONFLICT (account) DO UPDATE SET
    trial_used_at = coalesce(g.trial_used_at, excluded.trial_used_at), trial_customer = coalesce(g.trial_customer, excluded.trial_customer)
  RETURNING g.trial_customer IS NOT NULL AND g.trial_customer <> p_customer
$$;

-- Posts that are due. Each is handed out again after a minute until it is marked done.
CREATE FUNCTION sys.outbox_due(p_n int)
RETURNS TABLE (customer_id uuid, post_id uuid, epoch int, kind text, request_id text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH c AS MATERIALIZED (
    SELECT o.customer_id, o.id FROM outbox o WHERE o.state IN ('queued','dispatched') AND o.run_at <= clock_timestamp()
    ORDER BY o.run_at LIMIT p_n FOR UPDATE SKIP LOCKED
  )
  UPDATE outbox o SET state = 'dispatched', epoch = o.epoch + 1, run_at = clock_timestamp() + interval '1 minute'
  FROM c WHERE o.customer_id = c.customer_id AND o.id = c.id RETURNING o.customer_id, o.id, o.epoch, o.kind, o.request_id
$$;

CREATE FUNCTION sys.customers_after(p_after uuid, p_n int) RETURNS SETOF uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT id FROM customers WHERE id > p_after ORDER BY id LIMIT p_n
$$;

-- Customers whose trial ends in [p_from, p_to).
CREATE FUNCTION sys.trials_ending(p_from timestamptz, p_to timestamptz) RETURNS SETOF uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT id FROM customers WHERE trial_ends_at >= p_from AND trial_ends_at < p_to
$$;

CREATE FUNCTION sys.mailboxes_to_revoke(p_n int) RETURNS TABLE (customer_id uuid, mailbox_id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT customer_id, id FROM mailboxes WHERE state = 'disconnected' AND revoked_at IS NULL LIMIT p_n
$$;

CREATE FUNCTION sys.job_counts() RETURNS TABLE (kind text, state text, n bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT kind, state, count(*) FROM jobs WHERE state NOT IN ('succeeded','failed','canceled') GROUP BY 1, 2
$$;
-- +goose StatementEnd

RESET ROLE;
SET LOCAL ROLE mailsweep_lookup;

-- +goose StatementBegin
CREATE FUNCTION lookup.user_by_email(p_email text) RETURNS TABLE (customer_id uuid, user_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT m.customer_id, u.id FROM users u JOIN members m ON m.user_id = u.id WHERE u.email = p_email ORDER BY m.created_at LIMIT 1
$$;
CREATE FUNCTION lookup.email_token(p_hash bytea, p_kind text) RETURNS TABLE (customer_id uuid, token_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT customer_id, id FROM email_tokens WHERE hash = p_hash AND kind = p_kind
$$;
CREATE FUNCTION lookup.session(p_hash bytea) RETURNS TABLE (customer_id uuid, session_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT customer_id, id FROM sessions WHERE hash = p_hash
$$;
CREATE FUNCTION lookup.oauth_state(p_hash bytea) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT customer_id FROM oauth_states WHERE hash = p_hash
$$;
-- +goose StatementEnd

RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_lookup;
DROP FUNCTION lookup.user_by_email, lookup.email_token, lookup.session, lookup.oauth_state;
RESET ROLE;
SET LOCAL ROLE mailsweep_system;
DROP FUNCTION sys.dispatch, sys.unclaimed, sys.requeue, sys.dead_leases, sys.free_lanes, sys.release_lane, sys.know_account, sys.outbox_due,
  sys.customers_after, sys.trials_ending, sys.mailboxes_to_revoke, sys.job_counts;
RESET ROLE;
-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['jobs','outbox','mailboxes','customers','google_accounts'] LOOP
    EXECUTE format('DROP POLICY system ON %I', t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['users','members','email_tokens','sessions','oauth_states'] LOOP
    EXECUTE format('DROP POLICY lookup ON %I', t);
  END LOOP;
END $$;
-- +goose StatementEnd
