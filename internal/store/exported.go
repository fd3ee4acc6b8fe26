package store

import "mailsweep/internal/sweep"

// Exported is a table as an export tells it. A column that is not among those of its rows is in Left, with the reason: a test asks the catalogue.
type Exported struct {
	Table  string
	Left   map[string]string
	Sealed []string // columns whose values are sealed with the customer's data key
	kinds  map[string]sweep.Kind
	query  string
}

// Why a column or a table is left out of an export.
const (
	isSecret  = "a secret, a hash or a seal of one: it would open something"
	isHash    = "a keyed hash, which says nothing to anybody but us"
	isCounter = "a counter by which what was ended is told from what is in force"
	isPacing  = "how we order, pace and lock our work: it says nothing about the customer"
	isLeaving = "of who is leaving: there is no export then"
	isBriefly = "gone within a day; what it led to is told elsewhere"
)

// ExportedTables lists everything that an export tells, in the order of its files. Each query is of the transaction's customer alone.
func ExportedTables() []Exported {
	return []Exported{
		{Table: "customers", kinds: kindsOf("id", sweep.CustomerID), Left: leaving(isSecret, "data_key").and(isPacing, "vt", "plan_version", "stripe_generation", "stripe_looks", "stripe_look").and(isLeaving, "deleted_at", "purge_at", "purged_at"),
			query: `SELECT id, name, plan, plan_past_due_at, plan_ends_at, granted_plan, granted_until, trial_ends_at, stripe_customer_id, stripe_gone, suspended_at, created_at, executes_on, executes, require_2fa, ip_allowlist
				FROM customers WHERE id = app_customer()`},
		{Table: "users", kinds: kindsOf("id", sweep.UserID), Left: leaving(isSecret, "password").and(isCounter, "token_version", "password_version").and(isHash, "google_subject"),
			query: `SELECT u.id, u.email, u.name, u.verified_at, u.last_login_at, u.failures, u.created_at FROM users u JOIN members m ON m.user_id = u.id WHERE m.customer_id = app_customer() ORDER BY u.id`},
		{Table: "members", query: "SELECT user_id, role, created_at, array_to_json(muted) AS muted FROM members WHERE customer_id = app_customer() ORDER BY user_id"},
		{Table: "invitations", kinds: kindsOf("id", sweep.InvitationID), Left: leaving(isSecret, "hash"),
			query: "SELECT id, email, role, invited_by, expires_at, created_at FROM invitations WHERE customer_id = app_customer() ORDER BY id"},
		{Table: "email_tokens", Left: leaving(isSecret, "hash"), query: "SELECT id, user_id, kind, email, expires_at, used_at, created_at FROM email_tokens WHERE customer_id = app_customer() ORDER BY id"},
		{Table: "sessions", kinds: kindsOf("id", sweep.SessionID), Left: leaving(isSecret, "hash").and(isCounter, "token_version").and(isHash, "address_hash"),
			query: "SELECT id, user_id, device, second_factor, created_at, proven_at, seen_at, expires_at, ended_at FROM sessions WHERE customer_id = app_customer() ORDER BY id"},
		{Table: "second_factors", Left: leaving(isSecret, "secret", "salt").and(isCounter, "last_step"), query: "SELECT user_id, on_at, created_at FROM second_factors WHERE customer_id = app_customer() ORDER BY user_id"},
		{Table: "api_keys", kinds: kindsOf("id", sweep.KeyID), Left: leaving(isSecret, "hash"),
			query: "SELECT id, user_id, name, id8, scopes, networks, created_at, expires_at, revoked_at, last_used_at, flagged_at FROM api_keys WHERE customer_id = app_customer() ORDER BY id"},
		{Table: "keep_list", query: "SELECT entry, created_at FROM keep_list WHERE customer_id = app_customer() ORDER BY entry"},
		{Table: "mailboxes", kinds: kindsOf("id", sweep.MailboxID), Left: leaving(isHash, "account"), Sealed: []string{"analysis"},
			query: `SELECT id, email, state, generation, array_to_json(scopes) AS scopes, array_to_json(labels_made) AS labels_made, analysis, analysis_as_of, connected_at, consented_at, disconnected_at, revoked_at
				FROM mailboxes WHERE customer_id = app_customer() ORDER BY id`},
		{Table: "oauth_states", Left: leaving(isSecret, "hash", "verifier", "granted").and(isHash, "account"),
			query: "SELECT user_id, mailbox_id, email, array_to_json(scopes) AS scopes, error, expires_at, used_at FROM oauth_states WHERE customer_id = app_customer() ORDER BY expires_at"},
		{Table: "subscriptions", query: `SELECT stripe_id, status, price_id, tier, every, cents, period_start, period_end, past_due_at, ends_at, ended_at, next_tier, next_every, waits_for_pay, created_at, updated_at
				FROM subscriptions WHERE customer_id = app_customer() ORDER BY created_at, stripe_id`},
		{Table: "billing_intents", query: "SELECT id, kind, target, session, created_at FROM billing_intents WHERE customer_id = app_customer() ORDER BY kind"},
		{Table: "usage_tracking", query: "SELECT period_start, used, reserved, refused_at FROM usage_tracking WHERE customer_id = app_customer() ORDER BY period_start"},
		{Table: "run_totals", query: "SELECT runs, cleaned, restored, bytes FROM run_totals WHERE customer_id = app_customer()"},
		{Table: "jobs", kinds: kindsOf("id", sweep.JobID), Left: leaving(isHash, "account").and(isPacing, "rank", "vt", "epoch", "fence", "barren", "worker", "lease_until", "run_at", "dispatched_at", "version",
			"checkpoint", "traceparent", "trouble", "builds", "away_since"), Sealed: []string{"params", "result"},
			query: `SELECT id, kind, state, mailbox_id, created_at, started_at, finished_at, actor, request_id, plan_id, undo_of, phase, done, total, per_second, units, reserved, settled, period_start, cancel_requested,
				pause_requested, error_code, error_detail, params, result FROM jobs WHERE customer_id = app_customer() ORDER BY id`},
		{Table: "cleanup_plans", kinds: kindsOf("id", sweep.PlanID), Left: leaving(isHash, "account"), Sealed: []string{"head", "ids", "kept"},
			query: `SELECT id, mailbox_id, generation, action, messages, bytes, history_id, made_by, made_at, expires_at, consumed_by, consumed_at, head, ids, kept FROM cleanup_plans WHERE customer_id = app_customer() ORDER BY id`},
		{Table: "cleanup_runs", query: `SELECT job_id, plan_id, mailbox_id, action, state, planned, cleaned, already_gone, skipped, bytes, confirmed, started_at, finished_at, undo_until, undone_by, undo, actor, why, label_id, label_made,
				remainder_id, history_from, history_to FROM cleanup_runs WHERE customer_id = app_customer() ORDER BY job_id`},
		{Table: "batches", Sealed: []string{"ids"}, query: "SELECT job_id, n, state, asked, label_group, created_at, done_at, ids FROM batches WHERE customer_id = app_customer() ORDER BY job_id, n"},
		{Table: "usage_ledger", query: "SELECT job_id, batch_no, kind, emails, period_start, created_at FROM usage_ledger WHERE customer_id = app_customer() ORDER BY job_id, batch_no, kind"},
		{Table: "archived_usage", query: "SELECT period_start, emails FROM archived_usage WHERE customer_id = app_customer() ORDER BY period_start"},
		{Table: "plan_history", query: `SELECT n, at, plan, cents, past_due_at, ends_at, granted_plan, granted_until, trial_ends_at, deleted FROM plan_history
				WHERE customer_id = app_customer() ORDER BY n`},
		{Table: "outbox", Left: leaving(isPacing, "epoch", "run_at").and(isBriefly, "data"),
			query: "SELECT id, user_id, kind, state, attempts, error, request_id, created_at, sent_at FROM outbox WHERE customer_id = app_customer() ORDER BY id"},
		{Table: "notices", query: "SELECT kind, key, created_at FROM notices WHERE customer_id = app_customer() ORDER BY kind, key"},
		{Table: "exports", Left: leaving("of the export itself it is not known yet", "bytes"), query: "SELECT id, user_id, created_at, ready_at, expires_at FROM exports WHERE customer_id = app_customer() ORDER BY id",
			kinds: kindsOf("id", sweep.ExportID)},
		{Table: "audit_anchors", query: "SELECT month, seq, encode(hash, 'hex') AS hash FROM audit_anchors WHERE customer_id = app_customer() ORDER BY month, seq"},
		{Table: "audit_logs", query: `SELECT seq, id, at, actor, action, object, request_id, encode(address_hash, 'hex') AS address_hash, data, form, encode(prev_hash, 'hex') AS prev_hash, encode(hash, 'hex') AS hash,
				convert_from(audit_text(form, seq, customer_id, id, at, actor, action, object, request_id, address_hash, data), 'UTF8') AS hashed FROM audit_logs WHERE customer_id = app_customer() ORDER BY seq`},
	}
}

// NotExported are the tables of customers that an export tells nothing of, and why.
func NotExported() map[string]string {
	return map[string]string{
		"recovery_codes": isSecret, "oauth_tokens": isSecret, "login_challenges": isSecret, "idempotency_keys": isBriefly,
		"open_jobs":       "those of jobs that are open, once more",
		"mailbox_indexes": "told as senders: what else it holds are Gmail's own ids and labels, which Gmail has",
		"export_parts":    "the pieces of exports themselves",
		"audit_heads":     "told in about.json",
	}
}

type left map[string]string

func leaving(why string, columns ...string) left { return left{}.and(why, columns...) }

func (l left) and(why string, columns ...string) left {
	for _, c := range columns {
		l[c] = why
	}
	return l
}

// kindsOf says of which kind the id in a column is; others go by the column's name.
func kindsOf(column string, kind sweep.Kind) map[string]sweep.Kind {
	return map[string]sweep.Kind{column: kind}
}

var namedKinds = map[string]sweep.Kind{"user_id": sweep.UserID, "invited_by": sweep.UserID, "mailbox_id": sweep.MailboxID, "job_id": sweep.JobID, "plan_id": sweep.PlanID, "remainder_id": sweep.PlanID,
	"undo_of": sweep.JobID, "undone_by": sweep.JobID, "made_by": sweep.JobID, "consumed_by": sweep.JobID}
