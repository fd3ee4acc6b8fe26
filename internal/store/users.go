package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mailsweep/internal/sweep"
)

// User is a person who signs in, with the role in the transaction's customer.
type User struct {
	ID           sweep.ID
	Email, Name  string
	Password     string // stored form
	TokenVersion int
	// PasswordVersion grows with each password that is set, and with nothing else.
	PasswordVersion int
	Failures        int       // wrong passwords since the last right one
	VerifiedAt      time.Time // zero: not yet
	Role            sweep.Role
	Rank            int // how many of the customer's people come before: a plan may carry no more than that
	CreatedAt       time.Time
}

// UserByEmail finds whom a canonical address belongs to, before the tenant is known; zero ids when nobody.
func (db *DB) UserByEmail(ctx context.Context, email string) (customer, user sweep.ID, err error) {
	var row struct{ CustomerID, UserID dbID }
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT customer_id, user_id FROM lookup.user_by_email(?)", email).Scan(&row).Error
	})
	if err != nil {
		return sweep.ID{}, sweep.ID{}, fmt.Errorf("look up user: %w", err)
	}
	return sweep.ID(row.CustomerID), sweep.ID(row.UserID), nil
}

// InsertUser adds a user who is already a member, their address proven if VerifiedAt says so; false when the address has a user.
func (tx *Tx) InsertUser(u User) (bool, error) {
	done := tx.Exec("INSERT INTO users (id, email, name, password, verified_at, created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (email) DO NOTHING",
		dbID(u.ID), u.Email, u.Name, u.Password, orNull(u.VerifiedAt), tx.Now)
	if done.Error != nil {
		return false, fmt.Errorf("insert user: %w", done.Error)
	}
	return done.RowsAffected == 1, nil
}

// User reads a member of this customer. NotFound.
func (tx *Tx) User(id sweep.ID) (User, error) {
	var r struct {
		ID                          dbID
		Email, Name, Password, Role string
		TokenVersion                int
		PasswordVersion, Rank       int
		Failures                    int
		VerifiedAt                  *time.Time
		CreatedAt                   time.Time
	}
	found := tx.Raw(`SELECT u.id, u.email, u.name, u.password, u.token_version, u.password_version, u.failures, u.verified_at, u.created_at, m.role, `+rankSQL+` AS rank
		FROM users u JOIN members m ON m.user_id = u.id WHERE m.customer_id = ? AND u.id = ?`, dbID(tx.Customer), dbID(id)).Scan(&r)
	if found.Error != nil {
		return User{}, fmt.Errorf("read user: %w", found.Error)
	}
	if found.RowsAffected == 0 {
		return User{}, sweep.Errorf(sweep.NotFound, "there is no such user")
	}
	return User{ID: sweep.ID(r.ID), Email: r.Email, Name: r.Name, Password: r.Password, TokenVersion: r.TokenVersion, PasswordVersion: r.PasswordVersion, Failures: r.Failures,
		VerifiedAt: instant(r.VerifiedAt), Role: sweep.Role(r.Role), Rank: r.Rank, CreatedAt: r.CreatedAt.UTC()}, nil
}

// LockUser holds a user's row until the transaction ends, and gives the version of their tokens. NotFound.
func (tx *Tx) LockUser(id sweep.ID) (tokenVersion int, err error) {
	found := tx.Raw("SELECT token_version FROM users WHERE id = ? FOR UPDATE", dbID(id)).Scan(&tokenVersion)
	if found.Error == nil && found.RowsAffected == 0 {
		return 0, sweep.Errorf(sweep.NotFound, "there is no such user")
	}
	return tokenVersion, doing(found.Error, "lock user")
}

// Address is where a member's mail goes: what the worker may know of a person. NotFound.
func (tx *Tx) Address(id sweep.ID) (email string, err error) {
	found := tx.Raw("SELECT u.email FROM users u JOIN members m ON m.user_id = u.id WHERE m.customer_id = ? AND u.id = ?", dbID(tx.Customer), dbID(id)).Scan(&email)
	if found.Error != nil {
		return "", fmt.Errorf("read address: %w", found.Error)
	}
	if found.RowsAffected == 0 {
		return "", sweep.Errorf(sweep.NotFound, "there is no such user")
	}
	return email, nil
}

// VerifyUser marks the address as proven, if it is still the user's and was not proven before. What the sign-up chose, password and
// name, stays only if the password is still the one whose stored form is given ("": none is): else nobody has one. Failures that others caused
// are forgotten.
func (tx *Tx) VerifyUser(id sweep.ID, email, password string) (bool, error) {
	done := tx.Exec(`UPDATE users SET verified_at = @now, failures = 0, name = CASE WHEN password = @kept THEN name ELSE '' END, password = CASE WHEN password = @kept THEN password ELSE '' END
		WHERE id = @user AND email = @email AND verified_at IS NULL`,
		map[string]any{"now": tx.Now, "kept": password, "user": dbID(id), "email": email})
	return done.RowsAffected == 1, doing(done.Error, "verify user")
}

// SignUpAgain puts a later sign-up with an address that nobody has proven in the place of the first; false when somebody has.
func (tx *Tx) SignUpAgain(id sweep.ID, name, password string) (bool, error) {
	done := tx.Exec("UPDATE users SET name = ?, password = ?, password_version = password_version + 1, token_version = token_version + 1 WHERE id = ? AND verified_at IS NULL", name, password, dbID(id))
	return done.RowsAffected == 1, doing(done.Error, "sign up again")
}

// SetPassword puts another password in force and makes every token so far worthless; false when the address is not the
// user's any more.
func (tx *Tx) SetPassword(id sweep.ID, email, password string) (bool, error) {
	done := tx.Exec("UPDATE users SET password = ?, failures = 0, password_version = password_version + 1, token_version = token_version + 1 WHERE id = ? AND email = ?",
		password, dbID(id), email)
	return done.RowsAffected == 1, doing(done.Error, "set password")
}

// SetEmail gives a person another address, which they have proven, and makes every token so far worthless; false when it is somebody else's: roll
// the transaction back then.
func (tx *Tx) SetEmail(id sweep.ID, email string) (bool, error) {
	done := tx.Exec("UPDATE users SET email = ?, verified_at = ?, token_version = token_version + 1 WHERE id = ?", email, tx.Now, dbID(id))
	var refused *pgconn.PgError
	if errors.As(done.Error, &refused) && refused.ConstraintName == "users_email_key" {
		return false, nil
	}
	return done.RowsAffected == 1, doing(done.Error, "set address")
}

// SignedIn notes the time of a right password, and a renewed hash unless the password was changed meanwhile; false when more than so many
// wrong ones came before.
func (tx *Tx) SignedIn(id sweep.ID, was, password string, most int) (bool, error) {
	done := tx.Exec("UPDATE users SET last_login_at = ?, failures = 0, password = CASE WHEN password = ? THEN ? ELSE password END WHERE id = ? AND failures <= ?",
		tx.Now, was, password, dbID(id), most)
	return done.RowsAffected == 1, doing(done.Error, "note sign-in")
}

// Failed counts a wrong password.
func (tx *Tx) Failed(id sweep.ID) error {
	return doing(tx.Exec("UPDATE users SET failures = failures + 1 WHERE id = ?", dbID(id)).Error, "count wrong password")
}

// EndTokens makes every token issued to the user so far worthless.
func (tx *Tx) EndTokens(id sweep.ID) error {
	if err := tx.Exec("UPDATE users SET token_version = token_version + 1 WHERE id = ?", dbID(id)).Error; err != nil {
		return fmt.Errorf("end tokens: %w", err)
	}
	return nil
}

// Owner finds the customer's oldest owner: who reads what concerns the customer as a whole. NotFound.
func (tx *Tx) Owner() (sweep.ID, error) {
	var ids []dbID
	err := tx.Raw("SELECT user_id FROM members WHERE customer_id = ? AND role = 'owner' ORDER BY created_at, user_id LIMIT 1", dbID(tx.Customer)).Scan(&ids).Error
	if err != nil {
		return sweep.ID{}, fmt.Errorf("find owner: %w", err)
	}
	if len(ids) == 0 {
		return sweep.ID{}, sweep.Errorf(sweep.NotFound, "the customer has no owner")
	}
	return sweep.ID(ids[0]), nil
}

// Membership is what a token is compared with when it is used, and what its holder may use.
type Membership struct {
	TokenVersion int
	Role         sweep.Role
	Rank         int    // as in User
	Verified     bool   // the user's address
	SecondFactor bool   // the user has one
	Require2FA   bool   // the customer demands one of everybody, while the plan carries that
	Allowlist    string // prefixes joined by commas, while the plan carries that
	Customer     sweep.Customer
	Now          time.Time // when it was so
}

// membershipColumns are of a member m, user u and customer c, for a membershipRow.
const membershipColumns = `u.token_version, m.role, ` + rankSQL + `, u.verified_at IS NOT NULL, c.require_2fa, c.ip_allowlist, now(),
	EXISTS (SELECT FROM second_factors f WHERE f.customer_id = m.customer_id AND f.user_id = m.user_id AND f.on_at IS NOT NULL), ` + standingColumns

type membershipRow struct {
	Membership
	standing standingRow
}

func (r *membershipRow) fields() []any {
	m := &r.Membership
	return append([]any{&m.TokenVersion, &m.Role, &m.Rank, &m.Verified, &m.Require2FA, &m.Allowlist, &m.Now, &m.SecondFactor}, r.standing.fields()...)
}

func (r *membershipRow) membership(customer sweep.ID, offset time.Duration) Membership {
	m := r.Membership
	m.Customer, m.Now = r.standing.customer(customer), m.Now.UTC().Add(offset)
	return m
}

// Membership reads a member's in one round trip. NotFound when the user is no member any more.
func (db *DB) Membership(ctx context.Context, customer, user sweep.ID) (m Membership, err error) {
	found := false
	err = db.batch(ctx, customer, func(q *pgx.Batch) {
		q.Queue("SELECT "+membershipColumns+` FROM members m JOIN users u ON u.id = m.user_id JOIN customers c ON c.id = m.customer_id
			WHERE m.customer_id = $1 AND m.user_id = $2`, dbID(customer), dbID(user)).
			QueryRow(func(row pgx.Row) error {
				var r membershipRow
				err := row.Scan(r.fields()...)
				m, found = r.membership(customer, db.offset), err == nil
				return ignoreNoRows(err)
			})
	})
	if err == nil && !found {
		err = sweep.Errorf(sweep.NotFound, "there is no such member")
	}
	return m, doing(err, "read membership")
}
