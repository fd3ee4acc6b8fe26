package google

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // for RS512
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// idDraft is an id_token before it is signed.
type idDraft struct {
	header, claims map[string]any
	real, strange  *rsa.PrivateKey
	sign           func(text string) ([]byte, error)
	after          func(signed string) string // what happens to it on its way; nil: nothing
}

func (d *idDraft) token() (string, error) {
	body := segment(d.header) + "." + segment(d.claims)
	signature, err := d.sign(body)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	signed := body + "." + base64.RawURLEncoding.EncodeToString(signature)
	if d.after != nil {
		signed = d.after(signed)
	}
	return signed, nil
}

func (d *idDraft) signedBy(key *rsa.PrivateKey, hash crypto.Hash) {
	d.sign = func(text string) ([]byte, error) {
		h := hash.New()
		h.Write([]byte(text))
		return rsa.SignPKCS1v15(rand.Reader, key, hash, h.Sum(nil))
	}
}

// signedWith signs with a secret that everybody knows, who has the public key.
func (d *idDraft) signedWith(secret []byte) {
	d.header["alg"] = "HS256"
	d.sign = func(text string) ([]byte, error) {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(text))
		return mac.Sum(nil), nil
	}
}

func (d *idDraft) publicPEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(&d.real.PublicKey)
	if err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func (d *idDraft) later(claim string, by time.Duration) {
	if at, ok := d.claims[claim].(int64); ok {
		d.claims[claim] = at + int64(by/time.Second)
	}
}

func claimed(name string, value any) func(*idDraft) {
	return func(d *idDraft) { d.claims[name] = value }
}

func unclaimed(name string) func(*idDraft) {
	return func(d *idDraft) { delete(d.claims, name) }
}

func headed(name string, value any) func(*idDraft) {
	return func(d *idDraft) { d.header[name] = value }
}

func arriving(change func(signed string) string) func(*idDraft) {
	return func(d *idDraft) { d.after = change }
}

// forgeries are all that an id_token can have wrong, by name.
func forgeries() map[string]func(*idDraft) {
	return map[string]func(*idDraft){
		"wrong_key": func(d *idDraft) { d.signedBy(d.strange, crypto.SHA256) },
		"alg_none": func(d *idDraft) {
			d.header["alg"] = "none"
			d.sign = func(string) ([]byte, error) { return nil, nil }
		},
		"alg_hs256_pem":     func(d *idDraft) { d.signedWith(d.publicPEM()) },
		"alg_hs256_modulus": func(d *idDraft) { d.signedWith(d.real.N.Bytes()) },
		"alg_rs512": func(d *idDraft) {
			d.header["alg"] = "RS512"
			d.signedBy(d.real, crypto.SHA512)
		},
		"alg_ps256": func(d *idDraft) {
			d.header["alg"] = "PS256"
			d.sign = func(text string) ([]byte, error) {
				sum := sha256.Sum256([]byte(text))
				return rsa.SignPSS(rand.Reader, d.real, crypto.SHA256, sum[:], nil)
			}
		},
		"alg_missing":  func(d *idDraft) { delete(d.header, "alg") },
		"kid_unknown":  headed("kid", "nobodys"),
		"kid_missing":  func(d *idDraft) { delete(d.header, "kid") },
		"crit_unknown": func(d *idDraft) { d.header["crit"], d.header["b64"] = []string{"b64"}, false },
		"typ_other":    headed("typ", "secevent+jwt"),
		"jwk_own": func(d *idDraft) {
			d.header["kid"], d.header["jwk"] = "own", publicJWK("own", &d.strange.PublicKey)
			d.signedBy(d.strange, crypto.SHA256)
		},
		"no_token":     arriving(func(string) string { return "" }),
		"no_signature": arriving(func(t string) string { return t[:strings.LastIndex(t, ".")+1] }),
		"cut":          arriving(func(t string) string { return t[:len(t)-8] }),
		"changed": arriving(func(t string) string {
			parts := strings.Split(t, ".")
			parts[1] = segment(map[string]any{"sub": "1"})
			return strings.Join(parts, ".")
		}),
		"aud_other":              claimed("aud", "other-client"),
		"aud_missing":            unclaimed("aud"),
		"aud_more":               func(d *idDraft) { d.claims["aud"] = []any{d.claims["aud"], "other-client"} },
		"azp_other":              claimed("azp", "other-client"),
		"iss_other":              claimed("iss", "https://accounts.google.com.evil.example"),
		"iss_http":               claimed("iss", "http://accounts.google.com"),
		"iss_missing":            unclaimed("iss"),
		"expired":                func(d *idDraft) { d.later("exp", -2*time.Hour); d.later("iat", -2*time.Hour) },
		"exp_missing":            unclaimed("exp"),
		"iat_missing":            unclaimed("iat"),
		"iat_to_come":            func(d *idDraft) { d.later("iat", 10*time.Minute) },
		"nbf_to_come":            func(d *idDraft) { d.claims["nbf"] = d.claims["iat"]; d.later("nbf", 10*time.Minute) },
		"at_hash_other":          claimed("at_hash", "another"),
		"nonce_missing":          unclaimed("nonce"),
		"nonce_other":            claimed("nonce", "another"),
		"sub_missing":            unclaimed("sub"),
		"sub_empty":              claimed("sub", ""),
		"email_missing":          unclaimed("email"),
		"email_verified_false":   claimed("email_verified", false),
		"email_verified_missing": unclaimed("email_verified"),
		"email_verified_text":    claimed("email_verified", "true"),
		"email_verified_one":     claimed("email_verified", 1),
	}
}

// Forgeries are the names that ForgeIDTokens takes.
func Forgeries() []string { return slices.Sorted(maps.Keys(forgeries())) }

// ForgeIDTokens lets every id_token to come have something wrong; "" makes them good again. An error for a name that is none of Forgeries.
func (s *Sim) ForgeIDTokens(name string) error {
	forge := forgeries()[name]
	if forge == nil && name != "" {
		return fmt.Errorf("forgery %q is none of %q", name, Forgeries())
	}
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	s.auth.forge = forge
	return nil
}

// RotateKeys signs with a new key from now on, as Google does every other week; the one before is published still.
func (s *Sim) RotateKeys() error { return s.auth.key.Rotate() }

// SayAddress makes Google tell another address for an account from now on, as when its owner changed it to another provider's: the sub stays, no
// domain of Workspace is told. ErrUnknownMailbox.
func (s *Sim) SayAddress(email, other string) error {
	m, err := s.Mailbox(email)
	if err != nil {
		return err
	}
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	s.auth.told[m.Email] = other
	return nil
}
