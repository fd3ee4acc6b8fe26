package store

import (
	"context"
	"time"

	"mailsweep/internal/sweep"
)

// SecondFactor is a person's: the sealed secret of an app. The zero value says that there is none.
type SecondFactor struct {
	Secret, Salt []byte
	On           bool // a right code came: from then on it is asked for
	CodesLeft    int  // recovery codes
}

// SecondFactor reads a member's; the zero value when there is none.
func (tx *Tx) SecondFactor(user sweep.ID) (SecondFactor, error) {
	var r struct {
		Secret, Salt []byte
		OnAt         *time.Time
		Codes        int
	}
	err := tx.Raw(`SELECT secret, salt, on_at, (SELECT count(*) FROM recovery_codes c WHERE c.customer_id = f.customer_id AND c.user_id = f.user_id) AS codes
		FROM second_factors f WHERE customer_id = ? AND user_id = ?`, dbID(tx.Customer), dbID(user)).Scan(&r).Error
	return SecondFactor{Secret: r.Secret, Salt: r.Salt, On: r.OnAt != nil, CodesLeft: r.Codes}, doing(err, "read second factor")
}

// OfferSecondFactor keeps a new secret that is not on yet, in place of another that never was; false when one is on.
func (tx *Tx) OfferSecondFactor(user sweep.ID, sealed []byte) (bool, error) {
	done := tx.Exec(`INSERT INTO second_factors (customer_id, user_id, secret, salt, created_at) VALUES (?, ?, ?, '', ?)
		ON CONFLICT (customer_id, user_id) DO UPDATE SET secret = excluded.secret, last_step = 0, created_at = excluded.created_at WHERE second_factors.on_at IS NULL`,
		dbID(tx.Customer), dbID(user), dbBytes(sealed), tx.Now)
	return done.RowsAffected == 1, doing(done.Error, "offer second factor")
}

// TakeStep uses a code's 30 seconds up, and all before them; false when they were.
func (tx *Tx) TakeStep(user sweep.ID, step int64) (bool, error) {
	done := tx.Exec("UPDATE second_factors SET last_step = ? WHERE customer_id = ? AND user_id = ? AND last_step < ?", step, dbID(tx.Customer), dbID(user), step)
	return done.RowsAffected == 1, doing(done.Error, "take step of second factor")
}

// TakeRecoveryCode uses a code up; false when it is none or was used.
func (tx *Tx) TakeRecoveryCode(user sweep.ID, hash []byte) (bool, error) {
	done := tx.Exec("DELETE FROM recovery_codes WHERE customer_id = ? AND user_id = ? AND hash = ?", dbID(tx.Customer), dbID(user), dbBytes(hash))
	return done.RowsAffected == 1, doing(done.Error, "take recovery code")
}

// KeepRecoveryCodes turns the second factor on, if it is not, and puts these codes in the place of all before them.
func (tx *Tx) KeepRecoveryCodes(user sweep.ID, hashes [][]byte, salt []byte) error {
	err := tx.Exec("UPDATE second_factors SET salt = ?, on_at = coalesce(on_at, ?) WHERE customer_id = ? AND user_id = ?",
		dbBytes(salt), tx.Now, dbID(tx.Customer), dbID(user)).Error
	if err != nil {
		return doing(err, "turn second factor on")
	}
	if err := tx.Exec("DELETE FROM recovery_codes WHERE customer_id = ? AND user_id = ?", dbID(tx.Customer), dbID(user)).Error; err != nil {
		return doing(err, "void recovery codes")
	}
	for _, hash := range hashes {
		err := tx.Exec("INSERT INTO recovery_codes (customer_id, user_id, hash) VALUES (?, ?, ?)", dbID(tx.Customer), dbID(user), dbBytes(hash)).Error
		if err != nil {
			return doing(err, "keep recovery code")
		}
	}
	return nil
}

// DropSecondFactor turns it off and forgets it, with its recovery codes.
func (tx *Tx) DropSecondFactor(user sweep.ID) error {
	return doing(tx.Exec("DELETE FROM second_factors WHERE customer_id = ? AND user_id = ?", dbID(tx.Customer), dbID(user)).Error, "drop second factor")
}

// DropSecondFactorSince is DropSecondFactor for one that was turned on at a time or later.
func (tx *Tx) DropSecondFactorSince(user sweep.ID, since time.Time) error {
	err := tx.Exec("DELETE FROM second_factors WHERE customer_id = ? AND user_id = ? AND on_at >= ?", dbID(tx.Customer), dbID(user), since).Error
	return doing(err, "drop a new second factor")
}

// Challenge is what somebody holds who owes the second factor still; only the hash is stored.
type Challenge struct {
	ID, User     sweep.ID
	Hash         []byte
	TokenVersion int
	ExpiresAt    time.Time
}

// InsertChallenge adds one in the place of the user's others.
func (tx *Tx) InsertChallenge(c Challenge) error {
	if err := tx.Exec("DELETE FROM login_challenges WHERE customer_id = ? AND user_id = ?", dbID(tx.Customer), dbID(c.User)).Error; err != nil {
		return doing(err, "forget other challenges")
	}
	err := tx.Exec("INSERT INTO login_challenges (customer_id, id, user_id, hash, token_version, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
		dbID(tx.Customer), dbID(c.ID), dbID(c.User), dbBytes(c.Hash), c.TokenVersion, c.ExpiresAt).Error
	return doing(err, "insert challenge")
}

// ChallengeOwner finds whose challenge a hash is, before the tenant is known; zero ids when nobody's.
func (db *DB) ChallengeOwner(ctx context.Context, hash []byte) (customer, challenge sweep.ID, err error) {
	var row struct{ CustomerID, ChallengeID dbID }
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT customer_id, challenge_id FROM lookup.login_challenge(?)", dbBytes(hash)).Scan(&row).Error
	})
	return sweep.ID(row.CustomerID), sweep.ID(row.ChallengeID), doing(err, "look up challenge")
}

// TryChallenge counts a try; ok while there are at most so many, in time, and the user's tokens are those of its beginning.
func (tx *Tx) TryChallenge(id sweep.ID, most int) (user sweep.ID, ok bool, err error) {
	var row struct{ UserID dbID }
	done := tx.Raw(`UPDATE login_challenges c SET tries = tries + 1 FROM users u
		WHERE c.customer_id = ? AND c.id = ? AND c.tries < ? AND c.expires_at > ? AND u.id = c.user_id AND u.token_version = c.token_version RETURNING c.user_id`,
		dbID(tx.Customer), dbID(id), most, tx.Now).Scan(&row)
	return sweep.ID(row.UserID), done.RowsAffected == 1, doing(done.Error, "try challenge")
}

// EndChallenge uses it up.
func (tx *Tx) EndChallenge(id sweep.ID) error {
	return doing(tx.Exec("DELETE FROM login_challenges WHERE customer_id = ? AND id = ?", dbID(tx.Customer), dbID(id)).Error, "end challenge")
}

// RequireSecondFactor says whether the customer demands a second factor of everybody.
func (tx *Tx) RequireSecondFactor(on bool) error {
	return doing(tx.Exec("UPDATE customers SET require_2fa = ? WHERE id = ?", on, dbID(tx.Customer)).Error, "require second factor")
}

// FactorKept is a whole second factor, as it is taken from one membership to another.
type FactorKept struct {
	Secret, Salt []byte
	LastStep     int64
	OnAt         time.Time
	Codes        [][]byte // hashes
}

// On says that there is one that is asked for.
func (f FactorKept) On() bool { return !f.OnAt.IsZero() }

// FactorKept reads a member's whole; the zero value when none is on.
func (tx *Tx) FactorKept(user sweep.ID) (f FactorKept, err error) {
	var r struct {
		Secret, Salt []byte
		LastStep     int64
		OnAt         *time.Time
	}
	found := tx.Raw("SELECT secret, salt, last_step, on_at FROM second_factors WHERE customer_id = ? AND user_id = ? AND on_at IS NOT NULL", dbID(tx.Customer), dbID(user)).Scan(&r)
	if found.Error != nil || found.RowsAffected == 0 {
		return FactorKept{}, doing(found.Error, "read second factor")
	}
	f = FactorKept{Secret: r.Secret, Salt: r.Salt, LastStep: r.LastStep, OnAt: instant(r.OnAt)}
	err = tx.Raw("SELECT hash FROM recovery_codes WHERE customer_id = ? AND user_id = ?", dbID(tx.Customer), dbID(user)).Scan(&f.Codes).Error
	return f, doing(err, "read recovery codes")
}

// BringFactor turns a second factor on that a member had elsewhere, unless one is on here, and says whether it did.
func (tx *Tx) BringFactor(user sweep.ID, f FactorKept) (brought bool, err error) {
	done := tx.Exec(`INSERT INTO second_factors (customer_id, user_id, secret, salt, last_step, on_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (customer_id, user_id) DO UPDATE SET secret = excluded.secret, salt = excluded.salt, last_step = excluded.last_step, on_at = excluded.on_at
		WHERE second_factors.on_at IS NULL`, dbID(tx.Customer), dbID(user), dbBytes(f.Secret), dbBytes(f.Salt), f.LastStep, f.OnAt, tx.Now)
	if done.Error != nil || done.RowsAffected == 0 {
		return false, doing(done.Error, "bring second factor")
	}
	return true, tx.KeepRecoveryCodes(user, f.Codes, f.Salt)
}
