package store

import (
	"context"

	"mailsweep/internal/sweep"
)

// AtStripe is how a customer is known at Stripe.
type AtStripe struct {
	ID         string // "": not yet
	Gone       bool   // it was deleted there: the next purchase makes another
	Generation int    // how many were
	Seen       int64  // number of the look whose result stands
}

// StripeCustomer finds whose a customer at Stripe is, before the tenant is known; the zero id when nobody's.
func (db *DB) StripeCustomer(ctx context.Context, stripeID string) (customer sweep.ID, err error) {
	var row struct{ ID dbID }
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT lookup.stripe_customer(?) AS id", stripeID).Scan(&row).Error
	})
	return sweep.ID(row.ID), doing(err, "look up customer of Stripe's")
}

// AtStripe reads how the customer is known at Stripe.
func (tx *Tx) AtStripe() (a AtStripe, err error) {
	err = tx.Raw("SELECT coalesce(stripe_customer_id, ''), stripe_gone, stripe_generation, stripe_look FROM customers WHERE id = ?", dbID(tx.Customer)).
		Row().Scan(&a.ID, &a.Gone, &a.Generation, &a.Seen)
	return a, doing(err, "read customer of Stripe's")
}

// KnowAtStripe notes the customer's id at Stripe, unless it has one that is not gone: ours says whether it is the customer's now.
func (tx *Tx) KnowAtStripe(stripeID string) (ours bool, err error) {
	err = tx.Exec("UPDATE customers SET stripe_customer_id = ?, stripe_gone = false WHERE id = ? AND (stripe_customer_id IS NULL OR stripe_gone)", stripeID, dbID(tx.Customer)).Error
	if err == nil {
		err = tx.Raw("SELECT stripe_customer_id = ? FROM customers WHERE id = ?", stripeID, dbID(tx.Customer)).Row().Scan(&ours)
	}
	return ours, doing(err, "note customer of Stripe's")
}

// GoneAtStripe notes that the customer was deleted at Stripe.
func (tx *Tx) GoneAtStripe(stripeID string) error {
	return doing(tx.Exec("UPDATE customers SET stripe_gone = true, stripe_generation = stripe_generation + 1 WHERE id = ? AND stripe_customer_id = ? AND NOT stripe_gone",
		dbID(tx.Customer), stripeID).Error, "note deletion at Stripe")
}

// BeginLook numbers a look at Stripe. Commit it before looking: whoever has the greater number sees what is younger.
func (tx *Tx) BeginLook() (look int64, err error) {
	err = tx.Raw("UPDATE customers SET stripe_looks = stripe_looks + 1 WHERE id = ? RETURNING stripe_looks", dbID(tx.Customer)).Row().Scan(&look)
	return look, doing(err, "begin look")
}

// EndLook says that the result of a look stands; false when that of a younger one does: then write nothing. Lock the customer before.
func (tx *Tx) EndLook(look int64) (stands bool, err error) {
	done := tx.Exec("UPDATE customers SET stripe_look = ? WHERE id = ? AND stripe_look < ?", look, dbID(tx.Customer), look)
	return done.RowsAffected == 1, doing(done.Error, "end look")
}
