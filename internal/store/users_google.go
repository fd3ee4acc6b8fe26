package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"mailsweep/internal/sweep"
)

// GoogleIdentityOwner finds who signs in as a Google account, and for whom they work longest, before the tenant is known; zero ids when
// nobody. subject is the keyed hash of Google's sub.
func (db *DB) GoogleIdentityOwner(ctx context.Context, subject []byte) (customer, user sweep.ID, err error) {
	var row struct{ CustomerID, UserID dbID }
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT customer_id, user_id FROM lookup.google_identity(?)", dbBytes(subject)).Scan(&row).Error
	})
	return sweep.ID(row.CustomerID), sweep.ID(row.UserID), doing(err, "look up Google identity")
}

// SignedInWithGoogle notes the time for a member who signs in as this Google account, and holds their row until the transaction ends; false when
// they do not. Wrong passwords stay counted: this was none.
func (tx *Tx) SignedInWithGoogle(user sweep.ID, subject []byte) (bool, error) {
	done := tx.Exec("UPDATE users SET last_login_at = ? WHERE id = ? AND google_subject = ?", tx.Now, dbID(user), dbBytes(subject))
	return done.RowsAffected == 1, doing(done.Error, "note sign-in with Google")
}

// SignsInWithGoogle says whether a member signs in as any Google account.
func (tx *Tx) SignsInWithGoogle(user sweep.ID) (does bool, err error) {
	err = tx.Raw("SELECT EXISTS (SELECT FROM users WHERE id = ? AND google_subject IS NOT NULL)", dbID(user)).Scan(&does).Error
	return does, doing(err, "read Google identity")
}

// TieGoogleIdentity lets a member sign in as a Google account; false when they have one, or it is somebody else's: roll the
// transaction back then.
func (tx *Tx) TieGoogleIdentity(user sweep.ID, subject []byte) (bool, error) {
	done := tx.Exec("UPDATE users SET google_subject = ? WHERE id = ? AND google_subject IS NULL", dbBytes(subject), dbID(user))
	var refused *pgconn.PgError
	if errors.As(done.Error, &refused) && refused.ConstraintName == "users_google_subject_key" {
		return false, nil
	}
	return done.RowsAffected == 1, doing(done.Error, "tie Google identity")
}

// DropGoogleIdentity takes it away; false when there is none.
func (tx *Tx) DropGoogleIdentity(user sweep.ID) (bool, error) {
	done := tx.Exec("UPDATE users SET google_subject = NULL WHERE id = ? AND google_subject IS NOT NULL", dbID(user))
	return done.RowsAffected == 1, doing(done.Error, "drop Google identity")
}
