package account

import (
	"context"
	"crypto/sha256"
	"maps"
	"sync"
	"time"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const (
	recheck     = time.Second // how old what we know of a member may be
	cachedItems = 20_000      // of each kind; one costs about 150 bytes
)

// Authenticate tells who holds a bearer token or an API key. The signature is checked once per token, whether it was revoked or the customer
// suspended at least every second; role and plan never come from the token. Unauthenticated; AccountSuspended; IPNotAllowed.
func (s *Service) Authenticate(ctx context.Context, bearer string, c Client) (sweep.Actor, error) {
	if secret.IsAPIKey(bearer) {
		return s.authenticateKey(ctx, bearer, c)
	}
	who, ok := s.holder(bearer)
	if !ok {
		return sweep.Actor{}, noToken()
	}
	m, err := s.member(ctx, who)
	if sweep.CodeOf(err) == sweep.NotFound {
		return sweep.Actor{}, noToken()
	}
	if err != nil {
		return sweep.Actor{}, err
	}
	if m.TokenVersion != who.Version || !m.Verified {
		return sweep.Actor{}, noToken()
	}
	if !m.Customer.DeletedAt.IsZero() {
		return sweep.Actor{}, noToken()
	}
	a, err := s.welcome(m, who.User, c)
	a.ProvenAt = who.ProvenAt
	return a, err
}

// welcome is the actor that a member is, unless the customer is suspended or does not list the caller's address.
func (s *Service) welcome(m store.Membership, user sweep.ID, c Client) (sweep.Actor, error) {
	if !m.Customer.SuspendedAt.IsZero() {
		return sweep.Actor{}, suspended()
	}
	return s.actor(m.Customer.ID, user, s.Plans.PlanAt(m.Customer, m.Now).RoleOf(m.Role, m.Rank), c), s.admitted(m.Customer, m.Allowlist, m.Now, c)
}

// Plan is what a's customer may use, as of a second ago at most.
func (s *Service) Plan(ctx context.Context, a sweep.Actor) (sweep.Plan, error) {
	if a.Kind == sweep.ByKey {
		k, err := s.keyStanding(ctx, a.Customer, a.User)
		return s.Plans.PlanAt(k.Customer, k.Now), err
	}
	m, err := s.member(ctx, claimed{Customer: a.Customer, User: a.User})
	return s.Plans.PlanAt(m.Customer, m.Now), err
}

func noToken() error {
	return sweep.Errorf(sweep.Unauthenticated, "the access token is missing, expired or not valid: please sign in")
}

func (s *Service) holder(bearer string) (claimed, bool) {
	if !plausible(bearer) {
		return claimed{}, false
	}
	key := sha256.Sum256([]byte(bearer))
	if who, ok := s.seen.token(key); ok {
		return who, time.Now().Before(who.Expires)
	}
	who, err := s.Signer.verify(bearer)
	if err != nil {
		return claimed{}, false
	}
	s.seen.keepToken(key, who)
	return who, true
}

func (s *Service) member(ctx context.Context, who claimed) (store.Membership, error) {
	if m, ok := s.seen.member(who.Customer, who.User); ok && m.TokenVersion >= who.Version { // a newer token says that what is known is old
		return m, nil
	}
	asked := time.Now()
	m, err := s.DB.Membership(ctx, who.Customer, who.User)
	if err == nil {
		s.seen.keepMember(who.Customer, who.User, m, asked)
	}
	return m, err
}

// forget asks the database again about a person and all of their sessions.
func (s *Service) forget(customer, user sweep.ID) {
	s.seen.forget(customer, user)
	s.sessions.forgetAll(func(st store.SessionStanding) bool { return st.User == user })
}

// cache remembers verified tokens until they expire and memberships for a second.
type cache struct {
	mu      sync.Mutex
	tokens  map[[32]byte]claimed
	members map[[2]sweep.ID]seenMember
}

type seenMember struct {
	store.Membership
	at time.Time // before the database was asked
}

func (c *cache) token(key [32]byte) (claimed, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	who, ok := c.tokens[key]
	return who, ok
}

func (c *cache) keepToken(key [32]byte, who claimed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens == nil {
		c.tokens = map[[32]byte]claimed{}
	}
	if len(c.tokens) >= cachedItems {
		now := time.Now()
		maps.DeleteFunc(c.tokens, func(_ [32]byte, w claimed) bool { return !now.Before(w.Expires) })
	}
	if len(c.tokens) >= cachedItems {
		clear(c.tokens) // a token verified again costs 54 µs
	}
	c.tokens[key] = who
}

func (c *cache) member(customer, user sweep.ID) (store.Membership, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.members[[2]sweep.ID{customer, user}]
	return m.Membership, ok && time.Since(m.at) < recheck
}

func (c *cache) keepMember(customer, user sweep.ID, m store.Membership, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.members == nil {
		c.members = map[[2]sweep.ID]seenMember{}
	}
	if len(c.members) >= cachedItems {
		clear(c.members)
	}
	c.members[[2]sweep.ID{customer, user}] = seenMember{m, at}
}

func (c *cache) forget(customer, user sweep.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.members, [2]sweep.ID{customer, user})
}
