package app

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"

	"mailsweep/internal/httpapi"
	"mailsweep/internal/secret"
)

// WriteKeys prints a fresh set of every key as environment lines, for development and for filling a secret store.
func WriteKeys(w io.Writer) error {
	sets, err := secret.GenerateKeysets()
	if err != nil {
		return fmt.Errorf("make keysets: %w", err)
	}
	for _, line := range [][2]string{
		{"JWT_KEYS", "k1:" + random(32)}, {"PASSWORD_PEPPERS", "p1:" + random(32)}, {"PSEUDONYM_KEY", random(32)},
		{"TOKEN_KEYSET_PUBLIC", base64.StdEncoding.EncodeToString(sets.TokenPublic)},
		{"TOKEN_KEYSET_PRIVATE", base64.StdEncoding.EncodeToString(sets.TokenPrivate)},
		{"INDEX_KEYSET", base64.StdEncoding.EncodeToString(sets.Index)},
	} {
		if _, err := fmt.Fprintf(w, "%s=%s\n", line[0], line[1]); err != nil {
			return fmt.Errorf("write keys: %w", err)
		}
	}
	return nil
}

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// Spec is the OpenAPI document of the API, made from its code.
func Spec() []byte { return (&httpapi.API{}).Spec() }
