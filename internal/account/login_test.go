package account_test

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

func TestLoginGivesASessionOfTheOwner(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	session, err := r.Login(t.Context(), " ADA@example.com", good, "", r.client)
	require.NoError(t, err)
	require.Equal(t, 86400, session.ExpiresIn)
	require.Equal(t, "Bearer", session.TokenType)
	me := session.Customer
	require.Equal(t, ada, me.Email)
	require.Equal(t, sweep.Owner, me.Role)
	require.Equal(t, sweep.Pro, me.Plan, "a trial has pro's features")
	require.Contains(t, me.Features, sweep.APIKeys)
	require.NotNil(t, me.TrialEndsAt)
	a, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.NoError(t, err)
	require.Len(t, a.AddressHash, 32)
	again, err := r.Me(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, me, again)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM users WHERE last_login_at IS NOT NULL"))
}

func TestUnverifiedLearnsItOnlyWithTheRightPassword(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.SignUp(t.Context(), ada, good, "", r.client))
	session, err := r.Login(t.Context(), ada, good, "", r.client)
	require.Equal(t, sweep.EmailUnverified, code(err))
	require.Empty(t, session.AccessToken)
	_, err = r.Login(t.Context(), ada, good+"!", "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
}

func TestEveryFailureSaysTheSame(t *testing.T) { // THR-5
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	said := map[string]bool{}
	for i := range 8 { // from the sixth on, locked
		_, err := r.Login(t.Context(), ada, "wrong password "+numbered(i), "", r.client)
		require.Equal(t, sweep.Unauthenticated, code(err))
		said[err.Error()] = true
	}
	for _, email := range []string{"nobody@example.com", "no address", ""} {
		_, err := r.Login(t.Context(), email, good, "", r.client)
		said[err.Error()] = true
	}
	_, err := r.Login(t.Context(), ada, strings.Repeat("long", 1000), "", r.client)
	said[err.Error()] = true
	r.member(t, "eve@example.com")
	r.exec(t, "UPDATE customers SET suspended_at = now()")
	_, err = r.Login(t.Context(), "eve@example.com", "wrong password", "", r.client)
	said[err.Error()] = true
	require.Len(t, said, 1)
}

func TestFiveFailuresShutAnAccountKnownOrNot(t *testing.T) { // THR-1
	t.Parallel()
	r := newRig(t)
	session, _ := r.member(t, ada)
	for _, email := range []string{ada, "nobody@example.com"} {
		before := r.count(t, "SELECT count(*) FROM security_events WHERE kind = 'login.failed'")
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				c := account.Client{IP: netip.AddrFrom4([4]byte{10, byte(i), 0, 1})}
				_, err := r.Login(t.Context(), email, "wrong password", "", c)
				if code(err) != sweep.Unauthenticated {
					t.Error(err)
				}
			})
		}
		all.Wait()
		hashed := r.count(t, "SELECT count(*) FROM security_events WHERE kind = 'login.failed'") - before
		require.Equal(t, 5, hashed, email)
	}
	_, err := r.Login(t.Context(), ada, good, "", account.Client{IP: netip.MustParseAddr("198.51.100.1")})
	require.Equal(t, sweep.Unauthenticated, code(err), "the gate is open")
	_, err = r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.NoError(t, err, "a lock must not end sessions")
}

// THR-4: whoever has signed in on a device before is not kept out by what strangers do, from whatever address.
func TestStrangersFailuresKeepNoOwnerOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session, a := r.member(t, ada)
	eves, _ := r.member(t, "eve@example.com")
	home := account.Client{IP: netip.MustParseAddr("198.51.100.1"), Device: session.Device}
	attack := func(c account.Client) {
		for i := range 30 {
			_, err := r.Login(t.Context(), ada, "wrong password "+numbered(i), "", c)
			require.Equal(t, sweep.Unauthenticated, code(err))
		}
	}
	stranger := account.Client{IP: home.IP}
	attack(stranger)
	_, err := r.Login(t.Context(), ada, good, "", stranger)
	require.Equal(t, sweep.Unauthenticated, code(err))
	again, err := r.Login(t.Context(), ada, good, "", home)
	require.NoError(t, err)
	require.NotEmpty(t, again.Device)
	_, err = r.prove(t, a, good)
	require.NoError(t, err, "a person who is signed in can still prove it")

	for what, device := range map[string]string{"another person's": eves.Device, "an access token": session.AccessToken, "made up": "x", "cut": session.Device[:len(session.Device)-1]} {
		_, err := r.Login(t.Context(), ada, good, "", account.Client{IP: home.IP, Device: device})
		require.Equal(t, sweep.Unauthenticated, code(err), what)
	}
	attack(account.Client{IP: home.IP, Device: again.Device}) // a device that was stolen has an allowance, not a licence
	_, err = r.Login(t.Context(), ada, good, "", account.Client{IP: home.IP, Device: again.Device})
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.Login(t.Context(), ada, good, "", home)
	require.NoError(t, err, "the other device has its own")
	_, err = r.Authenticate(t.Context(), session.Device, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "a device opens nothing")
}

// Who once knew the password has no licence to guess at the next one with the devices of those days.
func TestANewPasswordForgetsAllDevices(t *testing.T) { // THR-1, RST-4
	t.Parallel()
	r := newRig(t)
	session, a := r.member(t, ada)
	devices := []string{session.Device}
	for range 7 {
		again, err := r.Login(t.Context(), ada, good, "", r.client)
		require.NoError(t, err)
		devices = append(devices, again.Device)
	}
	require.NoError(t, r.Logout(t.Context(), a))
	_, err := r.Login(t.Context(), ada, good, "", account.Client{IP: r.client.IP, Device: devices[0]})
	require.NoError(t, err, "signing out forgets none")
	r.forgot(t, ada)
	done, err := r.ResetPassword(t.Context(), r.resets(t)[0], anew, r.client)
	require.NoError(t, err)
	before := r.count(t, "SELECT count(*) FROM security_events WHERE kind = 'login.failed'")
	for _, d := range devices {
		for range 5 {
			_, err := r.Login(t.Context(), ada, good, "", account.Client{IP: r.client.IP, Device: d})
			require.Equal(t, sweep.Unauthenticated, code(err))
		}
	}
	require.Equal(t, 5, r.count(t, "SELECT count(*) FROM security_events WHERE kind = 'login.failed'")-before)
	_, err = r.Login(t.Context(), ada, anew, "", account.Client{IP: r.client.IP, Device: done.Device})
	require.NoError(t, err, "the device of the reset is known")
}

// A sign-in that was on its way with the old password gets no session of the new one's time.
func TestASignInThatAResetOvertakesIsRefused(t *testing.T) { // RST-4
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	tx, err := r.root.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM users FOR UPDATE")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := r.Login(t.Context(), ada, good, "", r.client)
		ended <- err
	}()
	testkit.Eventually(t, 10*time.Second, func() bool { // the password was compared, and the transaction waits for the row
		var waits int
		err := tx.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waits)
		return err == nil && waits == 1
	}, "the sign-in waits")
	_, err = tx.Exec(t.Context(), "UPDATE users SET password = 'v2$p1$another', token_version = token_version + 1")
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, sweep.Unauthenticated, code(<-ended))
}

// A stolen session guesses the password no faster than a stranger does.
func TestASessionProvesItsPasswordFiveTimes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	for range 5 {
		_, err := r.prove(t, a, "not the password")
		require.ErrorContains(t, err, "password is wrong")
	}
	_, err := r.prove(t, a, good)
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.Login(t.Context(), ada, good, "", r.client)
	require.NoError(t, err, "signing in is another matter")
}

// prove asks for the password as what needs it does.
func (r *rig) prove(t *testing.T, a sweep.Actor, password string) (account.FactorOffer, error) {
	return r.OfferFactor(t.Context(), a, password, r.client)
}

func TestOnePasswordSprayedFromOneAddressIsStopped(t *testing.T) { // THR-2
	t.Parallel()
	r := newRig(t)
	began := time.Now()
	spray := func(from func(i int) byte, allowed int, per time.Duration, what string) {
		for i := range 200 {
			c := account.Client{IP: netip.AddrFrom4([4]byte{203, 0, 113, from(i)})}
			_, err := r.Login(t.Context(), numbered(i), "summer in the city", "", c)
			require.Equal(t, sweep.Unauthenticated, code(err))
		}
		hashed := r.count(t, "SELECT count(*) FROM security_events")
		back := int(time.Since(began) / (per / time.Duration(allowed))) // an allowance comes back as time goes by
		require.GreaterOrEqual(t, hashed, allowed, what)
		require.LessOrEqual(t, hashed, allowed+back, what)
	}
	spray(func(int) byte { return 7 }, 20, 15*time.Minute, "one address")
	spray(func(i int) byte { return byte(8 + i) }, 100, 15*time.Minute, "its neighbourhood")
}

func TestManyRightLoginsAtOnceAllSucceed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			if _, err := r.Login(t.Context(), ada, good, "", r.client); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestOldHashesAreRenewedAtLogin(t *testing.T) { // PWD-4
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	old := r.Passwords
	r.Passwords = &secret.Passwords{Cost: 5, Current: "p2", Patience: 20 * time.Second,
		Peppers: map[string][]byte{"p1": old.Peppers["p1"], "p2": []byte("another pepper for tests, 32 by.")}}
	for range 2 {
		_, err := r.Login(t.Context(), ada, good, "", r.client)
		require.NoError(t, err)
	}
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM users WHERE password LIKE 'v2$p2$$2a$05$%'"))
}

func TestSuspendedCustomersAreOutWithinASecond(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session, _ := r.member(t, ada)
	r.exec(t, "UPDATE customers SET suspended_at = now()")
	testkit.Eventually(t, 1500*time.Millisecond, func() bool {
		_, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
		return code(err) == sweep.AccountSuspended
	}, "the token of a suspended customer is refused")
	_, err := r.Login(t.Context(), ada, good, "", r.client)
	require.Equal(t, sweep.AccountSuspended, code(err))
	_, err = r.Login(t.Context(), ada, "not the password", "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
}

func TestLogoutEndsEveryTokenEverywhereWithinASecond(t *testing.T) { // JWT-5
	t.Parallel()
	r := newRig(t)
	first, a := r.member(t, ada)
	second, err := r.Login(t.Context(), ada, good, "", r.client)
	require.NoError(t, err)
	elsewhere := &account.Service{DB: r.DB, Signer: r.Signer, Pseudonym: r.Pseudonym}
	for _, token := range []string{first.AccessToken, second.AccessToken} {
		_, err = elsewhere.Authenticate(t.Context(), token, r.client)
		require.NoError(t, err)
	}
	require.NoError(t, r.Logout(t.Context(), a))
	_, err = r.Authenticate(t.Context(), second.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "here at once")
	testkit.Eventually(t, 1500*time.Millisecond, func() bool {
		_, one := elsewhere.Authenticate(t.Context(), first.AccessToken, r.client)
		_, two := elsewhere.Authenticate(t.Context(), second.AccessToken, r.client)
		return code(one) == sweep.Unauthenticated && code(two) == sweep.Unauthenticated
	}, "other processes refuse too")
	third, err := r.Login(t.Context(), ada, good, "", r.client)
	require.NoError(t, err)
	_, err = r.Authenticate(t.Context(), third.AccessToken, r.client)
	require.NoError(t, err)
}

func TestMembersWhoAreGoneAreOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session, _ := r.member(t, ada)
	r.exec(t, "DELETE FROM customers")
	testkit.Eventually(t, 1500*time.Millisecond, func() bool {
		_, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
		return code(err) == sweep.Unauthenticated
	}, "the token of nobody is refused")
}

// THR-3, THR-4: a hundred wrong passwords in a row shut an account for all but the devices that are known, until a reset.
func TestAHundredFailuresInARowNeedAReset(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session, _ := r.member(t, ada)
	key := session.AccessToken
	home := account.Client{IP: netip.MustParseAddr("198.51.100.1"), Device: session.Device}
	fail := func(n int) {
		t.Helper()
		for i := range n {
			if i%4 == 0 {
				r.afterAMinute(t) // the allowances of minutes and hours come back, this one does not
			}
			_, err := r.Login(t.Context(), ada, "wrong password "+numbered(i), "", r.client)
			require.Equal(t, sweep.Unauthenticated, code(err))
		}
		r.afterAMinute(t)
	}
	fail(99)
	_, err := r.Login(t.Context(), ada, good, "", r.client)
	require.NoError(t, err, "a right one begins anew")
	fail(100)
	_, err = r.Login(t.Context(), ada, good, "", r.client)
	require.Equal(t, refusal(t, r), err.Error(), "as anything that is wrong")
	require.Equal(t, 101, r.count(t, "SELECT failures FROM users"))
	_, err = r.Authenticate(t.Context(), key, r.client)
	require.NoError(t, err, "who is signed in stays so")
	_, err = r.Login(t.Context(), ada, good, "", home)
	require.NoError(t, err, "and signs in where they are known")
	fail(100)
	r.forgot(t, ada)
	_, err = r.ResetPassword(t.Context(), r.resets(t)[0], anew, r.client)
	require.NoError(t, err)
	_, err = r.Login(t.Context(), ada, anew, "", r.client)
	require.NoError(t, err)
}

// THR-3: many processes at once try no more than one does; whoever is right too late is told nothing.
func TestTheHundredthFailureHoldsAmongManyAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	r.exec(t, "UPDATE users SET failures = 99")
	root := r.database.Bootstrap
	held, err := pgx.Connect(t.Context(), root)
	require.NoError(t, err)
	defer func() { _ = held.Close(t.Context()) }()
	tx, err := held.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "UPDATE users SET failures = failures + 1") // another process notes the hundredth
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := r.Login(t.Context(), ada, good, "", r.client)
		done <- err
	}()
	waits := func() bool {
		return r.count(t, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") > 0
	}
	testkit.Eventually(t, 20*time.Second, waits, "it waits")
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, refusal(t, r), (<-done).Error())
	require.Equal(t, 100, r.count(t, "SELECT failures FROM users"))
}

// refusal is what is said to who is nobody.
func refusal(t *testing.T, r *rig) string {
	t.Helper()
	_, err := r.Login(t.Context(), "nobody@example.com", good, "", r.client)
	require.Error(t, err)
	return err.Error()
}

// THR-3: nor does a device that was stolen guess on and on, however slowly.
func TestADeviceFailsAHundredTimesInItsLife(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session, _ := r.member(t, ada)
	home := account.Client{IP: netip.MustParseAddr("198.51.100.1"), Device: session.Device}
	for i := range 100 {
		if i%4 == 0 {
			r.forget(t, "*:ever", false)
		}
		_, err := r.Login(t.Context(), ada, "wrong password "+numbered(i), "", home)
		require.Equal(t, sweep.Unauthenticated, code(err))
	}
	r.forget(t, "*:ever", false)
	_, err := r.Login(t.Context(), ada, good, "", home)
	require.Equal(t, sweep.Unauthenticated, code(err))
}

// forget lets time go by for the allowances whose key is like a pattern, or for all others.
func (r *rig) forget(t *testing.T, pattern string, like bool) {
	t.Helper()
	matching, err := r.Requests.Redis.Keys(t.Context(), pattern).Result()
	require.NoError(t, err)
	if !like {
		all, err := r.Requests.Redis.Keys(t.Context(), "*").Result()
		require.NoError(t, err)
		matching = slices.DeleteFunc(all, func(k string) bool { return slices.Contains(matching, k) })
	}
	if len(matching) > 0 {
		require.NoError(t, r.Requests.Redis.Del(t.Context(), matching...).Err())
	}
}
