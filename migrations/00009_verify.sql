-- +goose Up

-- `scheduler jobs verify` compares a job with its batches: their numbers and states, never the ids in flight.
GRANT SELECT (n, state, asked) ON batches TO mailsweep_scheduler;

-- +goose Down
REVOKE SELECT (n, state, asked) ON batches FROM mailsweep_scheduler;
