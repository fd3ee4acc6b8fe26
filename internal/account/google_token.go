package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mailsweep/internal/gmail"
)

// EventRefused says why a security event token is not believed, in the words of RFC 8935. Code is one of its error codes.
type EventRefused struct{ Code, Description string }

func (e *EventRefused) Error() string { return e.Code + ": " + e.Description }

func refuseEvent(code, format string, args ...any) error {
	return &EventRefused{Code: code, Description: fmt.Sprintf(format, args...)}
}

const (
	eventIssuer  = "https://accounts.google.com/" // with a slash, unlike that of id tokens: neither passes for the other
	eventFamily  = "https://schemas.openid.net/secevent/"
	eventOldest  = 30 * 24 * time.Hour
	longestEvent = 16 << 10 // bytes
)

// googleEvent is what Google says happened to one account.
type googleEvent struct {
	id      string // the token's: said twice, it is one event
	at      time.Time
	name    string // tokens-revoked
	reason  string // hijacking or bulk-account, of account-disabled
	subject string // Google's number of the account; "" where none is meant
}

type eventClaims struct {
	jwt.RegisteredClaims
	Events map[string]struct {
		Subject struct {
			Type   string `json:"subject_type"`
			Issuer string `json:"iss"`
			Sub    string `json:"sub"`
		} `json:"subject"`
		Reason string `json:"reason"`
	} `json:"events"`
}

// readEvents verifies a security event token (RFC 8417) of Google's: RS256 by a key that Google publishes, its issuer, our client, made not
// after now and not long ago. Such tokens never expire. EventRefused; any other error means that the keys cannot be had.
func (s *Service) readEvents(ctx context.Context, raw string) ([]googleEvent, error) {
	if len(raw) > longestEvent || strings.Count(raw, ".") != 2 {
		return nil, refuseEvent("invalid_request", "the body is no signed security event token")
	}
	var claims eventClaims
	var away error
	parser := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}), jwt.WithIssuer(eventIssuer), jwt.WithAudience(s.ClientID),
		jwt.WithIssuedAt(), jwt.WithLeeway(clockSkew), jwt.WithStrictDecoding())
	_, err := parser.ParseWithClaims(raw, &claims, func(t *jwt.Token) (any, error) {
		key, err := s.eventKey(ctx, t.Header)
		if err != nil && !errors.As(err, new(*EventRefused)) {
			away = err
		}
		return key, err
	})
	switch {
	case away != nil:
		return nil, away
	case err != nil:
		return nil, eventRefusal(err)
	case claims.IssuedAt == nil || time.Since(claims.IssuedAt.Time) > eventOldest:
		return nil, refuseEvent("invalid_request", "the token says no time, or one too long ago")
	case claims.ID == "" || len(claims.ID) > 256:
		return nil, refuseEvent("invalid_request", "the token has no id")
	case len(claims.Events) == 0:
		return nil, refuseEvent("invalid_request", "the token tells of no event")
	}
	return claims.list()
}

// eventKey finds the key that a token's header names, and refuses headers that ask for more than we understand.
func (s *Service) eventKey(ctx context.Context, header map[string]any) (any, error) {
	kid, _ := header["kid"].(string)
	typ, typed := header["typ"].(string)
	_, critical := header["crit"]
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if kid == "" || critical || typed && typ != "secevent+jwt" && typ != "jwt" {
		return nil, refuseEvent("invalid_request", "the token's header is none of a security event token")
	}
	key, err := s.OAuth.SigningKey(ctx, kid)
	if errors.Is(err, gmail.ErrIdentity) {
		return nil, refuseEvent("invalid_key", "the token names a key that Google does not publish")
	}
	return key, err
}

func eventRefusal(err error) error {
	var refused *EventRefused
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return refuseEvent("invalid_issuer", "the token is not of Google's security events")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return refuseEvent("invalid_audience", "the token is meant for somebody else")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return refuseEvent("invalid_key", "the signature is not Google's")
	}
	return refuseEvent("invalid_request", "the token cannot be read, or its times make no sense")
}

// list are the events of a verified token, by name. One of an account must say which.
func (c eventClaims) list() (events []googleEvent, err error) {
	for kind, e := range c.Events {
		name := kind[strings.LastIndex(kind, "/")+1:]
		event := googleEvent{id: c.ID, at: c.IssuedAt.Time, name: name, reason: e.Reason}
		if !strings.HasPrefix(kind, eventFamily) || !slices.Contains(knownEvents, name) {
			event.name = "unknown" // Google may tell of more one day
		}
		if iss := strings.TrimSuffix(e.Subject.Issuer, "/") + "/"; iss == eventIssuer && (e.Subject.Type == "iss-sub" || e.Subject.Type == "id_token_claims") {
			event.subject = e.Subject.Sub
		}
		if event.subject == "" && slices.Contains(endingEvents, name) && e.Subject.Type != "oauth_token" {
			return nil, refuseEvent("invalid_request", "the event names no account")
		}
		events = append(events, event)
	}
	slices.SortFunc(events, func(a, b googleEvent) int { return strings.Compare(a.name, b.name) })
	return events, nil
}
