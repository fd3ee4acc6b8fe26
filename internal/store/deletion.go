package store

import (
	"context"
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// DeleteCustomer shuts the transaction's customer, whose row the caller has locked, for good: whoever asks from now on finds it deleted, and
// from purgeAt on what it left is removed. Consents that are under way are dropped, and those that were given left to be given back.
func (tx *Tx) DeleteCustomer(purgeAt time.Time) error {
	err := tx.Exec("UPDATE customers SET deleted_at = ?, purge_at = ?, suspended_at = coalesce(suspended_at, ?), plan_version = plan_version + 1 WHERE id = ?",
		tx.Now, purgeAt, tx.Now, dbID(tx.Customer)).Error
	if err != nil {
		return fmt.Errorf("delete customer: %w", err)
	}
	err = tx.Exec("UPDATE oauth_states SET expires_at = ?, email = NULL WHERE customer_id = ? AND granted IS NOT NULL AND expires_at > ?", tx.Now, dbID(tx.Customer), tx.Now).Error
	if err != nil {
		return fmt.Errorf("end parked consents: %w", err)
	}
	return doing(tx.Exec("DELETE FROM oauth_states WHERE customer_id = ? AND granted IS NULL", dbID(tx.Customer)).Error, "drop consents under way")
}

// RestoreCustomer takes the deletion of the transaction's customer back, and signs its people out. What the deletion ended stays ended: jobs, keys, consents.
// Conflict when it is not deleted, or when its purge may have begun.
func (tx *Tx) RestoreCustomer() error {
	c, err := tx.customer(customerSQL + " FOR NO KEY UPDATE")
	if err != nil {
		return err
	}
	done := tx.Exec(`UPDATE customers SET suspended_at = nullif(suspended_at, deleted_at), deleted_at = NULL, purge_at = NULL, plan_version = plan_version + 1
		WHERE id = ? AND deleted_at IS NOT NULL AND purge_at > ?`, dbID(tx.Customer), tx.Now)
	if done.Error == nil && done.RowsAffected == 0 {
		why := "this customer is not deleted"
		if !c.DeletedAt.IsZero() {
			why = "what this customer left is being removed already"
		}
		return sweep.Errorf(sweep.Conflict, "%s", why)
	}
	if done.Error != nil {
		return fmt.Errorf("restore customer: %w", done.Error)
	}
	return tx.signOutEverybody()
}

// DropSignUp frees the address of the transaction's customer, at once, if nobody has ever proven one there; false when somebody has, or it is
// gone. What else it left is due for the purge from at on.
func (tx *Tx) DropSignUp(at time.Time) (dropped bool, err error) {
	err = tx.Raw("SELECT drop_sign_up(?)", at).Row().Scan(&dropped)
	return dropped, doing(err, "drop sign-up")
}

// StaleSignUps lists at most n customers whose only person never proved an address, and has had no mail to do so with since before.
func (db *DB) StaleSignUps(ctx context.Context, before time.Time, n int) (ids []sweep.ID, err error) {
	var rows []dbID
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT lookup.stale_sign_ups(?, ?)", before, n).Scan(&rows).Error
	})
	for _, r := range rows {
		ids = append(ids, sweep.ID(r))
	}
	return ids, doing(err, "list stale sign-ups")
}

// PurgesDue lists at most n deleted customers of whom something is left though their time has come.
func (db *DB) PurgesDue(ctx context.Context, now time.Time, n int) (ids []sweep.ID, err error) {
	var rows []dbID
	err = db.System(ctx, func(tx *Tx) error { return tx.Raw("SELECT sys.purges_due(?, ?)", now, n).Scan(&rows).Error })
	for _, r := range rows {
		ids = append(ids, sweep.ID(r))
	}
	return ids, doing(err, "list due purges")
}

// BeginPurge makes what is sealed for the transaction's customer unreadable, and ends its jobs whoever has them: a claim that goes on
// is refused from now on. due is false when there is nothing to purge, or not yet. Doing it again changes nothing.
func (tx *Tx) BeginPurge() (due bool, err error) {
	done := tx.Exec("UPDATE customers SET data_key = '' WHERE id = ? AND purge_at <= ? AND purged_at IS NULL", dbID(tx.Customer), tx.Now)
	if done.Error != nil || done.RowsAffected == 0 {
		return false, doing(done.Error, "destroy data key")
	}
	ids, err := tx.openJobs(sweep.ID{})
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if err := tx.end(id, sweep.Canceled, "", ""); err != nil {
			return false, err
		}
	}
	return true, nil
}

// PurgeSome removes about most rows of what the transaction's customer left, in every table there is. more is false when nothing was left:
// the customer's row names nobody then, and that is so only once.
func (tx *Tx) PurgeSome(most int) (more bool, err error) {
	var gone int64
	err = tx.Raw("SELECT purge_some(?, ?)", tx.Now, most).Row().Scan(&gone)
	if err != nil || gone > 0 {
		return gone > 0, doing(err, "purge")
	}
	return false, tx.freeTrials()
}

// ForgetAccounts forgets the hashes of Google accounts that no customer had connected for 24 months.
func (db *DB) ForgetAccounts(ctx context.Context, now time.Time) error {
	return doing(db.System(ctx, func(tx *Tx) error { return tx.Exec("SELECT sys.forget_accounts(?)", now).Error }), "forget Google accounts")
}
