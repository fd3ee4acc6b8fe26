package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mailsweep/internal/sweep"
)

// Member is one of a customer's people.
type Member struct {
	User         sweep.ID
	Email, Name  string
	Role         sweep.Role
	Rank         int  // as in User
	SecondFactor bool // they have one
	Since        time.Time
}

// rankSQL is how many people of a member m's customer come before them: owners first, then who has been there longer.
const rankSQL = `(SELECT count(*) FROM members o WHERE o.customer_id = m.customer_id
	AND (o.role <> 'owner', o.created_at, o.user_id) < (m.role <> 'owner', m.created_at, m.user_id))`

// Members lists the customer's people by rank.
func (tx *Tx) Members() (all []Member, err error) {
	var rows []struct {
		UserID            dbID
		Email, Name, Role string
		CreatedAt         time.Time
		Rank              int
		Factor            bool
	}
	err = tx.Raw(`SELECT m.user_id, u.email, u.name, m.role, m.created_at, `+rankSQL+` AS rank,
		EXISTS (SELECT FROM second_factors f WHERE f.customer_id = m.customer_id AND f.user_id = m.user_id AND f.on_at IS NOT NULL) AS factor
		FROM members m JOIN users u ON u.id = m.user_id WHERE m.customer_id = ? ORDER BY rank`, dbID(tx.Customer)).Scan(&rows).Error
	for _, r := range rows {
		all = append(all, Member{sweep.ID(r.UserID), r.Email, r.Name, sweep.Role(r.Role), r.Rank, r.Factor, r.CreatedAt.UTC()})
	}
	return all, doing(err, "list people")
}

// InsertMember makes a user a member of this customer. The user's row may follow within the transaction: only a member's row can
// be written, and the foreign key waits for the commit.
func (tx *Tx) InsertMember(user sweep.ID, role sweep.Role) error {
	err := tx.Exec("INSERT INTO members (customer_id, user_id, role, created_at) VALUES (?, ?, ?, ?)",
		dbID(tx.Customer), dbID(user), string(role), tx.Now).Error
	if err != nil {
		return fmt.Errorf("insert member: %w", err)
	}
	return nil
}

// AddMember makes somebody who works elsewhere a member here too; false when they are.
func (tx *Tx) AddMember(user sweep.ID, role sweep.Role) (bool, error) {
	done := tx.Exec("INSERT INTO members (customer_id, user_id, role, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
		dbID(tx.Customer), dbID(user), string(role), tx.Now)
	return done.RowsAffected == 1, doing(done.Error, "add member")
}

// SetRole changes what a member may do.
func (tx *Tx) SetRole(user sweep.ID, role sweep.Role) error {
	return doing(tx.Exec("UPDATE members SET role = ? WHERE customer_id = ? AND user_id = ?", string(role), dbID(tx.Customer), dbID(user)).Error, "set role")
}

// PartWith ends a membership with its sessions, keys, second factor and invitations, and forgets who works for nobody then. Lock the
// user, then the customer, before.
func (tx *Tx) PartWith(user sweep.ID) error {
	return doing(tx.Exec("SELECT part_with(?)", dbID(user)).Error, "end membership")
}

// Memberships are the customers that a person works for, the longest first.
func (db *DB) Memberships(ctx context.Context, user sweep.ID) (customers []sweep.ID, err error) {
	err = db.System(ctx, func(tx *Tx) error {
		customers, err = tx.Memberships(user)
		return err
	})
	return customers, err
}

// Memberships are as DB's.
func (tx *Tx) Memberships(user sweep.ID) (customers []sweep.ID, err error) {
	var rows []dbID
	err = tx.Raw("SELECT * FROM lookup.memberships(?)", dbID(user)).Scan(&rows).Error
	for _, id := range rows {
		customers = append(customers, sweep.ID(id))
	}
	return customers, doing(err, "look up memberships")
}

// CountMembers counts the customer's people.
func (tx *Tx) CountMembers() (n int, err error) {
	err = tx.Raw("SELECT count(*) FROM members WHERE customer_id = ?", dbID(tx.Customer)).Scan(&n).Error
	return n, doing(err, "count people")
}

// Muted are the kinds of mail that a person turned off in this customer; none of who is no member.
func (tx *Tx) Muted(user sweep.ID) ([]string, error) {
	var joined string
	err := tx.Raw("SELECT array_to_string(muted, ' ') FROM members WHERE customer_id = ? AND user_id = ?", dbID(tx.Customer), dbID(user)).Scan(&joined).Error
	return strings.Fields(joined), doing(err, "read muted mails")
}

// Mute replaces them.
func (tx *Tx) Mute(user sweep.ID, kinds []string) error {
	return doing(tx.Exec("UPDATE members SET muted = string_to_array(?, ' ') WHERE customer_id = ? AND user_id = ?",
		strings.Join(kinds, " "), dbID(tx.Customer), dbID(user)).Error, "mute mails")
}
