package secret

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// The keysets that this process can change.
const (
	TokenKeyset = "token"
	IndexKeyset = "index"
)

// kekTime is how long the service that holds the key of keysets may take.
const kekTime = 10 * time.Second

// Source is where a keyset is kept: Ref is for ReadKeyset. With a KEK the file is a keyset that is encrypted under it and bound to Name; in
// production none in clear is taken then.
type Source struct {
	Name       string
	Ref        string
	Production bool
	KEK        tink.AEADWithContext

	fixed []byte
}

// Format hides where the keyset is, which may be the keyset itself.
func (s Source) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.Name + ":[redacted]")) }

func (s Source) raw() ([]byte, error) {
	if s.fixed != nil {
		return s.fixed, nil
	}
	return ReadKeyset(s.Ref, s.Production)
}

// Encrypted says whether a keyset's JSON is encrypted, by its form alone.
func Encrypted(text []byte) bool {
	var form struct {
		Sealed []byte `json:"encryptedKeyset"`
	}
	return json.Unmarshal(text, &form) == nil && len(form.Sealed) > 0
}

// clear is the keyset in clear. The errors of parsers are dropped: they may quote what they read.
func (s Source) clear(raw []byte) ([]byte, error) {
	switch {
	case !Encrypted(raw) && s.KEK != nil && s.Production:
		return nil, errors.New("read keyset: it is in clear, although KEYSET_KEK says that it is encrypted")
	case !Encrypted(raw):
		return raw, nil
	case s.KEK == nil:
		return nil, errors.New("read keyset: it is encrypted, and KEYSET_KEK does not say by which key")
	}
	ctx, cancel := context.WithTimeout(context.Background(), kekTime)
	defer cancel()
	handle, err := keyset.ReadWithContext(ctx, keyset.NewJSONReader(bytes.NewReader(raw)), s.KEK, s.place())
	if err != nil {
		return nil, fmt.Errorf("decrypt keyset: %w", err)
	}
	var clear bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&clear)); err != nil {
		return nil, errors.New("decrypt keyset: it cannot be written out")
	}
	return clear.Bytes(), nil
}

// sealed is what to store for a keyset.
func (s Source) sealed(ctx context.Context, handle *keyset.Handle) ([]byte, error) {
	var b bytes.Buffer
	if s.KEK == nil {
		err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b))
		return b.Bytes(), doing(err, "write keyset")
	}
	ctx, cancel := context.WithTimeout(ctx, kekTime)
	defer cancel()
	err := handle.WriteWithContext(ctx, keyset.NewJSONWriter(&b), s.KEK, s.place())
	return b.Bytes(), doing(err, "encrypt keyset")
}

func doing(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Encrypt gives what to store for a keyset in clear.
func (s Source) Encrypt(ctx context.Context, clear []byte) ([]byte, error) {
	handle, err := parseSecret(clear)
	if err != nil {
		return nil, err
	}
	return s.sealed(ctx, handle)
}

// place is what an encrypted keyset is bound to: the file of one keyset is not taken for another's.
func (s Source) place() []byte { return []byte("keyset|" + s.Name + "|v1") }
