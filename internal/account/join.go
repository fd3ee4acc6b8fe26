package account

import (
	"context"
	"time"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Acceptance answers an invitation. Who is new gives a name, if they like, and the password that they will sign in with; who is known gives
// the password that they have, and the code of a second factor.
type Acceptance struct {
	Token    string `json:"token" maxLength:"100" doc:"From the link in the mail"`
	Name     string `json:"name,omitempty"`
	Password string `json:"password,omitempty" doc:"Of who is new: the one to sign in with from now on. Of who has a login with this address: that login's"`
	Code     string `json:"code,omitempty" maxLength:"40" doc:"Of the second factor, where one is set up"`
}

// AcceptInvitation makes whoever an invitation went to one of the customer's people and signs them in there, once. The mail's token proves the
// address: who is new, or has never proven it, gets the password that is given here. Whoever has a login with the address proves that login's
// password, and second factor: a mail alone joins no two accounts. BadRequest when the token is not good (any more); the rest leaves
// it good: Invalid; Unauthenticated; TOTPRequired, with a challenge after which Join finishes; PeopleLimit; Conflict for who is there already.
func (s *Service) AcceptInvitation(ctx context.Context, r Acceptance, c Client) (Session, error) {
	customer, i, err := s.invitation(ctx, r.Token)
	if err != nil {
		return Session{}, err
	}
	home, u, err := s.find(ctx, i.Email)
	if err != nil {
		return Session{}, err
	}
	if !u.ID.IsZero() && !u.VerifiedAt.IsZero() {
		// What is proven begins no session there: it may be an account that was deleted.
		var proven time.Time
		known := func(tx *store.Tx, u store.User) (Session, error) {
			proven = tx.Now
			return Session{}, s.recognize(tx, u, c, false)
		}
		if _, err := s.byPassword(ctx, i.Email, r.Password, r.Code, c, known); err != nil {
			return Session{}, err
		}
		return s.join(ctx, customer, r.Token, u.ID, proven, c)
	}
	_, name, err := s.checkNewcomer(i.Email, r.Password, r.Name)
	if err != nil {
		return Session{}, err
	}
	hash, err := s.Passwords.Hash(ctx, r.Password)
	if err != nil {
		return Session{}, err
	}
	return s.welcomeNew(ctx, customer, home, r.Token, store.User{Email: i.Email, Name: name, Password: hash}, c)
}

// invitation finds a good one by its token.
func (s *Service) invitation(ctx context.Context, token string) (customer sweep.ID, i store.Invitation, err error) {
	customer, id, err := s.DB.InvitationOwner(ctx, secret.HashToken(token))
	if err != nil {
		return customer, i, err
	}
	if id.IsZero() {
		return customer, i, badInvitation()
	}
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		i, err = tx.Invitation(id)
		return err
	})
	return customer, i, orBadInvitation(err)
}

func badInvitation() error {
	return sweep.Errorf(sweep.BadRequest, "this invitation is not valid any more: ask for another")
}

func orBadInvitation(err error) error {
	if sweep.CodeOf(err) == sweep.NotFound {
		return badInvitation()
	}
	return err
}

// welcomeNew makes a person who has proven the address by the token alone, in the place of a sign-up that waits for a proof of it.
func (s *Service) welcomeNew(ctx context.Context, customer, waiting sweep.ID, token string, u store.User, c Client) (session Session, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		u.ID, u.VerifiedAt = tx.NewID(), tx.Now
		if err := s.admitPerson(tx, token, u.ID, c); err != nil {
			return err
		}
		if err := s.makeRoom(tx, waiting, c); err != nil {
			return err
		}
		added, err := tx.InsertUser(u)
		if err == nil && !added {
			err = sweep.Errorf(sweep.Conflict, "somebody has just signed up with this address: open the link again")
		}
		if err != nil {
			return err
		}
		if err := s.recognize(tx, store.User{ID: u.ID}, c, true); err != nil {
			return err
		}
		session, err = s.begin(tx, u.ID, c, "user.signed_in")
		return err
	})
	return session, err
}

// admitPerson uses an invitation up for a person, if the plan has room. It locks the customer.
func (s *Service) admitPerson(tx *store.Tx, token string, person sweep.ID, c Client) error {
	customer, err := tx.LockCustomer()
	if err != nil {
		return orBadInvitation(err)
	}
	i, err := tx.TakeInvitation(secret.HashToken(token))
	if err != nil {
		return orBadInvitation(err)
	}
	members, err := tx.CountMembers()
	if err != nil {
		return err
	}
	if limit := s.Plans.PlanAt(customer.Customer, tx.Now).People; members >= limit {
		return peopleLimit(limit)
	}
	added, err := tx.AddMember(person, i.Role)
	if err == nil && !added {
		err = sweep.Errorf(sweep.Conflict, "you are one of this account's people already")
	}
	if err != nil {
		return err
	}
	return tx.Audit(store.AuditEntry{Actor: s.actor(tx.Customer, person, i.Role, c), Action: "person.joined", Object: sweep.UserID.Show(person),
		Data: map[string]any{"role": i.Role, "invitation": sweep.InvitationID.Show(i.ID)}})
}

// Join is AcceptInvitation for who is signed in, with the address that the invitation went to. BadRequest; Forbidden for another address;
// PeopleLimit; Conflict for who is there already.
func (s *Service) Join(ctx context.Context, a sweep.Actor, token string, c Client) (Session, error) {
	if a.Kind != sweep.ByToken {
		return Session{}, sweep.Errorf(sweep.Forbidden, "only a person can do this")
	}
	customer, i, err := s.invitation(ctx, token)
	if err != nil {
		return Session{}, err
	}
	var u store.User
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		u, err = tx.User(a.User)
		return err
	})
	if err != nil {
		return Session{}, err
	}
	if u.Email != i.Email {
		return Session{}, sweep.Errorf(sweep.Forbidden, "this invitation went to another address than yours")
	}
	return s.join(ctx, customer, token, u.ID, a.ProvenAt, c)
}

// join lets a person in who has proven who they are, at proven.
func (s *Service) join(ctx context.Context, customer sweep.ID, token string, person sweep.ID, proven time.Time, c Client) (session Session, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		if err := s.admitPerson(tx, token, person, c); err != nil {
			return err
		}
		if _, err := tx.LockUser(person); err != nil { // from here on the fence shows them; who was forgotten meanwhile is not there
			return orBadInvitation(err)
		}
		session, err = s.beginSince(tx, person, proven, c, "user.signed_in")
		return err
	})
	return session, err
}

// CustomerView is a customer that a person works for.
type CustomerView struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Role    sweep.Role `json:"role" enum:"owner,operator,viewer"`
	Since   time.Time  `json:"since"`
	Current bool       `json:"current" doc:"Whether you are signed in there"`
}

// Customers lists for whom the actor works, the longest first: signing in leads to the first of them. Forbidden for keys.
func (s *Service) Customers(ctx context.Context, a sweep.Actor) ([]CustomerView, error) {
	if a.Kind != sweep.ByToken {
		return nil, sweep.Errorf(sweep.Forbidden, "only a person can do this")
	}
	ids, err := s.DB.Memberships(ctx, a.User)
	if err != nil {
		return nil, err
	}
	views := make([]CustomerView, 0, len(ids))
	for _, id := range ids {
		err := s.DB.Tenant(ctx, id, func(tx *store.Tx) error {
			customer, err := tx.LoadCustomer()
			if err != nil {
				return err
			}
			if !customer.DeletedAt.IsZero() {
				return nil // nobody gets in there
			}
			m, err := member(tx, a.User)
			views = append(views, CustomerView{sweep.CustomerID.Show(id), customer.Name, m.Role, m.Since, id == a.Customer})
			return err
		})
		if err != nil && sweep.CodeOf(err) != sweep.NotFound {
			return nil, err
		}
	}
	return views, nil
}

// Switch signs the actor in at another customer that they work for. A second factor belongs to a membership: where they have one with that
// customer its code is asked for. NotFound for whom they do not work for; TOTPRequired with a challenge; Unauthenticated;
// AccountSuspended; Forbidden for keys.
func (s *Service) Switch(ctx context.Context, a sweep.Actor, customer sweep.ID, code string, c Client) (Session, error) {
	if a.Kind != sweep.ByToken {
		return Session{}, sweep.Errorf(sweep.Forbidden, "only a person can do this")
	}
	var u store.User
	err := s.DB.Tenant(ctx, customer, func(tx *store.Tx) (err error) {
		u, err = tx.User(a.User)
		return err
	})
	if err != nil {
		return Session{}, err
	}
	enter := func() (session Session, owes, err error) {
		err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
			if err := unchanged(tx, u); err != nil {
				return err
			}
			if owes, err = s.second(tx, u, code, c); err != nil || owes != nil {
				return err
			}
			session, err = s.beginSince(tx, u.ID, a.ProvenAt, c, "user.signed_in")
			return err
		})
		return session, owes, err
	}
	if code != "" {
		return s.guess(ctx, customer, u, c, enter)
	}
	session, owes, err := enter()
	if err == nil {
		err = owes
	}
	return session, err
}
