package cleanup

import (
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// standingAfter tells the period's standing as it will be once the job has ended.
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
	return nil
}

// lostConsent marks the mailbox and tells its owner, once.
func (w *work) lostConsent(tx *store.Tx) error {
	_, err := tx.NeedsReconnect(w.target.Mailbox)
	return err
}
