package cleanup

import (
	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// standingAfter tells the period's standing as it will be once the job has ended, and warns at 80 %, once per period.
func (x *execution) standingAfter(tx *store.Tx, res *sweep.ExecuteResult) error {
	q, err := tx.UsageNow(x.Plans.PlanAt(x.standing.Customer, tx.Now).Emails)
	if err != nil {
		return err
	}
	settled, err := tx.SettledOf(x.c.ID)
	if err != nil {
		return err
	}
	q.Reserved = max(0, q.Reserved-max(0, x.c.Reserved-settled))
	res.Quota = sweep.QuotaLeft{Used: q.Used, Remaining: q.Remaining()}
	if !q.Warn() {
		return nil
	}
	first, err := tx.Notice("quota_warning", q.Period.Start.Format("2006-01"))
	if err != nil || !first {
		return err
	}
	return x.Post(tx, mail.QuotaWarning, sweep.ID{}, mail.Data{Used: q.Used, Limit: q.Limit, ResetsAt: q.Period.End})
}

// noticeOver is how many messages a run may change without a mail about it: beyond, the owner hears of it also when somebody else began it.
const noticeOver = 1000

// tellOwner mails what a big run did, however it ended, with the way to its undo.
func (x *execution) tellOwner(tx *store.Tx, run store.RunRow) error {
	if run.Cleaned <= noticeOver {
		return nil
	}
	box, err := tx.Mailbox(run.Mailbox)
	if err != nil {
		return err
	}
	skipped := run.AlreadyGone
	for _, n := range run.Skipped {
		skipped += n
	}
	return x.Post(tx, mail.CleanupDone, sweep.ID{}, mail.Data{Mailbox: box.Email, Action: string(run.Action), State: string(run.State),
		JobID: sweep.JobID.Show(run.Job), Cleaned: run.Cleaned, Skipped: skipped, UndoUntil: run.UndoUntil})
}

// lostConsent marks the mailbox and tells its owner, once.
func (w *work) lostConsent(tx *store.Tx) error {
	first, err := tx.NeedsReconnect(w.target.Mailbox)
	if err != nil || !first {
		return err
	}
	box, err := tx.Mailbox(w.target.Mailbox)
	if err != nil {
		return err
	}
	return w.Post(tx, mail.NeedsReconnect, sweep.ID{}, mail.Data{Mailbox: box.Email})
}
