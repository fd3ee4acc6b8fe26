package google

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// securityEvents are what Google's Cross-Account Protection tells of (developers.google.com/identity/protocols/risc), with the family each belongs to.
var securityEvents = map[string]string{
	"sessions-revoked": "risc", "account-disabled": "risc", "account-enabled": "risc", "account-credential-change-required": "risc",
	"account-purged": "risc", "tokens-revoked": "oauth", "verification": "risc",
}

// SecurityEvents are their names.
func SecurityEvents() (names []string) {
	for name := range securityEvents {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// securityIssuer signs security event tokens: with a slash, unlike the issuer of id_tokens.
func (s *Sim) securityIssuer() string { return strings.TrimSuffix(s.cfg.Issuer, "/") + "/" }

// SecurityEventToken makes the signed token (RFC 8417) that tells a client of an event of a mailbox's account. reason is "hijacking" or
// "bulk-account" for account-disabled, and what to give back for verification. ErrUnknownMailbox.
func (s *Sim) SecurityEventToken(email, event, reason string) (string, error) {
	m, err := s.Mailbox(email)
	if err != nil {
		return "", err
	}
	family, known := securityEvents[event]
	if !known {
		return "", fmt.Errorf("security event %q is none of %q", event, SecurityEvents())
	}
	what := map[string]any{"subject": map[string]string{"subject_type": "iss-sub", "iss": s.securityIssuer(), "sub": m.Sub}}
	switch {
	case event == "verification":
		what = map[string]any{"state": reason}
	case reason != "":
		what["reason"] = reason
	}
	return s.auth.key.SignAs("secevent+jwt", map[string]any{"iss": s.securityIssuer(), "aud": s.cfg.ClientID, "iat": s.cfg.Now().Unix(), "jti": random(32),
		"events": map[string]any{"https://schemas.openid.net/secevent/" + family + "/event-type/" + event: what}})
}

// TellSecurityEvent lets an event happen and posts it to a receiver; it gives the receiver's status, which has to be 202. A revocation, a
// disabled and a purged account end all consents first. ErrUnknownMailbox; an error too when the receiver does not take it.
func (s *Sim) TellSecurityEvent(email, event, reason, url string) (status int, err error) {
	token, err := s.SecurityEventToken(email, event, reason)
	if err != nil {
		return 0, err
	}
	if slices.Contains([]string{"tokens-revoked", "account-disabled", "account-purged"}, event) {
		if err := s.Revoke(email); err != nil {
			return 0, err
		}
	}
	return post(url, []byte(token), http.Header{"Content-Type": {"application/secevent+jwt"}, "Accept": {"application/json"}})
}

// riscDiscovery answers /.well-known/risc-configuration: who signs, and where the keys are.
func (s *Sim) riscDiscovery(w http.ResponseWriter, r *http.Request) {
	base := "http://" + r.Host
	if r.TLS != nil {
		base = "https://" + r.Host
	}
	writeJSON(w, http.StatusOK, map[string]any{"issuer": s.securityIssuer(), "jwks_uri": base + "/oauth2/v3/certs",
		"delivery_methods_supported": []string{"https://schemas.openid.net/secevent/risc/delivery-method/push"}})
}
