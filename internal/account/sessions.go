package account

import (
	"bytes"
	"context"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// SessionView is a browser's session as its person sees it. Access tokens are none.
type SessionView struct {
	ID           string     `json:"id"`
	Device       string     `json:"device" example:"Firefox on Linux" doc:"As it told when it signed in"`
	SameNetwork  bool       `json:"same_network" doc:"Whether it signed in from the network that you are in now"`
	SecondFactor bool       `json:"second_factor" doc:"Whether it gave one"`
	CreatedAt    time.Time  `json:"created_at"`
	ProvenAt     *time.Time `json:"proven_at,omitempty" doc:"When you last showed there who you are: for 15 minutes after that it may end other sessions"`
	SeenAt       time.Time  `json:"seen_at" doc:"The last use, to the minute"`
	ExpiresAt    time.Time  `json:"expires_at" doc:"When it ends if it is not used again; 7 days after it began in any case"`
	Current      bool       `json:"current" doc:"Whether it is yours"`
}

// Sessions lists the actor's own, the last used first.
func (s *Service) Sessions(ctx context.Context, a sweep.Actor, c Client) (views []SessionView, err error) {
	here := s.networkHash(c, 24, 48)
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		sessions, err := tx.Sessions(a.User)
		views = make([]SessionView, len(sessions))
		for i, have := range sessions {
			views[i] = SessionView{ID: sweep.SessionID.Show(have.ID), Device: have.Device, SameNetwork: here != nil && bytes.Equal(have.Network, here), SecondFactor: have.SecondFactor,
				CreatedAt: have.CreatedAt, ProvenAt: orNil(have.ProvenAt), SeenAt: have.SeenAt, ExpiresAt: sweep.SessionEnds(have.SeenAt, have.ExpiresAt), Current: have.ID == a.Session}
		}
		return err
	})
	return views, err
}

// Session is the one that the actor came by. NotFound for who came by a token.
func (s *Service) Session(ctx context.Context, a sweep.Actor, c Client) (SessionView, error) {
	views, err := s.Sessions(ctx, a, c)
	for _, v := range views {
		if v.Current {
			return v, nil
		}
	}
	if err == nil {
		err = sweep.Errorf(sweep.NotFound, "you came by an access token, not by a session")
	}
	return SessionView{}, err
}

// EndSession ends one of the actor's own: at once in this process, within a second in the others. NotFound, also for other people's;
// SignInAgain for who has not signed in lately, unless it is the one that the actor came by.
func (s *Service) EndSession(ctx context.Context, a sweep.Actor, id sweep.ID) error {
	may := a.ProvenLately
	if id == a.Session {
		may = atAnyTime // as Logout
	}
	ended, err := s.endOwn(ctx, a, id, "session.ended", may)
	if err == nil && !ended {
		err = sweep.Errorf(sweep.NotFound, "there is no such session")
	}
	return err
}

func (s *Service) endOwn(ctx context.Context, a sweep.Actor, id sweep.ID, action string, may func(now time.Time) error) (ended bool, err error) {
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if err := may(tx.Now); err != nil {
			return err
		}
		return tx.Once(nil, func() error {
			if ended, err = tx.EndOwnSession(a.User, id); err != nil || !ended {
				return err
			}
			return tx.Audit(store.AuditEntry{Actor: a, Action: action, Object: sweep.SessionID.Show(id)})
		})
	})
	s.sessions.forget(id)
	return ended, err
}

func atAnyTime(time.Time) error { return nil }

// EndOtherSessions ends all of the actor's but the one that the actor came by, and with them every access token. Who came by a token keeps
// the tokens: Logout ends those. Of several that end each other one is left; the others get Unauthenticated. SignInAgain for who has
// not signed in lately.
func (s *Service) EndOtherSessions(ctx context.Context, a sweep.Actor) error {
	err := s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if err := a.ProvenLately(tx.Now); err != nil {
			return err
		}
		if _, err := tx.LockUser(a.User); err != nil { // nobody signs in meanwhile
			return err
		}
		ended, err := tx.EndSessions(a.User, a.Session)
		if err != nil {
			return err
		}
		if err := s.keepOnly(tx, a); err != nil {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: a, Action: "sessions.ended", Object: sweep.UserID.Show(a.User), Data: map[string]any{"sessions": ended}})
	})
	s.forget(a.Customer, a.User)
	return err
}

func (s *Service) keepOnly(tx *store.Tx, a sweep.Actor) error {
	if a.Session.IsZero() {
		return nil
	}
	kept, err := tx.KeepSession(a.User, a.Session)
	if err == nil && !kept {
		err = noSession()
	}
	if err != nil {
		return err
	}
	return tx.EndTokens(a.User)
}

// Logout ends the session that the actor came by, or every token and session of who came by a token: at once in this process, within
// a second in the others.
func (s *Service) Logout(ctx context.Context, a sweep.Actor) error {
	if !a.Session.IsZero() {
		_, err := s.endOwn(ctx, a, a.Session, "user.signed_out", atAnyTime) // ended a moment ago: it is as was asked for
		return err
	}
	err := s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		return tx.Once(nil, func() error {
			if err := tx.EndTokens(a.User); err != nil {
				return err
			}
			return tx.Audit(store.AuditEntry{Actor: a, Action: "user.signed_out", Object: sweep.UserID.Show(a.User)})
		})
	})
	s.forget(a.Customer, a.User)
	return err
}

// ReplaceSession ends the session of a cookie in whose place another is set, whoever's it was.
func (s *Service) ReplaceSession(ctx context.Context, cookie string, c Client) error {
	customer, id, err := s.sessionOwner(ctx, cookie)
	if err != nil || id.IsZero() {
		return err
	}
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		user, err := tx.EndSession(id)
		if err != nil || user.IsZero() {
			return err
		}
		holder := sweep.Actor{Kind: sweep.ByToken, Customer: customer, User: user, RequestID: c.RequestID, AddressHash: s.addressHash(c)}
		return tx.Audit(store.AuditEntry{Actor: holder, Action: "session.replaced", Object: sweep.SessionID.Show(id)})
	})
	s.sessions.forget(id)
	return err
}
