package secret

import (
	"bytes"
	"container/list"
	"errors"
	"fmt"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// cachedBoxes bounds the data keys kept unwrapped; one costs a few hundred bytes and 20 µs to unwrap.
const cachedBoxes = 1024

// Vault wraps each customer's data key with the index keyset. Destroying the wrapped key destroys what its box sealed.
type Vault struct {
	*ring[tink.AEAD] // the master key

	mu    sync.Mutex
	order *list.List // newest first; values are *cachedBox
	boxes map[string]*list.Element
}

type cachedBox struct {
	customer string
	wrapped  []byte
	box      *Box
}

// NewVault takes the index keyset's JSON.
func NewVault(indexJSON []byte) (*Vault, error) {
	return FollowVault(Source{Name: IndexKeyset, fixed: indexJSON})
}

// FollowVault takes the index keyset from a source, now, at each Renew, and when it meets a key that it does not know.
func FollowVault(source Source) (*Vault, error) {
	master, err := newRing(source, parseSecret, func(h *keyset.Handle) (tink.AEAD, error) {
		master, err := aead.New(h)
		if err != nil {
			return nil, errors.New("the keyset is for another use")
		}
		return master, nil
	})
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return &Vault{ring: master, order: list.New(), boxes: map[string]*list.Element{}}, nil
}

func dataKeyContext(customerID string) []byte { return []byte("data key|" + customerID + "|v1") }

// NewDataKey makes a customer's data key and gives it wrapped, to be stored with the customer.
func (v *Vault) NewDataKey(customerID string) ([]byte, error) {
	if customerID == "" {
		return nil, errors.New("make data key: no customer")
	}
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make data key: %w", err)
	}
	return v.wrap(handle, customerID)
}

func (v *Vault) wrap(dataKey *keyset.Handle, customerID string) ([]byte, error) {
	var wrapped bytes.Buffer
	err := dataKey.WriteWithAssociatedData(keyset.NewBinaryWriter(&wrapped), v.current(), dataKeyContext(customerID))
	return wrapped.Bytes(), doing(err, "wrap data key")
}

func (v *Vault) unwrap(wrapped []byte, customerID string) (*keyset.Handle, error) {
	master := v.holding(wrappedBy(wrapped))
	handle, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(wrapped)), master, dataKeyContext(customerID))
	return handle, doing(err, "unwrap data key of "+customerID)
}

// wrappedBy is the id of the key that wrapped a data key; 0 when it bears none.
func wrappedBy(wrapped []byte) uint32 {
	set, err := keyset.NewBinaryReader(bytes.NewReader(wrapped)).ReadEncrypted()
	if err != nil {
		return 0
	}
	return sealedBy(set.GetEncryptedKeyset())
}

// Rewrap wraps a customer's data key, wrapped under any key, under the primary one. The data key stays the same.
func (v *Vault) Rewrap(wrapped []byte, customerID string) ([]byte, error) {
	dataKey, err := v.unwrap(wrapped, customerID)
	if err != nil {
		return nil, err
	}
	return v.wrap(dataKey, customerID)
}

// Box unwraps a customer's data key; another customer's wrapped key fails.
func (v *Vault) Box(wrapped []byte, customerID string) (*Box, error) {
	if box := v.cached(wrapped, customerID); box != nil {
		return box, nil
	}
	handle, err := v.unwrap(wrapped, customerID)
	if err != nil {
		return nil, err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("use data key of %s: %w", customerID, err)
	}
	box := &Box{primitive}
	v.keep(&cachedBox{customerID, bytes.Clone(wrapped), box})
	return box, nil
}

func (v *Vault) cached(wrapped []byte, customerID string) *Box {
	v.mu.Lock()
	defer v.mu.Unlock()
	element, ok := v.boxes[customerID]
	if !ok || !bytes.Equal(element.Value.(*cachedBox).wrapped, wrapped) {
		return nil
	}
	v.order.MoveToFront(element)
	return element.Value.(*cachedBox).box
}

func (v *Vault) keep(c *cachedBox) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.drop(c.customer)
	v.boxes[c.customer] = v.order.PushFront(c)
	if v.order.Len() > cachedBoxes {
		v.drop(v.order.Back().Value.(*cachedBox).customer)
	}
}

// Forget drops the unwrapped key of a deleted customer from memory.
func (v *Vault) Forget(customerID string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.drop(customerID)
}

// drop needs v.mu.
func (v *Vault) drop(customerID string) {
	if element, ok := v.boxes[customerID]; ok {
		v.order.Remove(element)
		delete(v.boxes, customerID)
	}
}

// Box seals one customer's data with AES-256-GCM under their data key. It is safe for concurrent use.
type Box struct{ primitive tink.AEAD }

// Seal encrypts and binds the result to aad, which names its row and column and must not be empty. Overhead: 33 bytes.
func (b *Box) Seal(plain []byte, aad string) ([]byte, error) {
	if aad == "" {
		return nil, errors.New("seal: no associated data")
	}
	sealed, err := b.primitive.Encrypt(plain, []byte(aad))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", aad, err)
	}
	return sealed, nil
}

// Open decrypts what Seal made under the same data key and aad.
func (b *Box) Open(sealed []byte, aad string) ([]byte, error) {
	if aad == "" {
		return nil, errors.New("open: no associated data")
	}
	plain, err := b.primitive.Decrypt(sealed, []byte(aad))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", aad, err)
	}
	return plain, nil
}
