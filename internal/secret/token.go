package secret

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Context says where a sealed token belongs. Opening it for another row, column or customer fails.
type Context struct{ Customer, Provider, Account, Field string }

var escapeParts = strings.NewReplacer(`\`, `\\`, `|`, `\|`)

// bytes is customer|provider|account|field|v1 with separators inside the parts escaped, so that no two contexts agree.
func (c Context) bytes() ([]byte, error) {
	parts := []string{c.Customer, c.Provider, c.Account, c.Field}
	for i, part := range parts {
		if part == "" {
			return nil, errors.New("the context of a token has an empty part")
		}
		parts[i] = escapeParts.Replace(part)
	}
	return []byte(strings.Join(parts, "|") + "|v1"), nil
}

// TokenSealer holds the public half: it can seal and never open.
type TokenSealer struct{ encrypt tink.HybridEncrypt }

// NewTokenSealer takes the public keyset's JSON; it refuses one that holds private keys.
func NewTokenSealer(publicJSON []byte) (*TokenSealer, error) {
	handle, err := keyset.ReadWithNoSecrets(keyset.NewJSONReader(bytes.NewReader(publicJSON)))
	if err != nil {
		return nil, errors.New("token sealer: it is not a public keyset")
	}
	encrypt, err := hybrid.NewHybridEncrypt(handle)
	if err != nil {
		return nil, errors.New("token sealer: the keyset is for another use")
	}
	return &TokenSealer{encrypt}, nil
}

// Seal encrypts for the worker and binds the result to its place.
func (s *TokenSealer) Seal(plain []byte, c Context) ([]byte, error) {
	info, err := c.bytes()
	if err != nil {
		return nil, fmt.Errorf("seal token: %w", err)
	}
	sealed, err := s.encrypt.Encrypt(plain, info)
	if err != nil {
		return nil, fmt.Errorf("seal token: %w", err)
	}
	return sealed, nil
}

// TokenOpener holds the private half.
type TokenOpener struct{ decrypt tink.HybridDecrypt }

// NewTokenOpener takes the private keyset's JSON.
func NewTokenOpener(privateJSON []byte) (*TokenOpener, error) {
	handle, err := parseSecret(privateJSON)
	if err != nil {
		return nil, fmt.Errorf("token opener: %w", err)
	}
	decrypt, err := hybrid.NewHybridDecrypt(handle)
	if err != nil {
		return nil, errors.New("token opener: the keyset is for another use")
	}
	return &TokenOpener{decrypt}, nil
}

// Open decrypts what Seal made for the same context.
func (o *TokenOpener) Open(sealed []byte, c Context) ([]byte, error) {
	info, err := c.bytes()
	if err != nil {
		return nil, fmt.Errorf("open token: %w", err)
	}
	plain, err := o.decrypt.Decrypt(sealed, info)
	if err != nil {
		return nil, fmt.Errorf("open token: %w", err)
	}
	return plain, nil
}

// NewToken makes a token for one reader (32 random bytes in base64url, 43 characters) and the hash to store for it.
func NewToken() (plain string, hash []byte) {
	plain = base64.RawURLEncoding.EncodeToString(random(32))
	return plain, HashToken(plain)
}

// HashToken is the SHA-256 under which a token is stored; 256 random bits need no slow hash.
func HashToken(plain string) []byte {
	sum := sha256.Sum256([]byte(plain))
	return sum[:]
}

// Pseudonym turns addresses, IPs and account ids into values that can be compared but not read back.
type Pseudonym struct{ Key []byte }

// Of is the HMAC-SHA-256 (32 bytes) of a value; the same value of another kind has another pseudonym. The caller brings
// the value into its canonical form first.
func (p Pseudonym) Of(kind, value string) []byte {
	mac := hmac.New(sha256.New, p.Key)
	mac.Write([]byte(kind))
	mac.Write([]byte{0})
	mac.Write([]byte(value))
	return mac.Sum(nil)
}

// Format hides the key under every verb.
func (Pseudonym) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }
