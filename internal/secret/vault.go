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
	master tink.AEAD

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
	handle, err := parseSecret(indexJSON)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	master, err := aead.New(handle)
	if err != nil {
		return nil, errors.New("vault: the keyset is for another use")
	}
	return &Vault{master: master, order: list.New(), boxes: map[string]*list.Element{}}, nil
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
	var wrapped bytes.Buffer
	err = handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&wrapped), v.master, dataKeyContext(customerID))
	if err != nil {
		return nil, fmt.Errorf("wrap data key: %w", err)
	}
	return wrapped.Bytes(), nil
}

// Box unwraps a customer's data key; another customer's wrapped key fails.
func (v *Vault) Box(wrapped []byte, customerID string) (*Box, error) {
	if box := v.cached(wrapped, customerID); box != nil {
		return box, nil
	}
	reader := keyset.NewBinaryReader(bytes.NewReader(wrapped))
	handle, err := keyset.ReadWithAssociatedData(reader, v.master, dataKeyContext(customerID))
	if err != nil {
		return nil, fmt.Errorf("unwrap data key of %s: %w", customerID, err)
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
