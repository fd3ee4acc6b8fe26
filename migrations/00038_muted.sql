-- +goose Up

-- Which mails a person does not want of a customer. Who sends mail reads it; the scheduler, which sends none, does not.
SET LOCAL lock_timeout = '500ms';
ALTER TABLE members ADD COLUMN muted text[] NOT NULL DEFAULT '{}'
  CHECK (muted <@ ARRAY['quota_warning','quota_fresh','trial_ending','needs_reconnect']);
COMMENT ON COLUMN members.muted IS 'kinds of mail that this person turned off here; all others always come';
GRANT UPDATE (muted) ON members TO mailsweep_app;
REVOKE SELECT ON members FROM mailsweep_scheduler;
GRANT SELECT (customer_id, user_id, role, created_at) ON members TO mailsweep_scheduler;

-- +goose Down
SET LOCAL lock_timeout = '500ms';
REVOKE SELECT (customer_id, user_id, role, created_at) ON members FROM mailsweep_scheduler;
GRANT SELECT ON members TO mailsweep_scheduler;
REVOKE UPDATE (muted) ON members FROM mailsweep_app;
ALTER TABLE members DROP COLUMN muted;
