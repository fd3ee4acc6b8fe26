package gmail

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"
)

const (
	clockSkew      = 30 * time.Second // between Google's clock and ours
	longestIDToken = 8 << 10          // Google's are about 1,200 bytes
)

// ErrIdentity says that what came as an id_token does not prove who somebody is.
var ErrIdentity = errors.New("the id token is not to be believed")

// Identity is whom Google vouches for. Sub is the identity; the address and the name may change.
type Identity struct {
	Sub   string // Google's stable id of the account
	Email string // verified by Google, as Google spells it
	Name  string // as the person wrote it; ""
	// Keeps says that Google keeps the address's mail, so that it is theirs today. Of another provider's address Google only knows that it was
	// theirs once.
	Keeps bool
}

// idClaims are those of Google's id_tokens that we read. A verified address is a plain true: text or a missing claim is not.
type idClaims struct {
	jwt.RegisteredClaims
	Party    *string `json:"azp"`
	Email    string  `json:"email"`
	Verified bool    `json:"email_verified"`
	Name     string  `json:"name"`
	Nonce    string  `json:"nonce"`
	Hosted   string  `json:"hd"`      // the Workspace domain of the account
	Access   *string `json:"at_hash"` // binds the access token that came with it
}

// identity verifies the id_token that came with a token: RS256 by one of Google's keys, issuer, audience, authorized party, times, the nonce whose
// SHA-256 is given, the token beside it, and a verified address. ErrIdentity when it does not hold; Unavailable when Google's keys cannot be fetched.
func (o *OAuth) identity(ctx context.Context, token *oauth2.Token, nonce []byte) (Identity, error) {
	o.prepare()
	raw, _ := token.Extra("id_token").(string)
	if len(raw) > longestIDToken {
		return Identity{}, fmt.Errorf("%w: too long", ErrIdentity)
	}
	var c idClaims
	var away error
	_, err := o.parser.ParseWithClaims(raw, &c, func(t *jwt.Token) (any, error) {
		key, err := o.signedBy(ctx, t.Header)
		if err != nil && !errors.Is(err, ErrIdentity) {
			away = err
		}
		return key, err
	})
	if away != nil {
		return Identity{}, fmt.Errorf("fetch Google's keys: %w", away)
	}
	if err != nil {
		return Identity{}, unbelieved(err)
	}
	if err := o.believe(c, token.AccessToken, nonce); err != nil {
		return Identity{}, err
	}
	keeps := c.Hosted != "" || strings.HasSuffix(strings.ToLower(c.Email), "@gmail.com")
	return Identity{Sub: c.Subject, Email: c.Email, Name: c.Name, Keeps: keeps}, nil
}

// signedBy is the key that a token's header names. What else the header says of keys (jku, jwk, x5u) is never looked at.
func (o *OAuth) signedBy(ctx context.Context, header map[string]any) (*rsa.PublicKey, error) {
	if _, asks := header["crit"]; asks {
		return nil, fmt.Errorf("%w: it asks for what we do not know", ErrIdentity)
	}
	if typ, told := header["typ"]; told && typ != "JWT" {
		return nil, fmt.Errorf("%w: it is another kind of token", ErrIdentity)
	}
	kid, _ := header["kid"].(string)
	if kid == "" {
		return nil, fmt.Errorf("%w: it names no key", ErrIdentity)
	}
	return o.keys.key(ctx, kid)
}

// believe checks what the signed claims say; the parser has checked the times.
func (o *OAuth) believe(c idClaims, access string, nonce []byte) error {
	issuers := []string{googleIssuer, strings.TrimPrefix(googleIssuer, "https://"), or(o.Config.Issuer, googleIssuer)}
	wrong := ""
	switch {
	case !slices.Contains(issuers, c.Issuer):
		wrong = "another issuer"
	case len(c.Audience) != 1 || c.Audience[0] != o.Config.ClientID:
		wrong = "another audience"
	case c.Party != nil && *c.Party != o.Config.ClientID:
		wrong = "another party"
	case c.IssuedAt == nil || !c.IssuedAt.Before(c.ExpiresAt.Time):
		wrong = "no time of issue before its end"
	case c.Nonce == "" || subtle.ConstantTimeCompare(hashOf(c.Nonce), nonce) != 1:
		wrong = "another nonce"
	case c.Access != nil && *c.Access != halfHash(access):
		wrong = "another access token"
	case c.Subject == "" || len(c.Subject) > 255:
		wrong = "no subject"
	case c.Email == "" || !c.Verified:
		wrong = "no verified address"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrIdentity, wrong)
}

// unbelieved says in fixed words why the parser refused: what it says itself may quote the token.
func unbelieved(err error) error {
	for _, known := range []error{ErrIdentity, jwt.ErrTokenMalformed, jwt.ErrTokenSignatureInvalid, jwt.ErrTokenExpired, jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenNotValidYet} {
		if errors.Is(err, known) {
			return fmt.Errorf("%w: %s", ErrIdentity, known)
		}
	}
	return ErrIdentity
}

// nonceOf is the nonce of an attempt whose PKCE verifier is kept: it needs no place of its own.
func nonceOf(verifier string) string {
	sum := sha256.Sum256([]byte("nonce of " + verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// halfHash is what an RS256 id_token says of a token beside it (OpenID Connect 3.1.3.6).
func halfHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

func hashOf(nonce string) []byte {
	sum := sha256.Sum256([]byte(nonce))
	return sum[:]
}

// client talks to the OAuth addresses only; it follows no redirect, which would carry a secret elsewhere.
func (o *OAuth) client() *http.Client {
	o.prepare()
	return &http.Client{Transport: o.transport, Timeout: tokenTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

func (o *OAuth) prepare() {
	o.once.Do(func() {
		o.transport = o.HTTP
		if o.transport == nil {
			o.transport = NewTransport(o.Config.TokenURL)
		}
		now := o.Now
		if now == nil {
			now = time.Now
		}
		o.keys = &keySet{url: or(o.Config.CertsURL, googleCerts), now: now, turn: make(chan struct{}, 1), http: &http.Client{Transport: o.transport, Timeout: tokenTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
		o.parser = jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
			jwt.WithLeeway(clockSkew), jwt.WithTimeFunc(now), jwt.WithStrictDecoding())
	})
}
