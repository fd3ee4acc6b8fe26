package account_test

import (
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/mail"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// atOnce does f so many times together and counts the codes.
func atOnce(n int, f func(i int) error) map[sweep.Code]int {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	said := map[sweep.Code]int{}
	for _, err := range errs {
		said[code(err)]++
	}
	return said
}

// whileHeld does each of fs while their customer's people are locked, so that all have looked before any writes, and gives how each ended.
// They are let go in the order in which they came.
func (r *rig) whileHeld(t *testing.T, fs ...func() error) []error {
	t.Helper()
	other, err := pgx.Connect(t.Context(), r.database.Bootstrap)
	require.NoError(t, err)
	defer other.Close(t.Context())
	gate, err := other.Begin(t.Context())
	require.NoError(t, err)
	_, err = gate.Exec(t.Context(), "SELECT FROM users FOR UPDATE")
	require.NoError(t, err)
	errs := make([]error, len(fs))
	var all sync.WaitGroup
	for i, f := range fs {
		all.Go(func() { errs[i] = f() })
		testkit.Eventually(t, 20*time.Second, func() bool {
			return r.count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == i+1
		}, "it waits")
	}
	require.NoError(t, gate.Commit(t.Context()))
	all.Wait()
	return errs
}

// OIDC-1: two callbacks, one session.
func TestOneReturnFromGoogleIsOneSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	v := r.visits(t, one)
	said := atOnce(10, func(int) error { _, err := r.complete(t, v); return err })
	require.Equal(t, map[sweep.Code]int{"": 1, sweep.Unauthenticated: 9}, said)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM customers"))
}

func TestManyReturnsOfANewPersonMakeOneCustomer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	visits, sessions := make([]visit, 6), make([]account.Session, 6)
	for i := range visits {
		visits[i] = r.visits(t, one)
	}
	said := atOnce(len(visits), func(i int) (err error) { sessions[i], err = r.complete(t, visits[i]); return err })
	require.Equal(t, map[sweep.Code]int{"": len(visits)}, said)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM customers"))
	require.Equal(t, 1, r.count(t, "SELECT count(google_subject) FROM users"))
	for _, s := range sessions {
		require.Equal(t, sessions[0].Customer.UserID, s.Customer.UserID)
	}
}

// Whichever comes first: the password of a sign-up that nobody has proven is void.
func TestASignUpAtTheSameTimeLeavesNoPasswordBeside(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	v := r.visits(t, one)
	said := atOnce(4, func(i int) error {
		if i == 0 {
			_, err := r.complete(t, v)
			return err
		}
		return r.SignUp(t.Context(), one, good, "Mallory", r.client)
	})
	require.Equal(t, map[sweep.Code]int{"": 4}, said)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM users WHERE password = '' AND verified_at IS NOT NULL"))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM customers WHERE deleted_at IS NULL"))
	_, err := r.Login(t.Context(), one, good, "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
}

// The mail's link and Google prove the same address at once: one person, and no password unless the mail's reader gave it first.
func TestTheMailsLinkAndGoogleProveOneAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.SignUp(t.Context(), one, good, "Ada", r.client))
	link, v := r.tokens(t)[0], r.visits(t, one)
	errs := r.whileHeld(t,
		func() error { _, err := r.VerifyEmail(t.Context(), link, good, r.client); return err },
		func() error { _, err := r.complete(t, v); return err })
	require.NoError(t, errs[0])
	require.Equal(t, sweep.LinkRequired, code(errs[1]), "the mail was first, and with its password")
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM users WHERE password <> '' AND verified_at IS NOT NULL"))
	require.Equal(t, 0, r.count(t, "SELECT count(google_subject) FROM users"))
}

func TestALinkIsMadeOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.owner(t, one)
	v := r.visits(t, one)
	_, err := r.complete(t, v)
	require.Equal(t, sweep.LinkRequired, code(err))
	said := atOnce(5, func(int) error {
		_, err := r.LinkGoogle(t.Context(), v.Ticket, one, good, "", r.client)
		return err
	})
	require.Equal(t, map[sweep.Code]int{"": 1, sweep.Unauthenticated: 4}, said)
	require.Len(t, r.deliver(t, mail.SecurityNotice), 1)
}

// A link that a new password overtakes is refused: the one that it was proven with is void.
func TestANewPasswordOvertakesALink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.owner(t, one)
	v := r.visits(t, one)
	_, err := r.complete(t, v)
	require.Equal(t, sweep.LinkRequired, code(err))
	errs := r.whileHeld(t,
		func() error {
			_, err := r.ChangePassword(t.Context(), a, good, "another otter sings", r.client)
			return err
		},
		func() error { _, err := r.LinkGoogle(t.Context(), v.Ticket, one, good, "", r.client); return err })
	require.NoError(t, errs[0])
	require.Equal(t, sweep.Unauthenticated, code(errs[1]))
	require.Equal(t, 0, r.count(t, "SELECT count(google_subject) FROM users"))
}

// linked signs somebody up by password and ties their Google account to them.
func (r *rig) linked(t *testing.T, email string) sweep.Actor {
	t.Helper()
	a := r.owner(t, email)
	v := r.visits(t, email)
	_, err := r.complete(t, v)
	require.Equal(t, sweep.LinkRequired, code(err))
	_, err = r.LinkGoogle(t.Context(), v.Ticket, email, good, "", r.client)
	require.NoError(t, err)
	return a
}

func TestAnUnlinkingOvertakesASignIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.linked(t, one)
	v := r.visits(t, one)
	errs := r.whileHeld(t,
		func() error { _, err := r.UnlinkGoogle(t.Context(), a, good, r.client); return err },
		func() error { _, err := r.complete(t, v); return err })
	require.NoError(t, errs[0])
	require.Equal(t, sweep.LinkRequired, code(errs[1]), "as if it had come after")
}

func TestASignInBeforeAnUnlinkingEndsWithIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.linked(t, one)
	v := r.visits(t, one)
	var session account.Session
	errs := r.whileHeld(t,
		func() (err error) { session, err = r.complete(t, v); return err },
		func() error { _, err := r.UnlinkGoogle(t.Context(), a, good, r.client); return err })
	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
	_, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
}

// A sign-in that a new password overtakes begins after it: its session is of the new days, none of the old ones survives.
func TestANewPasswordAndASignInWithGoogleDoNotMix(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.linked(t, one)
	early, late := r.visits(t, one), r.visits(t, one)
	before, err := r.complete(t, early)
	require.NoError(t, err)
	var after account.Session
	errs := r.whileHeld(t,
		func() error {
			_, err := r.ChangePassword(t.Context(), a, good, "another otter sings", r.client)
			return err
		},
		func() (err error) { after, err = r.complete(t, late); return err })
	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
	_, err = r.Authenticate(t.Context(), before.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.Authenticate(t.Context(), after.AccessToken, r.client)
	require.NoError(t, err)
}
