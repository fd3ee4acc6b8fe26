package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// bytesOf says what each column of bytes holds. What is sealed is moved about by the tests of who seals it: account's, cleanup's and export's
// TestSealedValuesOpenInTheirOwnPlaceAlone.
var bytesOf = map[string]string{
	"customers.data_key": "sealed", "oauth_tokens.sealed": "sealed", "oauth_states.verifier": "sealed", "oauth_states.granted": "sealed", "second_factors.secret": "sealed", "outbox.data": "sealed",
	"mailboxes.analysis": "sealed", "mailbox_indexes.sealed": "sealed", "jobs.params": "sealed", "jobs.checkpoint": "sealed", "jobs.result": "sealed", "batches.ids": "sealed",
	"cleanup_plans.head": "sealed", "cleanup_plans.ids": "sealed", "cleanup_plans.kept": "sealed", "idempotency_keys.answer": "sealed", "export_parts.sealed": "sealed",

	"email_tokens.hash": "hash of a token", "sessions.hash": "hash of a token", "oauth_states.hash": "hash of a token", "login_challenges.hash": "hash of a token", "api_keys.hash": "hash of a key",
	"invitations.hash": "hash of a token", "google_sign_ins.ticket": "hash of a token", "google_sign_ins.state": "hash of a token", "google_sign_ins.nonce": "hash of a token",
	"google_sign_ins.subject": "keyed hash", "google_sign_ins.address": "keyed hash", "users.google_subject": "keyed hash",
	"recovery_codes.hash": "salted hash of a code", "second_factors.salt": "salt", "idempotency_keys.request_hash": "hash of a request",
	"sessions.address_hash": "keyed hash", "security_events.address_hash": "keyed hash", "audit_logs.address_hash": "keyed hash",
	"google_accounts.account": "keyed hash", "trial_addresses.address": "keyed hash", "mailboxes.account": "keyed hash", "oauth_states.account": "keyed hash", "jobs.account": "keyed hash", "cleanup_plans.account": "keyed hash",
	"audit_heads.hash": "chain", "audit_logs.prev_hash": "chain", "audit_logs.hash": "chain", "audit_anchors.hash": "chain", "ops_log.prev_hash": "chain", "ops_log.hash": "chain",
}

// ENC-1: a new column of bytes has to say what it holds, and if that is sealed, has to be moved about.
func TestEveryColumnOfBytesIsKnown(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	rows, err := y.conn.Query(t.Context(), `SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE a.atttypid = 'bytea'::regtype AND NOT a.attisdropped AND c.relkind IN ('r','p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace`)
	require.NoError(t, err)
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	known := make([]string, 0, len(bytesOf))
	for column := range bytesOf {
		known = append(known, column)
	}
	require.ElementsMatch(t, known, columns)
}

// Which key sealed a value is told alike by the database and by what sealed it; anything else bears none and is no error.
func TestTheDatabaseReadsTheKeyOfASealedValue(t *testing.T) { // ENC-2
	t.Parallel()
	y := newYard(t)
	for _, c := range []struct {
		function string
		sealed   []byte
		key      any
	}{
		{"sealed_by", []byte{1, 0x12, 0x34, 0x56, 0x78, 9}, int64(0x12345678)}, {"sealed_by", []byte{1, 0xff, 0xfe, 0xfd, 0xfc}, int64(0xfffefdfc)},
		{"sealed_by", nil, nil}, {"sealed_by", []byte{}, nil}, {"sealed_by", []byte{1, 2, 3, 4}, nil}, {"sealed_by", []byte{0, 1, 2, 3, 4, 5}, nil},
		{"wrapped_by", []byte{18, 100, 1, 0, 0, 0, 7, 9, 9}, int64(7)}, {"wrapped_by", []byte{18, 200, 1, 1, 0, 0, 0, 7, 9}, int64(7)},
		{"wrapped_by", nil, nil}, {"wrapped_by", []byte{}, nil}, {"wrapped_by", []byte{18, 200, 1, 1, 0, 0, 0}, nil}, {"wrapped_by", []byte{10, 100, 1, 0, 0, 0, 7, 9, 9}, nil},
	} {
		var key any
		require.NoError(t, y.conn.QueryRow(t.Context(), "SELECT "+c.function+"($1)", c.sealed).Scan(&key))
		require.Equal(t, c.key, key, "%s %x", c.function, c.sealed)
	}
}
