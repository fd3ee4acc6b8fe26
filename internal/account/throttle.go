package account

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"sync"
	"time"

	"mailsweep/internal/ratelimit"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// gate is one allowance of failures: so many in a span of time, or, without one, so many until waits begin that double.
type gate struct {
	key   string
	limit int
	per   time.Duration
}

// After the failures that are free, waits of 1, 2, 4… s, up to 900 s: fourteen tries in a quarter of an hour, four an hour from then on.
const (
	firstWait    = time.Second
	longestWait  = 900 * time.Second
	failuresKept = 12 * time.Hour
)

func (s *Service) waits(g gate) ratelimit.Waits {
	return ratelimit.Waits{Key: g.key, Free: g.limit, First: cmp.Or(s.Limits.LoginWait, firstWait), Longest: longestWait, Kept: failuresKept}
}

// A device on which a person has signed in before carries a token that says so. It is no credential: it only has an allowance of its own,
// until the person sets another password: who once knew the old one must not guess at the new one with the devices of those days.
const (
	deviceType = "device"
	deviceLife = 180 * 24 * time.Hour
)

// gates are all that must be open for a sign-in. Who comes from a device on which the user has signed in before is counted by that
// device alone: no failures of strangers keep an owner out. Everybody else is counted by account, known or not, by address and by
// network. They stop passwords only: who is signed in stays so.
func (s *Service) gates(email string, u store.User, c Client) []gate {
	if id := s.device(u, c); id != "" {
		return []gate{s.doubling("login:device:" + id), {"login:device:" + id + ":ever", failuresInARow, deviceLife}}
	}
	return []gate{s.doubling("login:" + hex.EncodeToString(s.Pseudonym.Of("email", email))),
		{"login:ip:" + s.network(c, 32, 128), or(s.Limits.LoginFailuresPerIP, 20), 15 * time.Minute},
		{"login:net:" + s.network(c, 24, 64), or(s.Limits.LoginFailuresPerNet, 100), 15 * time.Minute}}
}

// doubling is the gate of one who fails, whose waits double.
func (s *Service) doubling(key string) gate {
	return gate{key: "waits:" + key, limit: or(s.Limits.LoginFailures, 5)}
}

// proofs are the gates of a person who is signed in and proves something again: a stolen session must not guess.
func (s *Service) proofs(user sweep.ID) []gate { return []gate{s.doubling("proof:" + user.String())} }

// codes are the gates of a person's second factor. Only who has the password comes there, so they shut nobody else out.
func (s *Service) codes(user sweep.ID) []gate { return []gate{s.doubling("code:" + user.String())} }

// device is the id of the caller's device if the user has signed in there before, with the password that is in force.
func (s *Service) device(u store.User, c Client) string {
	who, id, known := s.deviceOf(c)
	if !known || u.ID.IsZero() || who.User != u.ID || who.Version != u.PasswordVersion {
		return ""
	}
	return id
}

// deviceOf is what the caller's device says of itself, if it is one of ours.
func (s *Service) deviceOf(c Client) (who claimed, id string, known bool) {
	if c.Device == "" || !plausible(c.Device) {
		return who, "", false
	}
	who, id, err := s.Signer.verifyAs(deviceType, deviceLife, c.Device)
	return who, id, err == nil
}

// lane is where sign-ins wait for each other before anybody is looked up: those on the devices of a person, whomever they try, and all others by
// the address they try. Nobody's failures, and nobody's many tries, keep an owner out of theirs.
func (s *Service) lane(email string, c Client) string {
	if who, _, known := s.deviceOf(c); known {
		return "lane:" + who.User.String()
	}
	return "lane:" + hex.EncodeToString(s.Pseudonym.Of("email", email))
}

// failuresInARow is how many wrong passwords an account takes before it needs a reset, and how many a device.
const failuresInARow = 100

// mayFail is how many wrong passwords in a row may have come before a right one that is taken; after more only a reset by mail helps. A device
// that is known has an allowance of its own, so that this keeps nobody out.
func (s *Service) mayFail(u store.User, c Client) int {
	if s.device(u, c) != "" {
		return math.MaxInt32
	}
	return failuresInARow - 1
}

// strike counts a wrong password until a right one or a reset comes, however long that takes. A caller who has hung up is counted too.
func (s *Service) strike(ctx context.Context, customer sweep.ID, u store.User) {
	if u.ID.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := s.DB.Tenant(ctx, customer, func(tx *store.Tx) error { return tx.Failed(u.ID) }); err != nil {
		s.Log.ErrorContext(ctx, "wrong password not counted", "error", err)
	}
}

// newDevice makes the token by which a user's device is known from now on.
func (s *Service) newDevice(customer sweep.ID, u store.User) (string, error) {
	return s.Signer.signAs(deviceType, deviceLife, claimed{Customer: customer, User: u.ID, Version: u.PasswordVersion})
}

// shut says whether one of the gates has no failure left to allow, or has to wait.
func (s *Service) shut(ctx context.Context, gates []gate) (bool, error) {
	for _, g := range gates {
		open, err := s.lets(ctx, g)
		if err != nil {
			return false, fmt.Errorf("look at the sign-in limits: %w", err)
		}
		if !open {
			return true, nil
		}
	}
	return false, nil
}

func (s *Service) lets(ctx context.Context, g gate) (bool, error) {
	if g.per == 0 {
		wait, err := s.Requests.Wait(ctx, s.waits(g))
		return wait == 0, err
	}
	d, err := s.Requests.AllowIn(ctx, g.key, g.limit, g.per, 0)
	return d.Remaining > 0, err
}

// count takes a failure from a gate, and says whether it shuts then.
func (s *Service) count(ctx context.Context, g gate) (shuts bool, err error) {
	if g.per == 0 {
		wait, err := s.Requests.Failed(ctx, s.waits(g))
		return wait > 0, err
	}
	d, err := s.Requests.AllowIn(ctx, g.key, g.limit, g.per, 1)
	return d.Remaining < 1, err
}

// turnPatience is how long a sign-in waits for others of the same account.
const turnPatience = 5 * time.Second

// turns lets one sign-in of an account happen at a time: many at once would all pass a gate that the first few failures close.
type turns struct {
	mu    sync.Mutex
	lines map[string]*line
}

type line struct {
	turn    chan struct{}
	waiting int
}

// take waits for the key's turn. Unavailable when it does not come.
func (t *turns) take(ctx context.Context, key string) (leave func(), err error) {
	l := t.join(key)
	timer := time.NewTimer(turnPatience)
	defer timer.Stop()
	select {
	case l.turn <- struct{}{}:
		return func() {
			<-l.turn
			t.part(key, l)
		}, nil
	case <-timer.C:
		err = sweep.Errorf(sweep.Unavailable, "too many sign-ins at once; try again in a few seconds")
	case <-ctx.Done():
		err = fmt.Errorf("wait to sign in: %w", ctx.Err())
	}
	t.part(key, l)
	return nil, err
}

func (t *turns) join(key string) *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines == nil {
		t.lines = map[string]*line{}
	}
	l := t.lines[key]
	if l == nil {
		l = &line{turn: make(chan struct{}, 1)}
		t.lines[key] = l
	}
	l.waiting++
	return l
}

func (t *turns) part(key string, l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.waiting--; l.waiting == 0 {
		delete(t.lines, key)
	}
}
