package store

import (
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// The topics of what is kept, in the order in which people ask.
const (
	ofPeople   = "You and your people"
	ofMail     = "Your mailbox"
	ofWork     = "What was done, and its undo"
	ofPay      = "Plan and payment"
	ofSafety   = "Security"
	forArchive = "moves into an archive that no process of ours reads after 13 months"
)

// KeptTables says of every table that holds something of customers what that is and how long it stays. A test asks the catalogue that none
// is forgotten; the times are those by which Expire and the duties go.
func KeptTables() []sweep.Kept {
	return []sweep.Kept{
		kept("customers", ofPeople, "The account: its name, plan, settings, and its data key, wrapped by a key that is not in the database", ""),
		kept("users", ofPeople, "Your name and e-mail address, your password as a salted and peppered bcrypt hash, your Google account as a keyed hash", ""),
		kept("members", ofPeople, "Who works for the account, in which role, and which mails they turned off", ""),
		kept("invitations", ofPeople, "Whom you invited, by address; the link as a hash", after(keptToken, "they end")),
		kept("email_tokens", ofPeople, "Hashes of the links in our mails", after(keptToken, "they end")),
		kept("outbox", ofPeople, "Mails to you that are on their way: their content is dropped once they are sent; that they were sent stays", forArchive),
		kept("notices", ofPeople, "Which notices you were sent, so that none comes twice", after(keptUnused, "")),
		kept("exports", ofPeople, "That you asked for an export", after(keptExport, "")),
		kept("export_parts", ofPeople, "The export itself, sealed", "until its link ends"),

		kept("mailboxes", ofMail, "The mailbox’s address, the labels that we made, and the last analysis with the numbers of those before it, sealed", "the analysis: "+after(keptIndex, "disconnecting")),
		kept("google_accounts", ofMail, "A keyed hash of the Google account, for one trial each and one run at a time", "24 months after it was last connected"),
		kept("oauth_tokens", ofMail, "Google’s refresh token, sealed so that only the workers can open it", "until you disconnect: it is revoked at Google then"),
		kept("oauth_states", ofMail, "A consent that is under way, sealed", after(keptConsent, "it ends")),
		kept("mailbox_indexes", ofMail, "The index: Gmail’s ids of messages, labels, sizes, dates and who sent them, sealed with your data key. No subjects, no bodies, no attachments", after(keptIndex, "disconnecting")+", or "+days(keptIdle)+" without use"),
		kept("keep_list", ofMail, "Your keep list", ""),

		kept("jobs", ofWork, "Your analyses, previews and runs; what you asked for and what came out is sealed", "what is sealed: "+after(keptJob, "the end")+"; the rest "+forArchive),
		kept("open_jobs", ofWork, "Numbers of the jobs that are open", "until they are over"),
		kept("cleanup_plans", ofWork, "The frozen sets of previews, as Gmail’s ids, sealed", after(keptPlan, "they end")),
		kept("cleanup_runs", ofWork, "What a run did, in numbers", ""),
		kept("run_totals", ofWork, "The sum of your runs, in numbers", ""),
		kept("batches", ofWork, "Which messages each step changed, sealed: what undo goes by", after(keptUndo, "")),
		kept("idempotency_keys", ofWork, "Answers to requests that a program may send again, sealed", after(keptAnswer, "")),

		kept("trial_addresses", ofPay, "A keyed hash of the address that had the trial, for one trial each", "24 months after the account is removed"),
		kept("usage_tracking", ofPay, "How many messages were cleaned in each month", ""),
		kept("usage_ledger", ofPay, "The same, step by step", forArchive),
		kept("archived_usage", ofPay, "The sums of what was archived", ""),
		kept("plan_history", ofPay, "When which plan was in force", ""),
		kept("subscriptions", ofPay, "Your subscription at Stripe. We never see a card", ""),
		kept("billing_intents", ofPay, "A purchase that is under way", "until it is done"),
		kept("stripe_events", ofPay, "What Stripe told us, without names and addresses", "90 days"),

		kept("sessions", ofSafety, "Your sign-ins: the kind of device, times, and the network address as a keyed hash", after(keptSession, "they end")),
		kept("second_factors", ofSafety, "The secret of your authenticator app, sealed", "until you switch it off"),
		kept("recovery_codes", ofSafety, "Hashes of your recovery codes", "until they are replaced"),
		kept("login_challenges", ofSafety, "Sign-ins that wait for a code", after(keptToken, "they end")),
		kept("google_sign_ins", ofSafety, "Sign-ins with Google that are under way, as keyed hashes", "until they end, within the hour"),
		kept("api_keys", ofSafety, "The names, scopes and times of API keys; the keys as hashes", ""),
		kept("audit_logs", ofSafety, "Who did what, when: ids and keyed hashes, no content of mail", forArchive+"; what names nobody stays after the account"),
		kept("audit_heads", ofSafety, "The end of the audit log’s chain of hashes", "stays after the account"),
		kept("audit_anchors", ofSafety, "The chain’s hashes by month", "stays after the account"),
		kept("ops_log", ofSafety, "What our staff did to your account, by whom and why", "stays; it names the account by its id"),
		kept("security_events", ofSafety, "Failed sign-ins and misuse, with keyed hashes of addresses, and what Google tells of an account", "13 months"),
	}
}

// Impersonal are the tables that hold nothing of any customer.
func Impersonal() []string {
	return []string{"plan_quotas", "halts", "duties", "dispatch_clock", "retired_keys", "month_figures"}
}

func kept(table, topic, what, long string) sweep.Kept {
	return sweep.Kept{Table: table, Topic: topic, What: what, Long: long}
}

func days(d time.Duration) string {
	if d == day {
		return "a day"
	}
	return fmt.Sprintf("%d days", d/day)
}

func after(kept time.Duration, what string) string {
	if what == "" {
		return days(kept)
	}
	return days(kept) + " after " + what
}
