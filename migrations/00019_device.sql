-- +goose Up

-- How many passwords a person has set: what a device was told under an earlier one says nothing any more.
SET LOCAL lock_timeout = '500ms';
ALTER TABLE users ADD COLUMN password_version int NOT NULL DEFAULT 1;

-- +goose Down
ALTER TABLE users DROP COLUMN password_version;
