package account

import (
	"context"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// PersonView is one of a customer's people. One beyond the plan's people stays and only looks; owners and who came first are kept.
type PersonView struct {
	ID           string     `json:"id"`
	Email        string     `json:"email"`
	Name         string     `json:"name"`
	Role         sweep.Role `json:"role" enum:"owner,operator,viewer"`
	OverLimit    bool       `json:"over_limit" doc:"Beyond the plan's people: only looks, whatever the role"`
	SecondFactor bool       `json:"second_factor"`
	Since        time.Time  `json:"since"`
}

// People are a customer's, with the invitations that nobody has taken yet.
type People struct {
	Items       []PersonView     `json:"items" doc:"Owners first, then who came first"`
	Invitations []InvitationView `json:"invitations" doc:"Open ones, the newest first"`
	Limit       int              `json:"limit" doc:"People that the plan carries; open invitations count"`
}

// People lists the actor's customer's.
func (s *Service) People(ctx context.Context, a sweep.Actor) (p People, err error) {
	p.Items, p.Invitations = []PersonView{}, []InvitationView{}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		customer, err := tx.LoadCustomer()
		if err != nil {
			return err
		}
		p.Limit = s.Plans.PlanAt(customer.Customer, tx.Now).People
		members, err := tx.Members()
		if err != nil {
			return err
		}
		for _, m := range members {
			p.Items = append(p.Items, personView(m, p.Limit))
		}
		open, err := tx.Invitations()
		for _, i := range open {
			p.Invitations = append(p.Invitations, invitationView(i))
		}
		return err
	})
	return p, err
}

func personView(m store.Member, limit int) PersonView {
	return PersonView{ID: sweep.UserID.Show(m.User), Email: m.Email, Name: m.Name, Role: m.Role, OverLimit: m.Rank >= limit, SecondFactor: m.SecondFactor, Since: m.Since}
}

// SetRole changes what one of the customer's people may do, oneself too: within a second everywhere. The actor proves password and second factor
// again. Forbidden but for owners; NotFound; Invalid; Conflict for the last owner; Unauthenticated, TOTPRequired.
func (s *Service) SetRole(ctx context.Context, a sweep.Actor, person sweep.ID, role sweep.Role, p ProvenAgain, c Client) (view PersonView, err error) {
	if err := mayManagePeople(a); err != nil {
		return view, err
	}
	if err := checkRole(role); err != nil {
		return view, err
	}
	err = s.proven(ctx, a, p.Password, p.Code, c, &view, func(tx *store.Tx, _ store.User) error {
		limit, err := s.lockPeople(tx, a)
		if err != nil {
			return err
		}
		m, err := member(tx, person)
		if err != nil {
			return err
		}
		if role != sweep.Owner {
			if err := notTheLastOwner(tx, m); err != nil {
				return err
			}
		}
		if err := tx.SetRole(person, role); err != nil {
			return err
		}
		was := m.Role
		if m, err = member(tx, person); err != nil {
			return err
		}
		view = personView(m, limit)
		return tx.Audit(store.AuditEntry{Actor: a, Action: "person.role_changed", Object: view.ID, Data: map[string]any{"role": role, "was": was}})
	})
	s.forget(a.Customer, person)
	return view, err
}

// Remove ends a membership: sessions, tokens and API keys of the person are worthless here at once and within a second everywhere, invitations
// of theirs are void. Who works for nobody else is forgotten; who does has to sign in again there. Forbidden but for owners; NotFound;
// Conflict for the last owner.
func (s *Service) Remove(ctx context.Context, a sweep.Actor, person sweep.ID) error {
	if err := mayManagePeople(a); err != nil {
		return err
	}
	factor, err := s.takeFactor(ctx, a.Customer, person)
	if err != nil {
		return err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if _, err := tx.LockUser(person); err != nil { // users before customers, as whoever proves a password
			return err
		}
		if _, err := s.lockPeople(tx, a); err != nil {
			return err
		}
		return s.part(tx, a, person, "person.removed")
	})
	s.forget(a.Customer, person)
	if err == nil {
		s.bring(ctx, factor)
	}
	return err
}

// Leave is Remove of oneself, whatever the role, for who proves password and second factor again.
func (s *Service) Leave(ctx context.Context, a sweep.Actor, p ProvenAgain, c Client) error {
	var factor *carried
	if a.Kind == sweep.ByToken {
		var err error
		if factor, err = s.takeFactor(ctx, a.Customer, a.User); err != nil {
			return err
		}
	}
	err := s.proven(ctx, a, p.Password, p.Code, c, nil, func(tx *store.Tx, _ store.User) error {
		if _, err := tx.LockCustomer(); err != nil {
			return err
		}
		return s.part(tx, a, a.User, "person.left")
	})
	s.forget(a.Customer, a.User)
	if err == nil {
		s.bring(ctx, factor)
	}
	return err
}

// part ends a membership under the customer's lock.
func (s *Service) part(tx *store.Tx, a sweep.Actor, person sweep.ID, action string) error {
	m, err := member(tx, person)
	if err != nil {
		return err
	}
	if err := notTheLastOwner(tx, m); err != nil {
		return err
	}
	if err := tx.EndTokens(person); err != nil { // should they come back, their old tokens do not
		return err
	}
	if err := tx.PartWith(person); err != nil {
		return err
	}
	return tx.Audit(store.AuditEntry{Actor: a, Action: action, Object: sweep.UserID.Show(person), Data: map[string]any{"role": m.Role}})
}

func mayManagePeople(a sweep.Actor) error {
	if a.Kind != sweep.ByToken {
		return sweep.Errorf(sweep.Forbidden, "only a person can do this")
	}
	return a.MayAs(sweep.Owner)
}

// lockPeople locks the customer, so that one change of its people happens at a time, and refuses an actor who is no owner by then. It gives
// how many people the plan carries.
func (s *Service) lockPeople(tx *store.Tx, a sweep.Actor) (limit int, err error) {
	customer, err := tx.LockCustomer()
	if err != nil {
		return 0, err
	}
	plan := s.Plans.PlanAt(customer.Customer, tx.Now)
	me, err := member(tx, a.User)
	if sweep.CodeOf(err) == sweep.NotFound || err == nil && plan.RoleOf(me.Role, me.Rank) != sweep.Owner {
		err = sweep.Errorf(sweep.Forbidden, "you are no owner any more")
	}
	return plan.People, err
}

func member(tx *store.Tx, person sweep.ID) (store.Member, error) {
	members, err := tx.Members()
	if err != nil {
		return store.Member{}, err
	}
	for _, m := range members {
		if m.User == person {
			return m, nil
		}
	}
	return store.Member{}, sweep.Errorf(sweep.NotFound, "there is no such person")
}

// notTheLastOwner refuses to go on without the one owner there is.
func notTheLastOwner(tx *store.Tx, m store.Member) error {
	if m.Role != sweep.Owner {
		return nil
	}
	members, err := tx.Members()
	if err != nil {
		return err
	}
	for _, other := range members {
		if other.Role == sweep.Owner && other.User != m.User {
			return nil
		}
	}
	return sweep.Errorf(sweep.Conflict, "this is the last owner: make somebody else an owner first")
}

func checkRole(role sweep.Role) error {
	if role == sweep.Owner || role == sweep.Operator || role == sweep.Viewer {
		return nil
	}
	return sweep.Errorf(sweep.Invalid, "the role is not valid").At("role", "must be one of owner, operator, viewer")
}
