package app

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"

	"mailsweep/internal/config"
	"mailsweep/internal/httpapi"
	"mailsweep/internal/secret"
)

// WriteKeys prints a fresh set of every key as environment lines, for development.
func WriteKeys(w io.Writer) error {
	return writeKeys(w, func(_ string, clear []byte) ([]byte, error) { return clear, nil })
}

// PrintKeys prints the same for filling a secret store; with KEYSET_KEK set, the keysets are encrypted under it.
func PrintKeys(w io.Writer) func(context.Context, config.Config, *slog.Logger) error {
	return func(ctx context.Context, cfg config.Config, _ *slog.Logger) error {
		s, err := keysetSources(ctx, cfg)
		if err != nil {
			return err
		}
		if s.index.KEK == nil {
			return WriteKeys(w)
		}
		return writeKeys(w, func(name string, clear []byte) ([]byte, error) {
			return secret.Source{Name: name, KEK: s.index.KEK}.Encrypt(ctx, clear)
		})
	}
}

func writeKeys(w io.Writer, seal func(name string, clear []byte) ([]byte, error)) error {
	sets, err := secret.GenerateKeysets()
	if err != nil {
		return fmt.Errorf("make keysets: %w", err)
	}
	private, err := seal(secret.TokenKeyset, sets.TokenPrivate)
	if err != nil {
		return err
	}
	index, err := seal(secret.IndexKeyset, sets.Index)
	if err != nil {
		return err
	}
	for _, line := range [][2]string{
		{"JWT_KEYS", "k1:" + random(32)}, {"PASSWORD_PEPPERS", "p1:" + random(32)}, {"PSEUDONYM_KEY", random(32)},
		{"TOKEN_KEYSET_PUBLIC", base64.StdEncoding.EncodeToString(sets.TokenPublic)},
		{"TOKEN_KEYSET_PRIVATE", base64.StdEncoding.EncodeToString(private)},
		{"INDEX_KEYSET", base64.StdEncoding.EncodeToString(index)},
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
