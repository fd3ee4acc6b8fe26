package store

import (
	"context"
	"time"
)

// UseTrial notes that the transaction's customer has its trial by an address, given as a keyed hash; false when another had one by it. That
// outlives the customer's purge by 24 months. Of several at once the first is noted, and the others wait for it.
func (tx *Tx) UseTrial(address []byte) (first bool, err error) {
	err = tx.Raw("SELECT sys.use_trial(?, ?)", dbBytes(address), dbID(tx.Customer)).Row().Scan(&first)
	return first, doing(err, "use the trial of an address")
}

// freeTrials cuts what leads from the transaction's customer, who has just been purged, to the addresses of its trial.
func (tx *Tx) freeTrials() error {
	return doing(tx.Exec("SELECT sys.free_trials(?, ?)", dbID(tx.Customer), tx.Now).Error, "free the trial's addresses")
}

// ForgetTrials forgets by which addresses there was a trial whose customer was purged more than 24 months ago.
func (db *DB) ForgetTrials(ctx context.Context, now time.Time) error {
	return doing(db.System(ctx, func(tx *Tx) error { return tx.Exec("SELECT sys.forget_trials(?)", now).Error }), "forget the trials' addresses")
}
