package secret

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/tink-crypto/tink-go/v2/keyset"
)

// settle is how long keys that have left a keyset stay usable in a process: longer than anybody holds what was read from the database
// before they left.
const settle = time.Minute

// ring is a keyset in use; P is what is made of it. It follows its source.
type ring[P any] struct {
	source Source
	parse  func(text []byte) (*keyset.Handle, error)
	make   func(*keyset.Handle) (P, error)

	renewing sync.Mutex
	mu       sync.RWMutex
	now      version[P]
	was      *version[P] // until settle after the change
	changed  time.Time
}

// version is one state of a keyset. Keys that are not enabled are not in ids.
type version[P any] struct {
	raw     []byte
	ids     map[uint32]bool
	primary uint32
	use     P
}

func newRing[P any](source Source, parse func([]byte) (*keyset.Handle, error), make func(*keyset.Handle) (P, error)) (*ring[P], error) {
	r := &ring[P]{source: source, parse: parse, make: make}
	raw, err := source.raw()
	if err != nil {
		return nil, err
	}
	r.now, err = r.version(raw)
	return r, err
}

func (r *ring[P]) version(raw []byte) (v version[P], err error) {
	text, err := r.source.clear(raw)
	if err != nil {
		return v, err
	}
	handle, err := r.parse(text)
	if err != nil {
		return v, err
	}
	v = version[P]{raw: raw, ids: map[uint32]bool{}, primary: handle.KeysetInfo().GetPrimaryKeyId()}
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return v, fmt.Errorf("read keyset: %w", err)
		}
		if entry.KeyStatus() == keyset.Enabled {
			v.ids[entry.KeyID()] = true
		}
	}
	v.use, err = r.make(handle)
	return v, err
}

// renew takes up what the source holds now, if that has changed. What cannot be used changes nothing.
func (r *ring[P]) renew() (changed bool, err error) {
	r.renewing.Lock()
	defer r.renewing.Unlock()
	raw, err := r.source.raw()
	if err != nil {
		return false, err
	}
	now, _ := r.versions()
	if bytes.Equal(raw, now.raw) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if time.Since(r.changed) > settle {
			r.was = nil
		}
		return false, nil
	}
	next, err := r.version(raw)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.was, r.now, r.changed = &now, next, time.Now()
	return true, nil
}

func (r *ring[P]) versions() (now version[P], was *version[P]) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.now, r.was
}

func (r *ring[P]) current() P {
	now, _ := r.versions()
	return now.use
}

// holding gives the version that can open what the key sealed. A key that nobody here knows may be one that another process took up
// first: then the source is asked.
func (r *ring[P]) holding(key uint32) P {
	now, was := r.versions()
	switch {
	case now.ids[key]:
		return now.use
	case was != nil && was.ids[key]:
		return was.use
	}
	if changed, err := r.renew(); err == nil && changed {
		return r.current()
	}
	now, _ = r.versions() // somebody else may have renewed it meanwhile
	return now.use
}

// Primary is the id of the key that seals.
func (r *ring[P]) Primary() uint32 {
	now, _ := r.versions()
	return now.primary
}

// Renew takes up what the keyset's source holds now and says whether that is something else. An error changes nothing: what was in use
// stays so.
func (r *ring[P]) Renew() (changed bool, err error) { return r.renew() }

// sealedBy is the id of the key that sealed a value; 0 when it bears none. Tink writes a 1 and the id in front.
func sealedBy(sealed []byte) uint32 {
	if len(sealed) < 5 || sealed[0] != 1 {
		return 0
	}
	return binary.BigEndian.Uint32(sealed[1:5])
}
