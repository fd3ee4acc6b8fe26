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
type TokenSealer struct{ *ring[tink.HybridEncrypt] }

// NewTokenSealer takes the public keyset's JSON; it refuses one that holds private keys.
func NewTokenSealer(publicJSON []byte) (*TokenSealer, error) {
	return FollowTokenSealer(Source{fixed: publicJSON})
}

// FollowTokenSealer takes the public keyset from a source, now and at each Renew.
func FollowTokenSealer(source Source) (*TokenSealer, error) {
	r, err := newRing(source, parsePublic, func(h *keyset.Handle) (tink.HybridEncrypt, error) {
		encrypt, err := hybrid.NewHybridEncrypt(h)
		if err != nil {
			return nil, errors.New("the keyset is for another use")
		}
		return encrypt, nil
	})
	if err != nil {
		return nil, fmt.Errorf("token sealer: %w", err)
	}
	return &TokenSealer{r}, nil
}

func parsePublic(text []byte) (*keyset.Handle, error) {
	handle, err := keyset.ReadWithNoSecrets(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return nil, errors.New("it is not a public keyset")
	}
	return handle, nil
}

// Seal encrypts for the worker and binds the result to its place.
func (s *TokenSealer) Seal(plain []byte, c Context) ([]byte, error) {
	return seal(s.current(), plain, c)
}

func seal(encrypt tink.HybridEncrypt, plain []byte, c Context) ([]byte, error) {
	info, err := c.bytes()
	if err != nil {
		return nil, fmt.Errorf("seal token: %w", err)
	}
	sealed, err := encrypt.Encrypt(plain, info)
	if err != nil {
		return nil, fmt.Errorf("seal token: %w", err)
	}
	return sealed, nil
}

// TokenOpener holds the private half.
type TokenOpener struct{ *ring[tokenPair] }

type tokenPair struct {
	tink.HybridDecrypt
	tink.HybridEncrypt
}

// NewTokenOpener takes the private keyset's JSON.
func NewTokenOpener(privateJSON []byte) (*TokenOpener, error) {
	return FollowTokenOpener(Source{Name: TokenKeyset, fixed: privateJSON})
}

// FollowTokenOpener takes the private keyset from a source, now, at each Renew, and when it meets a key that it does not know.
func FollowTokenOpener(source Source) (*TokenOpener, error) {
	r, err := newRing(source, parseSecret, newTokenPair)
	if err != nil {
		return nil, fmt.Errorf("token opener: %w", err)
	}
	return &TokenOpener{r}, nil
}

func newTokenPair(h *keyset.Handle) (p tokenPair, err error) {
	anotherUse := errors.New("the keyset is for another use")
	if p.HybridDecrypt, err = hybrid.NewHybridDecrypt(h); err != nil {
		return p, anotherUse
	}
	public, err := h.Public()
	if err != nil {
		return p, anotherUse
	}
	if p.HybridEncrypt, err = hybrid.NewHybridEncrypt(public); err != nil {
		return p, anotherUse
	}
	return p, nil
}

// Open decrypts what Seal made for the same context.
func (o *TokenOpener) Open(sealed []byte, c Context) ([]byte, error) {
	info, err := c.bytes()
	if err != nil {
		return nil, fmt.Errorf("open token: %w", err)
	}
	plain, err := o.holding(sealedBy(sealed)).Decrypt(sealed, info)
	if err != nil {
		return nil, fmt.Errorf("open token: %w", err)
	}
	return plain, nil
}

// Reseal seals what was sealed under any key for the same context under the primary one.
func (o *TokenOpener) Reseal(sealed []byte, c Context) ([]byte, error) {
	plain, err := o.Open(sealed, c)
	if err != nil {
		return nil, err
	}
	return seal(o.current(), plain, c)
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
