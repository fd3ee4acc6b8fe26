package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"mailsweep/internal/sweep"
)

// KeyInfo is one key of a keyset, without what is secret of it.
type KeyInfo struct {
	ID      uint32
	Enabled bool
	Primary bool
}

// Keys lists a keyset's keys, the oldest first.
func (s Source) Keys() (keys []KeyInfo, err error) {
	handle, err := s.handle()
	if err != nil {
		return nil, err
	}
	info := handle.KeysetInfo()
	for _, k := range info.GetKeyInfo() {
		keys = append(keys, KeyInfo{ID: k.GetKeyId(), Enabled: k.GetStatus() == tinkpb.KeyStatusType_ENABLED, Primary: k.GetKeyId() == info.GetPrimaryKeyId()})
	}
	return keys, nil
}

// Public is the JSON of the public half, which seals under the primary key.
func (s Source) Public() ([]byte, error) {
	handle, err := s.handle()
	if err != nil {
		return nil, err
	}
	public, err := handle.Public()
	if err != nil {
		return nil, errors.New("take public half: the keyset has none")
	}
	var b bytes.Buffer
	err = public.WriteWithNoSecrets(keyset.NewJSONWriter(&b))
	return b.Bytes(), doing(err, "write public half")
}

// Add puts a new key into the keyset's file. It opens from now on, and seals nothing before Promote.
func (s Source) Add(ctx context.Context) (id uint32, err error) {
	template := aead.AES256GCMKeyTemplate()
	if s.Name == TokenKeyset {
		template = hybrid.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM_Key_Template()
	}
	err = s.change(ctx, func(m *keyset.Manager, _ map[uint32]KeyInfo) (err error) {
		id, err = m.Add(template)
		return err
	})
	return id, err
}

// Promote makes an enabled key the one that seals. NotFound; Conflict when it is disabled.
func (s Source) Promote(ctx context.Context, id uint32) error {
	return s.change(ctx, func(m *keyset.Manager, have map[uint32]KeyInfo) error {
		if key, ok := have[id]; !ok || !key.Enabled {
			return refusal(ok, "it is disabled")
		}
		return m.SetPrimary(id)
	})
}

// Disable keeps a key that opens nothing any more. The caller knows that nothing is sealed under it. NotFound; Conflict when it is the
// primary one.
func (s Source) Disable(ctx context.Context, id uint32) error {
	return s.change(ctx, func(m *keyset.Manager, have map[uint32]KeyInfo) error {
		if key, ok := have[id]; !ok || key.Primary {
			return refusal(ok, "it is the primary one: promote another first")
		}
		return m.Disable(id)
	})
}

// Destroy takes a disabled key out of the file. NotFound; Conflict when it is enabled.
func (s Source) Destroy(ctx context.Context, id uint32) error {
	return s.change(ctx, func(m *keyset.Manager, have map[uint32]KeyInfo) error {
		if key, ok := have[id]; !ok || key.Enabled {
			return refusal(ok, "it is enabled: disable it first")
		}
		return m.Delete(id)
	})
}

func refusal(known bool, why string) error {
	if !known {
		return sweep.Errorf(sweep.NotFound, "there is no such key in the keyset")
	}
	return sweep.Errorf(sweep.Conflict, "the key stays as it is: %s", why)
}

func (s Source) handle() (*keyset.Handle, error) {
	raw, err := s.raw()
	if err != nil {
		return nil, err
	}
	text, err := s.clear(raw)
	if err != nil {
		return nil, err
	}
	return parseSecret(text)
}

// change rewrites the keyset's file in one step. The new file, made before the old one is read, keeps everybody else from doing so at
// the same time: two changes at once would lose a key, with all that is sealed under it.
func (s Source) change(ctx context.Context, f func(m *keyset.Manager, have map[uint32]KeyInfo) error) (err error) {
	if _, inline := inlineKeyset(s.Ref); inline || s.Ref == "" {
		return sweep.Errorf(sweep.Invalid, "only a keyset in a file can be changed")
	}
	file, err := os.OpenFile(s.Ref+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return sweep.Errorf(sweep.Conflict, "somebody else is changing the keyset; if nobody is, remove %s.new", s.Ref)
	}
	if err != nil {
		return fmt.Errorf("change keyset: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	text, err := s.changed(ctx, f)
	if err == nil {
		_, err = file.Write(text)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), s.Ref); err != nil {
		return fmt.Errorf("change keyset: %w", err)
	}
	return syncFolder(filepath.Dir(s.Ref))
}

func (s Source) changed(ctx context.Context, f func(m *keyset.Manager, have map[uint32]KeyInfo) error) ([]byte, error) {
	handle, err := s.handle()
	if err != nil {
		return nil, err
	}
	keys, err := s.Keys()
	if err != nil {
		return nil, err
	}
	have := map[uint32]KeyInfo{}
	for _, k := range keys {
		have[k.ID] = k
	}
	m := keyset.NewManagerFromHandle(handle)
	if err := f(m, have); err != nil {
		return nil, err
	}
	next, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("change keyset: %w", err)
	}
	return s.sealed(ctx, next)
}

// syncFolder makes a renaming last.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("change keyset: %w", err)
	}
	return errors.Join(folder.Sync(), folder.Close())
}
