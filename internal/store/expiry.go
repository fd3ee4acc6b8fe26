package store

import (
	"fmt"
	"time"
)

const day = 24 * time.Hour

// How long what a customer left behind is kept after it has lost its use. Undo reaches back 30 days; the days beyond are for an undo
// that was asked for on the last of them and is still waiting. Until a plan is emptied, a run that was admitted before its expiry goes by it.
const (
	keptPlan     = 30 * day // after its expiry
	keptUndo     = 35 * day
	keptJob      = 30 * day // params, checkpoint and result, after its end
	keptSession  = 30 * day
	keptIndex    = 30 * day // after disconnecting
	keptIdle     = 45 * day // an index that no job has refreshed
	keptAnswer   = day      // of an idempotency key
	keptToken    = 7 * day
	keptConsent  = day
	keptExport   = 7 * day   // that there was one; its content goes when it cannot be fetched any more
	keptUnused   = 400 * day // a cleanup plan that came to nothing, a notice
	longestSince = 400 * day // a first clearing looks back as far as partitions are kept
)

// Expire empties or deletes what the transaction's customer no longer needs: sealed sets of old cleanup plans and runs, sealed
// parameters and results of old jobs, plans that came to nothing, indexes of disconnected or idle mailboxes, answers to idempotency keys, spent tokens, old
// sessions. since is when that was last done: rows that were emptied then are not written again. It says how many rows it touched.
func (tx *Tx) Expire(since time.Time) (rows int64, err error) {
	if since.IsZero() || tx.Now.Sub(since) > longestSince {
		since = tx.Now.Add(-longestSince)
	}
	me, before := dbID(tx.Customer), func(kept time.Duration) time.Time { return tx.Now.Add(-kept) }
	// an overlap of a day: two schedulers' clocks and long transactions leave no gap
	from := func(kept time.Duration) time.Time { return since.Add(-kept - day) }
	for _, s := range []struct {
		what, query string
		args        []any
	}{
		{"plans", "UPDATE cleanup_plans SET ids = '', kept = '', head = '' WHERE customer_id = ? AND expires_at < ? AND expires_at >= ?", []any{me, before(keptPlan), from(keptPlan)}},
		{"unused plans", `DELETE FROM cleanup_plans p WHERE customer_id = ? AND expires_at < ? AND consumed_by IS NULL
			AND NOT EXISTS (SELECT FROM cleanup_runs r WHERE r.customer_id = p.customer_id AND r.plan_id = p.id)`, []any{me, before(keptUnused)}},
		{"notices", "DELETE FROM notices WHERE customer_id = ? AND created_at < ?", []any{me, before(keptUnused)}},
		{"undo sets", "UPDATE batches SET ids = NULL WHERE customer_id = ? AND created_at < ? AND created_at >= ?", []any{me, before(keptUndo), from(keptUndo)}},
		{"jobs", `UPDATE jobs SET params = NULL, checkpoint = NULL, result = NULL WHERE customer_id = ? AND finished_at < ?
			AND (params IS NOT NULL OR checkpoint IS NOT NULL OR result IS NOT NULL)`, []any{me, before(keptJob)}},
		{"indexes", `DELETE FROM mailbox_indexes i USING mailboxes m WHERE i.customer_id = ? AND m.customer_id = i.customer_id AND m.id = i.mailbox_id
			AND (m.disconnected_at < ? OR i.as_of < ?)`, []any{me, before(keptIndex), before(keptIdle)}},
		{"analyses", "UPDATE mailboxes SET analysis = NULL, analysis_as_of = NULL WHERE customer_id = ? AND disconnected_at < ? AND analysis IS NOT NULL", []any{me, before(keptIndex)}},
		{"idempotency keys", "DELETE FROM idempotency_keys WHERE customer_id = ? AND created_at < ?", []any{me, before(keptAnswer)}},
		{"mail tokens", "DELETE FROM email_tokens WHERE customer_id = ? AND expires_at < ?", []any{me, before(keptToken)}},
		{"challenges", "DELETE FROM login_challenges WHERE customer_id = ? AND expires_at < ?", []any{me, before(keptToken)}},
		{"invitations", "DELETE FROM invitations WHERE customer_id = ? AND expires_at < ?", []any{me, before(keptToken)}},
		{"consents", "DELETE FROM oauth_states WHERE customer_id = ? AND expires_at < ? AND granted IS NULL", []any{me, before(keptConsent)}},
		{"exports", "DELETE FROM exports WHERE customer_id = ? AND created_at < ?", []any{me, before(keptExport)}},
		{"contents of exports", `DELETE FROM export_parts p WHERE customer_id = ?
			AND NOT EXISTS (SELECT FROM exports e WHERE e.customer_id = p.customer_id AND e.id = p.export_id AND e.expires_at > ?)`, []any{me, tx.Now}},
		{"sessions", "DELETE FROM sessions WHERE customer_id = ? AND (expires_at < ? OR ended_at < ?)", []any{me, before(keptSession), before(keptSession)}},
	} {
		done := tx.Exec(s.query, s.args...)
		if done.Error != nil {
			return rows, fmt.Errorf("expire %s: %w", s.what, done.Error)
		}
		rows += done.RowsAffected
	}
	return rows, nil
}
