-- +goose Up

-- From where an account may be used at all, by people and by keys.
SET LOCAL lock_timeout = '500ms';
ALTER TABLE customers ADD COLUMN ip_allowlist text NOT NULL DEFAULT '';
COMMENT ON COLUMN customers.ip_allowlist IS 'prefixes joined by commas, in force while the plan carries it; empty: from everywhere';

-- +goose Down
ALTER TABLE customers DROP COLUMN ip_allowlist;
