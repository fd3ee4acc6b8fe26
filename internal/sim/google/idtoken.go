package google

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Signer signs id_tokens as Google does, RS256, with a key that is made when it is first needed. It is used by pointer.
type Signer struct {
	mu   sync.Mutex
	keys []signingKey // the last signs
}

type signingKey struct {
	id  string
	key *rsa.PrivateKey
}

const keyBits = 2048

// private is the key that signs.
func (k *Signer) private() (string, *rsa.PrivateKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) == 0 {
		if err := k.add(); err != nil {
			return "", nil, err
		}
	}
	last := k.keys[len(k.keys)-1]
	return last.id, last.key, nil
}

func (k *Signer) add() error {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return fmt.Errorf("make a signing key: %w", err)
	}
	k.keys = append(k.keys, signingKey{"sim-" + strconv.Itoa(len(k.keys)+1), key})
	return nil
}

// Rotate signs with a new key from now on; those before are published still.
func (k *Signer) Rotate() error {
	if _, _, err := k.private(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.add()
}

// Sign makes a JWT of claims that JSON can hold.
func (k *Signer) Sign(claims map[string]any) (string, error) { return k.SignAs("JWT", claims) }

// SignAs makes one whose header says another type.
func (k *Signer) SignAs(typ string, claims map[string]any) (string, error) {
	id, key, err := k.private()
	if err != nil {
		return "", err
	}
	d := &idDraft{header: map[string]any{"alg": "RS256", "kid": id, "typ": typ}, claims: claims}
	d.signedBy(key, crypto.SHA256)
	return d.token()
}

// Certs answers with the public keys as a JWK set.
func (k *Signer) Certs(w http.ResponseWriter, _ *http.Request) {
	if _, _, err := k.private(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	k.mu.Lock()
	set := []any{}
	for _, one := range slices.Backward(k.keys) {
		set = append(set, publicJWK(one.id, &one.key.PublicKey))
	}
	k.mu.Unlock()
	w.Header().Set("Cache-Control", "public, max-age=20000")
	writeJSON(w, http.StatusOK, map[string]any{"keys": set})
}

func publicJWK(id string, key *rsa.PublicKey) map[string]string {
	b64 := base64.RawURLEncoding.EncodeToString
	return map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": id, "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
}

// claims are what Google says of an account in an id_token beside an access token.
func (s *Sim) claims(g grant, access, nonce string) map[string]any {
	now, sum := s.cfg.Now(), sha256.Sum256([]byte(access))
	claims := map[string]any{"iss": s.cfg.Issuer, "azp": g.client, "aud": g.client, "sub": subject(g.email), "email": s.address(g.email),
		"email_verified": true, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])}
	if hd := s.hosted(g.email); hd != "" {
		claims["hd"] = hd
	}
	if slices.Contains(g.scopes, "profile") {
		claims["name"] = "Ada of " + g.email
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	return claims
}

// address is what Google tells as an account's.
func (s *Sim) address(email string) string {
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	return cmp.Or(s.auth.told[email], email)
}

// hosted is the Workspace domain of an account: that of its address, unless it is Gmail's or Google tells another.
func (s *Sim) hosted(email string) string {
	_, domain, _ := strings.Cut(email, "@")
	if domain == "gmail.com" || s.address(email) != email {
		return ""
	}
	return domain
}

// idToken is signed, unless it is to be forged.
func (s *Sim) idToken(g grant, access, nonce string) (string, error) {
	s.auth.mu.Lock()
	forge := s.auth.forge
	s.auth.mu.Unlock()
	claims := s.claims(g, access, nonce)
	if forge == nil {
		return s.auth.key.Sign(claims)
	}
	id, key, err := s.auth.key.private()
	if err != nil {
		return "", err
	}
	_, strange, err := s.auth.stranger.private()
	if err != nil {
		return "", err
	}
	d := &idDraft{header: map[string]any{"alg": "RS256", "kid": id, "typ": "JWT"}, claims: claims, real: key, strange: strange}
	d.signedBy(key, crypto.SHA256)
	forge(d)
	return d.token()
}

func segment(v any) string {
	b, _ := json.Marshal(v) // what JSON can hold
	return base64.RawURLEncoding.EncodeToString(b)
}

// discovery answers /.well-known/openid-configuration with addresses on this server.
func (s *Sim) discovery(w http.ResponseWriter, r *http.Request) {
	base := "http://" + r.Host
	if r.TLS != nil {
		base = "https://" + r.Host
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": s.cfg.Issuer, "authorization_endpoint": base + "/o/oauth2/v2/auth", "token_endpoint": base + "/token",
		"userinfo_endpoint": base + "/oauth2/v3/userinfo", "revocation_endpoint": base + "/revoke", "jwks_uri": base + "/oauth2/v3/certs",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"}, "scopes_supported": []string{"openid", "email", "profile"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
		"code_challenge_methods_supported":      []string{"S256"},
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the client is gone if this fails
}
