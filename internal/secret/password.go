package secret

import (
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"
)

// Passwords hashes and checks passwords. The stored form is v2$<pepper id>$<bcrypt of base64(HMAC-SHA-384(pepper,
// NFKC(password)))>: the 64 characters handed to bcrypt stay below the 72 bytes that it looks at, so no password is cut,
// and the database alone cannot verify one. A gate lets only a few hashes run at once, because one costs a quarter of a
// second of a core. Use it by pointer; the fields must not change after the first call.
type Passwords struct {
	Peppers  map[string][]byte
	Current  string        // the id of the pepper for new hashes
	Cost     int           // bcrypt's; 0 means 12
	Least    int           // code points of a new password; less than MinPassword means that
	Slots    int           // hashes at a time; 0 means one less than there are cores, at least 1
	Patience time.Duration // how long a call waits for a slot at most, and half of it at least; 0 means 2 s
	Nice     int           // by how much the priority of a thread that hashes is lower than the others'; 0 hashes where it is called

	once sync.Once
	gate chan struct{}
}

// Format hides the peppers under every verb.
func (*Passwords) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// Hash gives the stored form. Code: unavailable when no slot came free in time.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	slot, err := p.Enter(ctx)
	if err != nil {
		return "", err
	}
	defer slot.Leave()
	return slot.Hash(password)
}

// Verify is a slot's, once one is free. Code: unavailable when none came free in time.
func (p *Passwords) Verify(ctx context.Context, stored, password string) (ok, rehash bool, err error) {
	slot, err := p.Enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer slot.Leave()
	return slot.Verify(stored, password)
}

// Hash gives the stored form.
func (s Slot) Hash(password string) (string, error) {
	pepper, ok := s.p.Peppers[s.p.Current]
	if !ok {
		return "", fmt.Errorf("hash password: no pepper is called %q", s.p.Current)
	}
	var hash []byte
	var err error
	s.p.aside(func() { hash, err = bcrypt.GenerateFromPassword(keyed(pepper, password), s.p.cost()) })
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return "v2$" + s.p.Current + "$" + string(hash), nil
}

// Verify says whether the password is the stored one and whether its hash should be renewed because pepper or cost have
// changed. Under a pepper that is no more it is not.
func (s Slot) Verify(stored, password string) (ok, rehash bool, err error) {
	id, hash, err := splitStored(stored)
	if err != nil {
		return false, false, err
	}
	pepper, known := s.p.Peppers[id]
	if !known { // retired: nobody can tell any more, and a reset makes a new one
		return false, false, s.VerifyNothing(password)
	}
	s.p.aside(func() { err = bcrypt.CompareHashAndPassword(hash, keyed(pepper, password)) })
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("verify password: %w", err)
	}
	cost, err := bcrypt.Cost(hash)
	return true, err != nil || cost != s.p.cost() || id != s.p.Current, nil
}

// VerifyNothing takes the time of Verify, for a user who does not exist: making a hash costs what checking one does.
func (s Slot) VerifyNothing(password string) error {
	_, err := s.Hash(password)
	return err
}

func splitStored(stored string) (id string, hash []byte, err error) {
	rest, ok := strings.CutPrefix(stored, "v2$")
	id, text, ok2 := strings.Cut(rest, "$")
	if !ok || !ok2 || id == "" {
		return "", nil, errors.New("verify password: the stored form is unknown")
	}
	return id, []byte(text), nil
}

func keyed(pepper []byte, password string) []byte {
	mac := hmac.New(sha512.New384, pepper)
	mac.Write([]byte(norm.NFKC.String(password)))
	return base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
}

// aside runs f on a thread of its own whose priority is lower: whoever else wants the core for a moment gets it at once, instead of after a
// time slice of a hash.
func (p *Passwords) aside(f func()) {
	if p.Nice == 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with its priority
		nicer(p.Nice)
		f()
	}()
	<-done
}

func (p *Passwords) cost() int {
	if p.Cost == 0 {
		return 12
	}
	return p.Cost
}
