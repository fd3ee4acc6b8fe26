package google

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"sync"
	"time"
)

// Signer signs id_tokens as Google does, RS256, with a key that is made when it is first needed. It is used by pointer.
type Signer struct {
	once sync.Once
	key  *rsa.PrivateKey
	err  error
}

const keyID = "sim-1"

func (k *Signer) private() (*rsa.PrivateKey, error) {
	k.once.Do(func() { k.key, k.err = rsa.GenerateKey(rand.Reader, 2048) })
	if k.err != nil {
		return nil, fmt.Errorf("make a signing key: %w", k.err)
	}
	return k.key, nil
}

// Sign makes a JWT of claims that JSON can hold.
func (k *Signer) Sign(claims map[string]any) (string, error) { return k.SignAs("JWT", claims) }

// SignAs makes one whose header says another type.
func (k *Signer) SignAs(typ string, claims map[string]any) (string, error) {
	key, err := k.private()
	if err != nil {
		return "", err
	}
	body := segment(map[string]string{"alg": "RS256", "kid": keyID, "typ": typ}) + "." + segment(claims)
	sum := sha256.Sum256([]byte(body))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return body + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// Certs answers with the public key as a JWK set.
func (k *Signer) Certs(w http.ResponseWriter, _ *http.Request) {
	key, err := k.private()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	b64 := base64.RawURLEncoding.EncodeToString
	w.Header().Set("Cache-Control", "public, max-age=20000")
	writeJSON(w, http.StatusOK, map[string]any{"keys": []any{map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": keyID,
		"n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}}})
}

// idToken has the claims that Google sends.
func (s *Sim) idToken(g grant, nonce string) (string, error) {
	now := s.cfg.Now()
	claims := map[string]any{"iss": s.cfg.Issuer, "azp": g.client, "aud": g.client, "sub": subject(g.email), "email": g.email,
		"email_verified": true, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	return s.auth.key.Sign(claims)
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
