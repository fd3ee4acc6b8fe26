package account

import (
	"context"
	"time"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// AuthenticateSession tells who holds a session's cookie. Whether it was ended, overtaken by what ends its person's tokens, or its customer
// suspended is looked at every second at least; its idle and absolute ends hold to the second. Unauthenticated; AccountSuspended; IPNotAllowed.
// Whether a page of ours sent it is for the edge to ask.
func (s *Service) AuthenticateSession(ctx context.Context, cookie string, c Client) (sweep.Actor, error) {
	a, seen, now, err := s.holds(ctx, cookie, c)
	if err != nil {
		return sweep.Actor{}, err
	}
	return a, s.noteSeen(ctx, a, seen, now)
}

// CheckSession says whether AuthenticateSession would let a cookie in, and is no use of it: what goes on by itself keeps no session alive.
func (s *Service) CheckSession(ctx context.Context, cookie string, c Client) error {
	_, _, _, err := s.holds(ctx, cookie, c)
	return err
}

// holds is the actor who holds a cookie, when it was last used, and what time it is.
func (s *Service) holds(ctx context.Context, cookie string, c Client) (a sweep.Actor, seen, now time.Time, err error) {
	customer, id, err := s.sessionOwner(ctx, cookie)
	if err == nil && id.IsZero() {
		err = noSession()
	}
	if err != nil {
		return a, seen, now, err
	}
	st, now, err := s.sessionStanding(ctx, customer, id)
	if sweep.CodeOf(err) == sweep.NotFound {
		err = noSession()
	}
	if err != nil {
		return a, seen, now, err
	}
	owes := st.SecondFactor && !st.Given // whatever turned it on has ended this session already
	gone := !st.Customer.DeletedAt.IsZero()
	if gone || !st.InForce || !st.Verified || owes || !now.Before(sweep.SessionEnds(st.SeenAt, st.ExpiresAt)) {
		return a, seen, now, noSession()
	}
	a, err = s.welcome(st.Membership, st.User, c)
	a.Session, a.ProvenAt = id, st.ProvenAt
	return a, st.SeenAt, now, err
}

func noSession() error {
	return sweep.Errorf(sweep.Unauthenticated, "the session is over: please sign in")
}

// sessionOwner finds a cookie's customer; what is none of our cookies is not looked for.
func (s *Service) sessionOwner(ctx context.Context, cookie string) (customer, id sweep.ID, err error) {
	if len(cookie) != cookieLength || !plausible(cookie) {
		return customer, id, nil
	}
	hash := [32]byte(secret.HashToken(cookie))
	if owner, ok := s.sessions.owner(hash); ok {
		return owner[0], owner[1], nil
	}
	customer, id, err = s.DB.SessionOwner(ctx, hash[:])
	if err == nil && !id.IsZero() {
		s.sessions.keepOwner(hash, customer, id)
	}
	return customer, id, err
}

// cookieLength is that of 256 bits in base64url.
const cookieLength = 43

// sessionStanding is what the database said at most a second ago, and its time by now.
func (s *Service) sessionStanding(ctx context.Context, customer, id sweep.ID) (st store.SessionStanding, now time.Time, err error) {
	if st, age, ok := s.sessions.standing(id); ok {
		return st, st.Now.Add(age), nil
	}
	asked := time.Now()
	if st, err = s.DB.SessionStanding(ctx, customer, id); err != nil {
		return st, now, err
	}
	s.sessions.keep(id, st, asked)
	s.seen.keepMember(customer, st.User, st.Membership, asked)
	return st, st.Now, nil
}

// noteSeen writes the last use down once a minute.
func (s *Service) noteSeen(ctx context.Context, a sweep.Actor, seen, now time.Time) error {
	if now.Sub(seen) < time.Minute {
		return nil
	}
	s.sessions.change(a.Session, func(kept *store.SessionStanding) { kept.SeenAt = now })
	return s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error { return tx.UseSession(a.Session) })
}
