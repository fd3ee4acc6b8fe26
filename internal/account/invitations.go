package account

import (
	"context"
	"fmt"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const (
	inviteWithin  = 7 * 24 * time.Hour // how long an invitation is good for
	invitesPerDay = 50                 // mails with invitations, of one customer
)

// ProvenAgain is what a person gives again before what a stolen session must not do.
type ProvenAgain struct {
	Password string `json:"password"`
	Code     string `json:"code,omitempty" maxLength:"40" doc:"Of the second factor, where one is set up"`
}

// InvitationView is an open invitation. Whether its address belongs to somebody who is known shows in nothing.
type InvitationView struct {
	ID        string     `json:"id"`
	Email     string     `json:"email"`
	Role      sweep.Role `json:"role" enum:"owner,operator,viewer"`
	InvitedBy string     `json:"invited_by"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
}

func invitationView(i store.Invitation) InvitationView {
	return InvitationView{ID: sweep.InvitationID.Show(i.ID), Email: i.Email, Role: i.Role, InvitedBy: sweep.UserID.Show(i.By), CreatedAt: i.CreatedAt, ExpiresAt: i.ExpiresAt}
}

// Invite mails an invitation to an address, with a token that is good once and for 7 days; another to the same address takes its place. The
// actor proves password and second factor again: a stolen session brings nobody in. Forbidden but for owners; Invalid; Conflict for who
// is there already; PeopleLimit, counting open invitations; RateLimited; Unauthenticated, TOTPRequired.
func (s *Service) Invite(ctx context.Context, a sweep.Actor, email string, role sweep.Role, p ProvenAgain, c Client) (view InvitationView, err error) {
	if err := mayManagePeople(a); err != nil {
		return view, err
	}
	if email, err = canonicalEmail(email); err != nil {
		return view, err
	}
	if err := checkRole(role); err != nil {
		return view, err
	}
	gates := s.invites(a.Customer, email)
	if err := s.mayWrite(ctx, gates); err != nil {
		return view, err
	}
	err = s.proven(ctx, a, p.Password, p.Code, c, &view, func(tx *store.Tx, u store.User) error {
		if err := s.roomFor(tx, a, email); err != nil {
			return err
		}
		view, err = s.mailInvitation(tx, u, store.Invitation{ID: tx.NewID(), Email: email, Role: role}, c)
		if err != nil {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: a, Action: "person.invited", Object: view.ID, Data: map[string]any{"role": role}})
	})
	if err == nil {
		s.spend(ctx, gates)
	}
	return view, err
}

// invites are the allowances of mails with invitations: to one address one a minute and five a day, and so many of a customer a day.
func (s *Service) invites(customer sweep.ID, email string) []gate {
	to := fmt.Sprintf("invite:%s:%x", customer, s.Pseudonym.Of("email", email))
	return []gate{{to + ":minute", 1, time.Minute}, {to + ":day", 5, 24 * time.Hour}, {"invite:" + customer.String(), invitesPerDay, 24 * time.Hour}}
}

// mayWrite looks whether one more mail may go out, and takes nothing: it may come to none.
func (s *Service) mayWrite(ctx context.Context, gates []gate) error {
	for _, g := range gates {
		shut, err := s.shut(ctx, []gate{g})
		if err != nil {
			return err
		}
		if shut {
			return sweep.Errorf(sweep.RateLimited, "too many mails: wait a while").With("retry_after", int((g.per / time.Duration(g.limit)).Seconds()))
		}
	}
	return nil
}

// spend takes one from each allowance.
func (s *Service) spend(ctx context.Context, gates []gate) {
	for _, g := range gates {
		if _, err := s.Requests.AllowIn(ctx, g.key, g.limit, g.per, 1); err != nil {
			s.Log.ErrorContext(ctx, "a mail not counted", "error", err)
		}
	}
}

// roomFor locks the customer and refuses who is there already and what the plan does not carry.
func (s *Service) roomFor(tx *store.Tx, a sweep.Actor, email string) error {
	limit, err := s.lockPeople(tx, a)
	if err != nil {
		return err
	}
	members, err := tx.Members()
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.Email == email {
			return sweep.Errorf(sweep.Conflict, "this address is one of your people's already")
		}
	}
	open, err := tx.Invitations()
	if err != nil {
		return err
	}
	taken := len(members)
	for _, i := range open {
		if i.Email != email {
			taken++
		}
	}
	if taken >= limit {
		return peopleLimit(limit)
	}
	return nil
}

func peopleLimit(limit int) error {
	return sweep.Errorf(sweep.PeopleLimit, "the plan carries %d people, open invitations counted", limit).With("limit", limit)
}

// mailInvitation puts an invitation in force with a fresh token, in u's name.
func (s *Service) mailInvitation(tx *store.Tx, u store.User, i store.Invitation, c Client) (view InvitationView, err error) {
	var token string
	token, i.Hash = secret.NewToken()
	i.By, i.ExpiresAt = u.ID, tx.Now.Add(inviteWithin)
	if i.ID, err = tx.PutInvitation(i); err != nil {
		return view, err
	}
	if i, err = tx.Invitation(i.ID); err != nil {
		return view, err
	}
	customer, err := tx.LoadCustomer()
	if err != nil {
		return view, err
	}
	err = s.post(tx, customer.DataKey, u.ID, mail.Invitation, mail.Data{To: i.Email, By: u.Email, Role: string(i.Role), Token: token, EndsAt: i.ExpiresAt}, c.RequestID)
	return invitationView(i), err
}

// ResendInvitation mails an invitation again, for 7 days from now: only the newest mail counts. Forbidden but for owners; NotFound;
// RateLimited.
func (s *Service) ResendInvitation(ctx context.Context, a sweep.Actor, id sweep.ID, c Client) (view InvitationView, err error) {
	if err := mayManagePeople(a); err != nil {
		return view, err
	}
	var gates []gate
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		i, err := tx.Invitation(id)
		gates = s.invites(a.Customer, i.Email)
		return err
	})
	if err != nil {
		return view, err
	}
	if err := s.mayWrite(ctx, gates); err != nil {
		return view, err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		return tx.Once(&view, func() error {
			if _, err := s.lockPeople(tx, a); err != nil {
				return err
			}
			i, err := tx.Invitation(id)
			if err != nil {
				return err
			}
			u, err := tx.User(a.User)
			if err != nil {
				return err
			}
			if view, err = s.mailInvitation(tx, u, i, c); err != nil {
				return err
			}
			return tx.Audit(store.AuditEntry{Actor: a, Action: "person.invited_again", Object: view.ID})
		})
	})
	if err == nil {
		s.spend(ctx, gates)
	}
	return view, err
}

// RevokeInvitation makes an invitation's mails worthless. Forbidden but for owners; NotFound.
func (s *Service) RevokeInvitation(ctx context.Context, a sweep.Actor, id sweep.ID) error {
	if err := mayManagePeople(a); err != nil {
		return err
	}
	return s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if _, err := s.lockPeople(tx, a); err != nil {
			return err
		}
		there, err := tx.DropInvitation(id)
		if err == nil && !there {
			err = sweep.Errorf(sweep.NotFound, "there is no such invitation")
		}
		if err != nil {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: a, Action: "person.uninvited", Object: sweep.InvitationID.Show(id)})
	})
}
