package gmail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"

	"mailsweep/internal/sweep"
)

// ScopeModify is the one right over mail that Mailsweep asks for: labels and trash, not deleting for good.
const ScopeModify = "https://www.googleapis.com/auth/gmail.modify"

// Google's own addresses (accounts.google.com/.well-known/openid-configuration).
const (
	googleAuth   = "https://accounts.google.com/o/oauth2/v2/auth"
	googleToken  = "https://oauth2.googleapis.com/token"
	googleRevoke = "https://oauth2.googleapis.com/revoke"
	googleCerts  = "https://www.googleapis.com/oauth2/v3/certs"
	googleIssuer = "https://accounts.google.com"
)

// Config names our registration with Google. An empty URL or Issuer is Google's.
type Config struct {
	ClientID, ClientSecret string
	RedirectURL            string // where Google sends the customer back to after consent for a mailbox
	SignInRedirectURL      string // and after signing in
	AuthURL, TokenURL      string
	RevokeURL, CertsURL    string
	Issuer                 string // accepted beside Google's
}

// String and GoString leave the secret out.
func (c Config) String() string   { return "gmail.Config{ClientID: " + c.ClientID + "}" }
func (c Config) GoString() string { return c.String() }

// OAuth asks Google accounts for consent. It is used by pointer.
type OAuth struct {
	Config Config
	HTTP   http.RoundTripper // nil = own connections
	Now    func() time.Time  // nil = the machine's clock

	once      sync.Once
	transport http.RoundTripper
	keys      *keySet
	parser    *jwt.Parser
}

// Origin is that of the page on which people consent: forms of ours may lead there.
func (o *OAuth) Origin() string {
	u, err := url.Parse(or(o.Config.AuthURL, googleAuth))
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// Grant is a Google account's consent. RefreshToken is a secret.
type Grant struct {
	Sub          string // Google's stable id of the account
	Email        string
	RefreshToken string
	Scopes       []string
}

// NewVerifier makes the PKCE secret that ties an Exchange to its AuthorizeURL.
func NewVerifier() string { return oauth2.GenerateVerifier() }

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

func (o *OAuth) oauth2() *oauth2.Config {
	c := o.Config
	return &oauth2.Config{
		ClientID: c.ClientID, ClientSecret: c.ClientSecret, RedirectURL: c.RedirectURL,
		Scopes:   []string{"openid", "email", ScopeModify},
		Endpoint: oauth2.Endpoint{AuthURL: or(c.AuthURL, googleAuth), TokenURL: or(c.TokenURL, googleToken), AuthStyle: oauth2.AuthStyleInParams},
	}
}

// AuthorizeURL is where the customer gives consent. loginHint preselects an address and may be empty. prompt=consent makes Google
// give a refresh token also to those who consented before.
func (o *OAuth) AuthorizeURL(state, verifier, loginHint string) string {
	options := []oauth2.AuthCodeOption{oauth2.AccessTypeOffline, oauth2.ApprovalForce, oauth2.S256ChallengeOption(verifier), nonceOption(nonceOf(verifier))}
	if loginHint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", loginHint))
	}
	return o.oauth2().AuthCodeURL(state, options...)
}

// Exchange turns the code that came back into a Grant. Forbidden: the customer left out the right over mail, or Google gave no
// lasting access. BadRequest: the code is void. Unavailable: Google does not answer.
func (o *OAuth) Exchange(ctx context.Context, code, verifier string) (Grant, error) {
	token, err := o.oauth2().Exchange(context.WithValue(ctx, oauth2.HTTPClient, o.client()), code, oauth2.VerifierOption(verifier))
	if err != nil {
		return Grant{}, exchangeError(ctx, err)
	}
	granted, _ := token.Extra("scope").(string)
	g := Grant{RefreshToken: token.RefreshToken, Scopes: strings.Fields(granted)}
	if !slices.Contains(g.Scopes, ScopeModify) {
		return Grant{}, sweep.Errorf(sweep.Forbidden, "the right to change mail was not ticked on Google's page: please connect again and tick it").
			With("detail", "scope_missing")
	}
	if g.RefreshToken == "" {
		return Grant{}, sweep.Errorf(sweep.Forbidden, "Google gave no lasting access: please connect again").With("detail", "offline_missing")
	}
	who, err := o.identity(ctx, token, hashOf(nonceOf(verifier)))
	if err != nil {
		return Grant{}, fmt.Errorf("identify the Google account: %w", err)
	}
	g.Sub, g.Email = who.Sub, who.Email
	return g, nil
}

func exchangeError(ctx context.Context, err error) error {
	var refused *oauth2.RetrieveError
	if ctx.Err() != nil {
		return fmt.Errorf("exchange the code: %w", ctx.Err())
	}
	if !errors.As(err, &refused) {
		return fmt.Errorf("exchange the code: %w (%s)", unavailable(), scrub(err))
	}
	if refused.ErrorCode == "invalid_grant" || refused.ErrorCode == "redirect_uri_mismatch" { // the latter: a code of our other way to Google
		return sweep.Errorf(sweep.BadRequest, "Google's code is used or too old: please start again")
	}
	return fmt.Errorf("exchange the code: %w", judgeToken(refused).err)
}

// Revoke ends a grant at Google. One that is void already counts as done. Unavailable: try again later.
func (o *OAuth) Revoke(ctx context.Context, refreshToken string) error {
	body := strings.NewReader(url.Values{"token": {refreshToken}}.Encode())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, or(o.Config.RevokeURL, googleRevoke), body)
	if err != nil {
		return fmt.Errorf("revoke the grant: the revoke URL is not a URL")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := o.client().Do(r)
	if err != nil {
		return fmt.Errorf("revoke the grant: %w (%s)", unavailable(), scrub(err))
	}
	defer func() { _ = answer.Body.Close() }()
	var told struct{ Error string }
	_ = json.NewDecoder(io.LimitReader(answer.Body, 1<<16)).Decode(&told)
	if answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusBadRequest && told.Error == "invalid_token" {
		return nil
	}
	return fmt.Errorf("revoke the grant: %w (%s)", unavailable(), tag(answer.StatusCode, word(told.Error)))
}
