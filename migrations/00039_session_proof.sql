-- +goose Up

-- Ending sessions asks for a sign-in of late: the time of the last one goes along where one changes between accounts without another.
SET LOCAL lock_timeout = '500ms';
ALTER TABLE sessions ADD COLUMN proven_at timestamptz;
COMMENT ON COLUMN sessions.proven_at IS 'when its person last showed who they are; null: it began before that was kept';
GRANT SELECT (proven_at) ON sessions TO mailsweep_worker; -- for the file of somebody's own data

-- +goose Down
SET LOCAL lock_timeout = '500ms';
ALTER TABLE sessions DROP COLUMN proven_at;
