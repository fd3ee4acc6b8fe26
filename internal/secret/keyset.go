// Package secret seals, hashes and makes tokens: what leaves it is either sealed, a hash, or meant for one reader.
package secret

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// Keysets is the JSON of the three keysets of one deployment. TokenPrivate goes to the worker alone, TokenPublic to the
// API, Index to both.
type Keysets struct{ TokenPrivate, TokenPublic, Index []byte }

// Format hides the keys under every verb.
func (Keysets) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// GenerateKeysets makes new random keysets: HPKE (X25519, AES-256-GCM) for tokens, AES-256-GCM for the index.
func GenerateKeysets() (Keysets, error) {
	private, err := keyset.NewHandle(hybrid.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM_Key_Template())
	if err != nil {
		return Keysets{}, fmt.Errorf("make token keyset: %w", err)
	}
	public, err := private.Public()
	if err != nil {
		return Keysets{}, fmt.Errorf("take public half of token keyset: %w", err)
	}
	index, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return Keysets{}, fmt.Errorf("make index keyset: %w", err)
	}
	var a, b, c bytes.Buffer
	err = errors.Join(
		insecurecleartextkeyset.Write(private, keyset.NewJSONWriter(&a)),
		public.WriteWithNoSecrets(keyset.NewJSONWriter(&b)),
		insecurecleartextkeyset.Write(index, keyset.NewJSONWriter(&c)),
	)
	if err != nil {
		return Keysets{}, fmt.Errorf("write keysets: %w", err)
	}
	return Keysets{TokenPrivate: a.Bytes(), TokenPublic: b.Bytes(), Index: c.Bytes()}, nil
}

// ReadKeyset gives the JSON that ref stands for: a file's path or, outside production, the JSON itself or its base64. In
// production the file must be a regular one that nobody but its owner can read (mode 0600 or less). Errors never
// hold any part of ref unless it is a path.
func ReadKeyset(ref string, production bool) ([]byte, error) {
	inline, isInline := inlineKeyset(ref)
	switch {
	case ref == "":
		return nil, errors.New("read keyset: none is configured")
	case isInline && production:
		return nil, errors.New("read keyset: production takes it from a file only")
	case isInline:
		return inline, nil
	}
	info, err := os.Stat(ref)
	if err != nil {
		return nil, errors.New("read keyset: the configured file cannot be found")
	}
	if production && (!info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0) {
		return nil, fmt.Errorf("read keyset %s: mode is %04o, must be 0600", ref, info.Mode().Perm())
	}
	text, err := os.ReadFile(ref)
	if err != nil {
		return nil, fmt.Errorf("read keyset: %w", err)
	}
	return text, nil
}

func inlineKeyset(ref string) ([]byte, bool) {
	ref = strings.TrimSpace(ref)
	if strings.HasPrefix(ref, "{") {
		return []byte(ref), true
	}
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(ref, "-_") {
		encoding = base64.RawURLEncoding
	}
	decoded, err := encoding.DecodeString(strings.TrimRight(ref, "="))
	return decoded, err == nil && bytes.HasPrefix(bytes.TrimSpace(decoded), []byte("{"))
}

// parseSecret reads a keyset with key material. The parser's own error is dropped: it may quote what it read.
func parseSecret(text []byte) (*keyset.Handle, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return nil, errors.New("it is not a keyset with key material")
	}
	return handle, nil
}
