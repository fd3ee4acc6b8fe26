package store

import (
	"context"
	"time"

	"mailsweep/internal/sweep"
)

// Invitation is one that nobody has taken yet. Of its token only the hash is stored.
type Invitation struct {
	ID, By    sweep.ID
	Email     string
	Role      sweep.Role
	Hash      []byte // of PutInvitation only
	CreatedAt time.Time
	ExpiresAt time.Time
}

type invitationRow struct {
	ID, InvitedBy        dbID
	Email, Role          string
	CreatedAt, ExpiresAt time.Time
}

func (r invitationRow) value() Invitation {
	return Invitation{ID: sweep.ID(r.ID), By: sweep.ID(r.InvitedBy), Email: r.Email, Role: sweep.Role(r.Role), CreatedAt: r.CreatedAt.UTC(), ExpiresAt: r.ExpiresAt.UTC()}
}

// goodInvitation: in time, and whoever sent it is an owner still.
const goodInvitation = ` customer_id = ? AND expires_at > ?
	AND EXISTS (SELECT FROM members m WHERE m.customer_id = invitations.customer_id AND m.user_id = invitations.invited_by AND m.role = 'owner')`

// Invitations lists those that are good, the newest first.
func (tx *Tx) Invitations() (all []Invitation, err error) {
	var rows []invitationRow
	err = tx.Raw("SELECT id, invited_by, email, role, created_at, expires_at FROM invitations WHERE"+goodInvitation+" ORDER BY id DESC", dbID(tx.Customer), tx.Now).Scan(&rows).Error
	for _, r := range rows {
		all = append(all, r.value())
	}
	return all, doing(err, "list invitations")
}

// PutInvitation adds one, or puts it in the place of another to the same address, whose mails are void then; it gives the id.
func (tx *Tx) PutInvitation(i Invitation) (sweep.ID, error) {
	var row struct{ ID dbID }
	err := tx.Raw(`INSERT INTO invitations (customer_id, id, email, role, hash, invited_by, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (customer_id, email) DO UPDATE SET role = excluded.role, hash = excluded.hash, invited_by = excluded.invited_by, expires_at = excluded.expires_at RETURNING id`,
		dbID(tx.Customer), dbID(i.ID), i.Email, string(i.Role), dbBytes(i.Hash), dbID(i.By), i.ExpiresAt, tx.Now).Scan(&row).Error
	return sweep.ID(row.ID), doing(err, "put invitation")
}

// Invitation reads one that is good. NotFound.
func (tx *Tx) Invitation(id sweep.ID) (Invitation, error) {
	return tx.oneInvitation("SELECT id, invited_by, email, role, created_at, expires_at FROM invitations WHERE"+goodInvitation+" AND id = ?", dbID(tx.Customer), tx.Now, dbID(id))
}

// TakeInvitation uses up the one whose newest token has this hash, while it is good. NotFound.
func (tx *Tx) TakeInvitation(hash []byte) (Invitation, error) {
	return tx.oneInvitation("DELETE FROM invitations WHERE"+goodInvitation+" AND hash = ? RETURNING id, invited_by, email, role, created_at, expires_at", dbID(tx.Customer), tx.Now, dbBytes(hash))
}

func (tx *Tx) oneInvitation(query string, args ...any) (Invitation, error) {
	var r invitationRow
	found := tx.Raw(query, args...).Scan(&r)
	if found.Error == nil && found.RowsAffected == 0 {
		return Invitation{}, sweep.Errorf(sweep.NotFound, "there is no such invitation")
	}
	return r.value(), doing(found.Error, "read invitation")
}

// DropInvitation revokes one, good or not; false when there is none.
func (tx *Tx) DropInvitation(id sweep.ID) (bool, error) {
	done := tx.Exec("DELETE FROM invitations WHERE customer_id = ? AND id = ?", dbID(tx.Customer), dbID(id))
	return done.RowsAffected == 1, doing(done.Error, "drop invitation")
}

// InvitationOwner finds whose an invitation's hash is, before the tenant is known; zero ids when nobody's.
func (db *DB) InvitationOwner(ctx context.Context, hash []byte) (customer, invitation sweep.ID, err error) {
	var row struct{ CustomerID, InvitationID dbID }
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT customer_id, invitation_id FROM lookup.invitation(?)", dbBytes(hash)).Scan(&row).Error
	})
	return sweep.ID(row.CustomerID), sweep.ID(row.InvitationID), doing(err, "look up invitation")
}
