package account

import (
	"maps"
	"sync"
	"time"

	"mailsweep/internal/sweep"
)

// standings remembers whose credential a hash is, and for a second what S says of it.
type standings[S any] struct {
	mu     sync.Mutex
	owners map[[32]byte][2]sweep.ID
	known  map[sweep.ID]seenStanding[S]
}

type seenStanding[S any] struct {
	standing S
	at       time.Time // before the database was asked
}

func (c *standings[S]) owner(hash [32]byte) ([2]sweep.ID, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, ok := c.owners[hash]
	return o, ok
}

func (c *standings[S]) keepOwner(hash [32]byte, customer, id sweep.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owners == nil || len(c.owners) >= cachedItems {
		c.owners = map[[32]byte][2]sweep.ID{}
	}
	c.owners[hash] = [2]sweep.ID{customer, id}
}

// standing gives what was known at most a second ago, and how long ago that was.
func (c *standings[S]) standing(id sweep.ID) (standing S, age time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.known[id]
	age = time.Since(k.at)
	return k.standing, age, ok && age < recheck
}

func (c *standings[S]) keep(id sweep.ID, standing S, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= cachedItems {
		c.known = map[sweep.ID]seenStanding[S]{}
	}
	c.known[id] = seenStanding[S]{standing, at}
}

// change corrects what is known of a credential, without making it younger.
func (c *standings[S]) change(id sweep.ID, f func(*S)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.known[id]; ok {
		f(&k.standing)
		c.known[id] = k
	}
}

func (c *standings[S]) forget(id sweep.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, id)
}

// forgetAll forgets what is known of those of which is true.
func (c *standings[S]) forgetAll(is func(S) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.known, func(_ sweep.ID, k seenStanding[S]) bool { return is(k.standing) })
}
