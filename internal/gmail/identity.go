package gmail

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"google.golang.org/api/idtoken"
	"google.golang.org/api/option"
)

// identity verifies an id_token (RS256 against the published keys, audience, expiry, issuer) and reads whom it names.
func (o *OAuth) identity(ctx context.Context, raw string) (sub, email string, err error) {
	o.prepare()
	if o.broken != nil {
		return "", "", o.broken
	}
	payload, err := o.validator.Validate(ctx, raw, o.Config.ClientID)
	if err != nil {
		return "", "", o.identityError(ctx, err)
	}
	issuers := []string{googleIssuer, "accounts.google.com", or(o.Config.Issuer, googleIssuer)}
	if !slices.Contains(issuers, payload.Issuer) {
		return "", "", errors.New("the id token is of another issuer")
	}
	email, _ = payload.Claims["email"].(string)
	verified, told := payload.Claims["email_verified"]
	if payload.Subject == "" || email == "" || told && verified != true && verified != "true" { // some of Google's answers write it as text
		return "", "", errors.New("the id token names no verified address")
	}
	return payload.Subject, email, nil
}

// identityError tells unreachable keys from a bad token.
func (o *OAuth) identityError(ctx context.Context, err error) error {
	var wire *url.Error
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.As(err, &wire) {
		return fmt.Errorf("fetch Google's keys: %w (%s)", unavailable(), scrub(err))
	}
	return errors.New("the id token is not valid")
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
		keys := &http.Client{Transport: keyTransport{to: o.Config.CertsURL, base: o.transport}, Timeout: tokenTimeout}
		o.validator, o.broken = idtoken.NewValidator(context.Background(), option.WithHTTPClient(keys))
	})
}

// keyTransport sends the validator, which knows only Google's own address of the keys, to the configured one. Any other address is
// refused: that leaves RS256 with the keys of Google accounts as the only way to sign an id_token.
type keyTransport struct {
	to   string
	base http.RoundTripper
}

func (k keyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || r.URL.String() != googleCerts {
		return nil, errors.New("not the address of Google's keys")
	}
	to, err := url.Parse(or(k.to, googleCerts))
	if err != nil {
		return nil, errors.New("the address of Google's keys is not a URL")
	}
	out := r.Clone(r.Context())
	out.URL, out.Host = to, to.Host
	return k.base.RoundTrip(out)
}
