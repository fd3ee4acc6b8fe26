package account_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// PWD-8: a crowd that waits at the gate costs nothing but its wait.
func TestWhomTheGateTurnsAwayIsNotLookedUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	r.Passwords = &secret.Passwords{Peppers: r.Passwords.Peppers, Current: "p1", Cost: 4, Slots: 1, Patience: 20 * time.Millisecond}
	slot, err := r.Passwords.Enter(t.Context())
	require.NoError(t, err)
	db := r.DB
	r.DB = nil
	_, err = r.Login(t.Context(), ada, good, "", r.client)
	require.Equal(t, sweep.Unavailable, code(err))
	slot.Leave()
	r.DB = db
	_, err = r.Login(t.Context(), ada, good, "", r.client)
	require.NoError(t, err)
}

// PWD-8, THR-4: however often somebody signs in at once, with whatever password and on whatever device of theirs, others are next but one.
func TestOnePersonsManySignInsKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, "bob@example.com")
	session, _ := r.member(t, ada)
	r.Passwords = &secret.Passwords{Peppers: r.Passwords.Peppers, Current: "p1", Cost: 4, Slots: 1, Patience: time.Minute}
	slot, err := r.Passwords.Enter(t.Context())
	require.NoError(t, err)
	const many = 60
	var over atomic.Int32
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			c, email := r.client, ada
			if i%2 == 0 {
				c.Device, email = session.Device, fmt.Sprintf("nobody%d@example.com", i)
			}
			_, _ = r.Login(t.Context(), email, good, "", c)
			over.Add(1)
		})
	}
	testkit.Eventually(t, patience, func() bool { return r.Waiting() == many }, "all stand in line")
	done := make(chan error, 1)
	go func() {
		_, err := r.Login(t.Context(), "bob@example.com", good, "", r.client)
		done <- err
	}()
	testkit.Eventually(t, patience, func() bool { return r.Waiting() == many+1 }, "bob stands behind them")
	slot.Leave()
	require.NoError(t, <-done)
	require.Less(t, over.Load(), int32(many/2), "were let in before bob")
	all.Wait()
}

// PWD-2: what was set as a password signs in, however it was typed: here each letter of 100 is three code points.
func TestALongPasswordOfComposedLettersSignsIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	long := strings.Repeat("\u1112\u1161\u11ab\u1100\u1173\u11af", 50)
	require.False(t, secret.TooLong(long))
	hash, err := r.Passwords.Hash(t.Context(), long)
	require.NoError(t, err)
	r.exec(t, "UPDATE users SET password = '"+hash+"'")
	_, err = r.Login(t.Context(), ada, long, "", r.client)
	require.NoError(t, err)
}
