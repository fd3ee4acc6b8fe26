package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

func TestAVersionIsBelievedWhileAllChangesAreHeard(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	l := y.listener()
	p, other := y.place("a"), y.place("b")
	job := newID(t)
	known := func(customer sweep.ID) int64 {
		v, _ := l.Version(customer, job)
		return v
	}
	tell := func(version int64) {
		y.exec("SELECT pg_notify('job', $1)", fmt.Sprintf("%s %s %d", p.customer, job, version))
	}

	l.Reading(p.customer, job)(3)
	require.Zero(t, known(p.customer), "nothing is kept before it listens: changes would be missed")
	changes, cancel := l.Subscribe(p.customer, job)
	defer cancel()
	stop := y.listen(l)
	receive(t, changes)

	l.Reading(p.customer, job)(3)
	require.Equal(t, int64(3), known(p.customer))
	require.Zero(t, known(other.customer), "another customer's poll says nothing")
	tell(4)
	require.Equal(t, int64(4), receive(t, changes))
	require.Equal(t, int64(4), known(p.customer))

	keep := l.Reading(p.customer, job)
	require.Zero(t, known(p.customer), "not while it is being read")
	tell(6)
	receive(t, changes)
	keep(5)
	require.Equal(t, int64(6), known(p.customer), "what was heard while it was read counts")

	late := l.Reading(p.customer, job)
	l.Forget(p.customer, job)
	late(6)
	require.Zero(t, known(p.customer), "an order given while it was read makes the next one look")
	l.Reading(p.customer, job)(7)
	tell(0)
	receive(t, changes)
	require.Zero(t, known(p.customer), "it changed, nobody said to what")

	l.Reading(p.customer, job)(8)
	stop()
	testkit.Eventually(t, time.Second, func() bool { return known(p.customer) == 0 }, "a listener that is deaf believes nothing")
}
