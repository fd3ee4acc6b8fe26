-- +goose Up

SET LOCAL lock_timeout = '500ms';

ALTER TABLE jobs ADD COLUMN away_since timestamptz;
COMMENT ON COLUMN jobs.away_since IS 'the first claim of those in a row whose calls Gmail did not answer';

-- +goose Down
ALTER TABLE jobs DROP COLUMN away_since;
