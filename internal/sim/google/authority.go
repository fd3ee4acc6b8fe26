package google

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"
)

// Lifetimes of OAuth, in wall-clock time whatever the time scale is.
const (
	codeLifetime   = 10 * time.Minute
	accessLifetime = 3599 * time.Second
)

// Tokens are what a client holds after consent.
type Tokens struct{ Access, Refresh string }

// grant is what one customer allowed one client.
type grant struct {
	email   string
	client  string
	scopes  []string
	expires time.Time // of an access token
	number  int       // of an access token among its mailbox's, from 1
	refresh string
}

// code is an authorization code: good once.
type code struct {
	grant
	redirect  string
	challenge string // PKCE S256
	nonce     string
	offline   bool
	expires   time.Time
}

// authority holds the codes and tokens handed out.
type authority struct {
	mu       *sync.Mutex
	codes    map[string]*code
	tokens   map[string]*grant // access tokens
	refresh  map[string]*grant
	agreed   map[string]*grant // by address and client: what was consented to
	issued   map[string]int    // access tokens by address
	told     map[string]string // addresses that Google tells in the place of others
	forge    func(*idDraft)    // nil: id_tokens are good
	key      Signer
	stranger Signer // signs forgeries
}

func newAuthority() authority {
	return authority{mu: &sync.Mutex{}, codes: map[string]*code{}, tokens: map[string]*grant{}, refresh: map[string]*grant{}, agreed: map[string]*grant{}, issued: map[string]int{}, told: map[string]string{}}
}

func (a *authority) access(token string, now time.Time) (grant, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g, ok := a.tokens[token]
	if !ok || !now.Before(g.expires) {
		return grant{}, false
	}
	return *g, true
}

// issue makes an access token.
func (a *authority) issue(g grant, now time.Time) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.issued[g.email]++
	g.number = a.issued[g.email]
	g.expires = now.Add(accessLifetime)
	token := "ya29." + random(48)
	a.tokens[token] = &g
	return token
}

// keep makes a refresh token for a grant.
func (a *authority) keep(g grant) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	g.refresh = "1//" + random(40)
	a.refresh[g.refresh] = &g
	return g.refresh
}

// agree records consent and says whether it is this client's first for the mailbox.
func (a *authority) agree(g grant, include bool) (all []string, first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := g.email + " " + g.client
	old, known := a.agreed[key]
	all = slices.Clone(g.scopes)
	if known && include {
		for _, s := range old.scopes {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	a.agreed[key] = &grant{email: g.email, client: g.client, scopes: all}
	return all, !known
}

func (a *authority) offer(c *code) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := "4/0" + random(36)
	a.codes[s] = c
	return s
}

// redeem takes a code away, so that it is good once only.
func (a *authority) redeem(s string, now time.Time) (*code, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.codes[s]
	delete(a.codes, s)
	return c, ok && now.Before(c.expires)
}

func (a *authority) refreshable(token string) (grant, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g, ok := a.refresh[token]
	if !ok {
		return grant{}, false
	}
	return *g, true
}

// forget ends every grant that f holds of.
func (a *authority) forget(f func(*grant) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, set := range []map[string]*grant{a.tokens, a.refresh, a.agreed} {
		for k, g := range set {
			if f(g) {
				delete(set, k)
			}
		}
	}
	for k, c := range a.codes {
		if f(&c.grant) {
			delete(a.codes, k)
		}
	}
}

// dropScope takes a scope out of every consent for a mailbox.
func (a *authority) dropScope(email, scope string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, set := range []map[string]*grant{a.tokens, a.refresh, a.agreed} {
		for _, g := range set {
			if g.email == email {
				g.scopes = without(g.scopes, scope)
			}
		}
	}
}

func without(list []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == one })
}

// Grant consents without a browser: tokens for a mailbox, with Gmail's modify scope if none is named.
func (s *Sim) Grant(email string, scopes ...string) (Tokens, error) {
	m, err := s.Mailbox(email)
	if err != nil {
		return Tokens{}, err
	}
	if len(scopes) == 0 {
		scopes = []string{"openid", "email", ScopeModify}
	}
	g := grant{email: m.Email, client: s.cfg.ClientID, scopes: scopes}
	g.refresh = s.auth.keep(g)
	return Tokens{Access: s.auth.issue(g, s.cfg.Now()), Refresh: g.refresh}, nil
}

// Revoke takes back every consent for a mailbox: access tokens answer 401, refresh tokens invalid_grant.
func (s *Sim) Revoke(email string) error {
	m, err := s.Mailbox(email)
	if err != nil {
		return err
	}
	s.auth.forget(func(g *grant) bool { return g.email == m.Email })
	return nil
}

// ExpireAccess makes a mailbox's access tokens expire; refresh tokens stay good.
func (s *Sim) ExpireAccess(email string) {
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	for k, g := range s.auth.tokens {
		if strings.EqualFold(g.email, email) {
			delete(s.auth.tokens, k)
		}
	}
}

// subject is a decimal number of 21 digits, as Google's sub, from the address.
func subject(email string) string {
	sum := sha256.Sum256([]byte("sub " + email))
	n := new(big.Int).Mod(new(big.Int).SetBytes(sum[:]), new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil))
	return fmt.Sprintf("1%020s", n.String())
}

// random gives n characters that nobody can guess.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // crypto/rand never fails
	return base64.RawURLEncoding.EncodeToString(b)[:n]
}
