package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

const redacted = "[redacted]"

// Secret is a string that shows itself to Reveal alone: every way of printing it gives [redacted]. It holds a pointer so
// that even a printer that looks into unexported fields sees an address only.
type Secret struct{ value *string }

// NewSecret wraps a value.
func NewSecret(s string) Secret { return Secret{&s} }

// Reveal is the value itself, for the one place that needs it.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether nothing was given.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// UnmarshalText takes the value from the environment.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// String hides the value.
func (s Secret) String() string { return redacted }

// GoString hides the value.
func (s Secret) GoString() string { return redacted }

// Format hides the value under every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the value, in JSON, YAML and XML too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON hides the value.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Key is a named key, written id:base64; its id may be shown, its bytes print as [redacted].
type Key struct {
	ID    string
	value *[]byte
}

// NewKey names some bytes.
func NewKey(id string, value []byte) Key { return Key{ID: id, value: &value} }

// Bytes is the key itself; nil when none was given.
func (k Key) Bytes() []byte {
	if k.value == nil {
		return nil
	}
	return *k.value
}

// UnmarshalText reads id:base64 or plain base64, standard or URL alphabet, padded or not. Its errors never echo the text.
func (k *Key) UnmarshalText(text []byte) error {
	id, encoded, named := strings.Cut(strings.TrimSpace(string(text)), ":")
	if !named {
		id, encoded = "", id
	}
	value, err := decodeBase64(encoded)
	if err != nil {
		return errors.New("a key is not valid base64")
	}
	*k = NewKey(id, value)
	return nil
}

func decodeBase64(s string) ([]byte, error) {
	s = strings.TrimRight(strings.TrimSpace(s), "=")
	if strings.ContainsAny(s, "-_") {
		return base64.RawURLEncoding.DecodeString(s)
	}
	return base64.RawStdEncoding.DecodeString(s)
}

// String shows the id alone.
func (k Key) String() string { return k.ID + ":" + redacted }

// GoString shows the id alone.
func (k Key) GoString() string { return k.String() }

// Format shows the id alone under every verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// LogValue shows the id alone.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText shows the id alone.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
