package account

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mailsweep/internal/sweep"
)

const (
	tokenLife  = 24 * time.Hour
	clockSkew  = 30 * time.Second // between the machines that sign and verify
	longestJWT = 2048             // ours are below 500 bytes
)

// Key signs access tokens. Seed is the 32 bytes of an Ed25519 private key.
type Key struct {
	ID   string
	Seed []byte
}

// Format hides the seed under every verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// Signer makes and verifies access tokens. They carry ids and a version, nothing about plan, role or person. Their times are the
// machine's clock, not business time: a session is no business fact.
type Signer struct {
	issuer, audience string
	id               string
	private          ed25519.PrivateKey
	public           map[string]ed25519.PublicKey
	parser           *jwt.Parser
}

// NewSigner takes the keys in force: the first signs, all verify. It refuses keys that are short, alike, constant or unnamed.
func NewSigner(issuer, audience string, keys ...Key) (*Signer, error) {
	if issuer == "" || audience == "" || len(keys) == 0 {
		return nil, errors.New("access tokens need an issuer, an audience and a key")
	}
	s := &Signer{issuer: issuer, audience: audience, id: keys[0].ID, public: map[string]ed25519.PublicKey{}}
	for i, k := range keys {
		if err := usable(k, keys[:i]); err != nil {
			return nil, err
		}
		private := ed25519.NewKeyFromSeed(k.Seed)
		s.public[k.ID] = private.Public().(ed25519.PublicKey)
		if i == 0 {
			s.private = private
		}
	}
	s.parser = jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(clockSkew), jwt.WithStrictDecoding())
	return s, nil
}

func usable(k Key, others []Key) error {
	if k.ID == "" || len(k.Seed) != ed25519.SeedSize {
		return fmt.Errorf("the token key %q needs a name and %d bytes", k.ID, ed25519.SeedSize)
	}
	different := map[byte]bool{}
	for _, b := range k.Seed {
		different[b] = true
	}
	if len(different) < 8 {
		return fmt.Errorf("the token key %q is not random", k.ID)
	}
	for _, o := range others {
		if o.ID == k.ID || subtle.ConstantTimeCompare(o.Seed, k.Seed) == 1 {
			return fmt.Errorf("the token keys %q and %q are alike", o.ID, k.ID)
		}
	}
	return nil
}

// claimed is what a token says.
type claimed struct {
	Customer, User sweep.ID
	Version        int
	ProvenAt       time.Time // to the second; zero: not told
	Expires        time.Time
}

type claims struct {
	jwt.RegisteredClaims
	Customer string `json:"cid"`
	Version  int    `json:"tv"`
	Type     string `json:"typ"`
	// AuthTime is OpenID Connect's: when the person signed in.
	AuthTime *jwt.NumericDate `json:"auth_time,omitempty"`
}

func (s *Signer) sign(c claimed) (string, error) { return s.signAs("access", tokenLife, c) }

func (s *Signer) signAs(typ string, life time.Duration, c claimed) (string, error) {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: the runtime ends the process instead
	now := time.Now()
	said := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: s.issuer, Audience: jwt.ClaimStrings{s.audience}, Subject: sweep.UserID.Show(c.User), ID: hex.EncodeToString(id[:]),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
		},
		Customer: sweep.CustomerID.Show(c.Customer), Version: c.Version, Type: typ,
	}
	if !c.ProvenAt.IsZero() {
		said.AuthTime = jwt.NewNumericDate(c.ProvenAt)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, said)
	token.Header["kid"] = s.id
	signed, err := token.SignedString(s.private)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	return signed, nil
}

var errToken = errors.New("not an access token of ours")

// verify checks everything that needs no database, of a plausible token.
func (s *Signer) verify(token string) (claimed, error) {
	who, _, err := s.verifyAs("access", tokenLife, token)
	return who, err
}

// verifyAs tells whose token of a type it is, and its id.
func (s *Signer) verifyAs(typ string, longest time.Duration, token string) (who claimed, id string, err error) {
	var c claims
	if _, err := s.parser.ParseWithClaims(token, &c, s.key); err != nil {
		return claimed{}, "", err
	}
	life := time.Duration(0)
	if c.IssuedAt != nil {
		life = c.ExpiresAt.Sub(c.IssuedAt.Time)
	}
	if c.Type != typ || c.ID == "" || len(c.Audience) != 1 || life <= 0 || life > longest {
		return claimed{}, "", errToken
	}
	user, err := sweep.UserID.Parse(c.Subject)
	if err != nil {
		return claimed{}, "", errToken
	}
	customer, err := sweep.CustomerID.Parse(c.Customer)
	if err != nil || customer.IsZero() {
		return claimed{}, "", errToken
	}
	who = claimed{Customer: customer, User: user, Version: c.Version, Expires: c.ExpiresAt.Time}
	if c.AuthTime != nil {
		who.ProvenAt = c.AuthTime.Time
	}
	return who, c.ID, nil
}

// plausible refuses what is too long and what Go's base64 skips: with a line break inside, a token would have two spellings.
func plausible(token string) bool {
	return len(token) <= longestJWT && !strings.ContainsFunc(token, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// key picks the key by its id among our own. A header that brings or points to a key of its own is refused before it is looked at.
func (s *Signer) key(t *jwt.Token) (any, error) {
	for name := range t.Header {
		if name != "alg" && name != "kid" && name != "typ" {
			return nil, errToken
		}
	}
	id, _ := t.Header["kid"].(string)
	public, ok := s.public[id]
	if !ok || t.Header["typ"] != "JWT" {
		return nil, errToken
	}
	return public, nil
}
