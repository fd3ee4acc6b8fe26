-- +goose Up

-- Functions are not for everybody.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app_customer(), uuid_floor(timestamptz) TO mailsweep_app, mailsweep_worker, mailsweep_scheduler, mailsweep_ops, mailsweep_system, mailsweep_lookup;
GRANT EXECUTE ON FUNCTION audit(uuid, uuid, timestamptz, text, text, text, text, bytea, jsonb) TO mailsweep_app, mailsweep_worker, mailsweep_scheduler;
GRANT EXECUTE ON FUNCTION ensure_partitions(date, int), detach_partition(text, date) TO mailsweep_scheduler;

SET LOCAL ROLE mailsweep_system;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA sys FROM PUBLIC;
GRANT USAGE ON SCHEMA sys TO mailsweep_app, mailsweep_worker, mailsweep_scheduler, mailsweep_ops;
GRANT EXECUTE ON FUNCTION sys.dispatch(int, int, int), sys.unclaimed(double precision), sys.requeue(uuid, uuid, int), sys.dead_leases(int), sys.free_lanes(),
  sys.outbox_due(int), sys.job_counts() TO mailsweep_app, mailsweep_scheduler;
GRANT EXECUTE ON FUNCTION sys.release_lane(bytea, uuid) TO mailsweep_app, mailsweep_worker, mailsweep_scheduler;
GRANT EXECUTE ON FUNCTION sys.know_account(bytea, uuid, boolean, timestamptz) TO mailsweep_app;
GRANT EXECUTE ON FUNCTION sys.customers_after(uuid, int), sys.trials_ending(timestamptz, timestamptz) TO mailsweep_scheduler;
GRANT EXECUTE ON FUNCTION sys.mailboxes_to_revoke(int) TO mailsweep_worker;
GRANT EXECUTE ON FUNCTION sys.job_counts() TO mailsweep_worker, mailsweep_ops;
RESET ROLE;
SET LOCAL ROLE mailsweep_lookup;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA lookup FROM PUBLIC;
GRANT USAGE ON SCHEMA lookup TO mailsweep_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA lookup TO mailsweep_app;
RESET ROLE;

-- The schema's version may be read by whoever checks it at start. (goose's table is not a tenant's.)
GRANT SELECT ON goose_db_version TO mailsweep_app, mailsweep_worker, mailsweep_scheduler, mailsweep_ops;

-- The API: signs up and in, connects, submits, reads. It writes sealed tokens and cannot read them.
GRANT SELECT ON plan_quotas, halts, dispatch_clock, mailbox_indexes, batches, usage_ledger, cleanup_plans, cleanup_runs, audit_logs TO mailsweep_app;
GRANT SELECT, INSERT, UPDATE ON customers, users, email_tokens, sessions, mailboxes, usage_tracking, jobs, audit_heads TO mailsweep_app;
GRANT SELECT, INSERT ON members, notices, outbox TO mailsweep_app;
GRANT SELECT, INSERT, DELETE ON keep_list TO mailsweep_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys, oauth_states TO mailsweep_app;
GRANT INSERT (customer_id, id, mailbox_id, sealed, created_at) ON oauth_tokens TO mailsweep_app;
GRANT UPDATE (state, finished_at) ON cleanup_runs TO mailsweep_app; -- canceling a run that was handed back
GRANT INSERT ON audit_logs, security_events TO mailsweep_app;

-- The worker: the only one that reads tokens.
GRANT SELECT ON plan_quotas, halts, customers, members, keep_list, audit_logs TO mailsweep_worker;
GRANT SELECT (id, email, name) ON users TO mailsweep_worker; -- no password
GRANT SELECT, INSERT ON notices, usage_ledger TO mailsweep_worker;
GRANT SELECT, DELETE ON oauth_tokens TO mailsweep_worker;
GRANT SELECT, UPDATE ON mailboxes, jobs TO mailsweep_worker;
GRANT SELECT, INSERT, UPDATE ON usage_tracking, batches, cleanup_plans, cleanup_runs, outbox, audit_heads TO mailsweep_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON mailbox_indexes TO mailsweep_worker;
GRANT INSERT ON audit_logs, security_events TO mailsweep_worker;

-- The scheduler: turns periods over, ends trials, sweeps. No token, no index content.
GRANT SELECT ON plan_quotas, halts, members, usage_ledger, audit_logs, dispatch_clock TO mailsweep_scheduler;
GRANT SELECT, UPDATE ON customers, mailboxes, jobs, cleanup_runs TO mailsweep_scheduler;
GRANT SELECT (customer_id, id, mailbox_id, expires_at, consumed_by, messages, made_at), UPDATE (ids, kept, head), DELETE ON cleanup_plans TO mailsweep_scheduler;
GRANT SELECT (customer_id, job_id, created_at), UPDATE (ids) ON batches TO mailsweep_scheduler;
GRANT SELECT, INSERT ON notices TO mailsweep_scheduler;
GRANT SELECT, INSERT, UPDATE ON usage_tracking, outbox, audit_heads, duties TO mailsweep_scheduler;
GRANT SELECT, DELETE ON idempotency_keys, email_tokens, oauth_states, sessions TO mailsweep_scheduler;
GRANT SELECT (customer_id, mailbox_id, segment, as_of), DELETE ON mailbox_indexes TO mailsweep_scheduler;
GRANT INSERT ON audit_logs, security_events TO mailsweep_scheduler;

-- Ops look; they see no mail, no token, no password.
GRANT SELECT ON plan_quotas, halts, duties, dispatch_clock, security_events TO mailsweep_ops;

-- Partitions to begin with: the month before, for ids made just before midnight, and half a year ahead; the scheduler adds more.
SELECT ensure_partitions((now() AT TIME ZONE 'UTC' - interval '1 month')::date, 8);

-- +goose Down
SELECT 1;
