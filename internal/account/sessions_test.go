package account_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// inBrowser is the client of a page that wants a cookie.
func (r *rig) inBrowser() account.Client {
	c := r.client
	c.Cookie, c.UserAgent = true, "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
	return c
}

// session signs somebody in by a browser, with the factor's code if there is one.
func (r *rig) session(t *testing.T, email, password, code string) (cookie string, a sweep.Actor) {
	t.Helper()
	session, err := r.Login(t.Context(), email, password, code, r.inBrowser())
	require.NoError(t, err)
	require.Empty(t, session.AccessToken)
	a, err = r.AuthenticateSession(t.Context(), session.Cookie, r.client)
	require.NoError(t, err)
	return session.Cookie, a
}

// beside is another process on the same database.
func (r *rig) beside(db *store.DB) *account.Service {
	return &account.Service{DB: db, Signer: r.Signer, Pseudonym: r.Pseudonym, Plans: r.Plans, Passwords: r.Passwords, Requests: r.Requests, Vault: r.Vault, Log: r.Log}
}

func (r *rig) shown(id sweep.ID) string { return sweep.SessionID.Show(id) }

// shutSoon waits until a credential is refused: no call that begins a second after now may be let in.
func (r *rig) shutSoon(t *testing.T, enter func(context.Context, string, account.Client) (sweep.Actor, error), credential string, want sweep.Code, why string) {
	t.Helper()
	at := time.Now()
	testkit.Eventually(t, patience, func() bool {
		late := time.Since(at) > time.Second
		_, err := enter(t.Context(), credential, r.client)
		require.False(t, late && err == nil, "a call that began a second after is let in elsewhere: %s", why)
		return code(err) == want
	}, why)
}

// SES-3: at the last second it lives, a second on it does not, by idling and by age. What must be in time is tried until it was.
func TestASessionIdlesTwelveHoursAndLivesSevenDaysToTheSecond(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	cookie, a := r.session(t, ada, good, "")
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM sessions WHERE expires_at = created_at + interval '7 days' AND seen_at = created_at"))
	for _, c := range []struct {
		what, begun string
		offset      time.Duration
	}{
		{"unused", "created_at = now(), seen_at = now(), expires_at = now() + interval '7 days'", 12 * time.Hour},
		{"in use", "created_at = now(), seen_at = now() + interval '7 days' - interval '1 hour', expires_at = now() + interval '7 days'", 7 * 24 * time.Hour},
	} {
		before, after := r.open(t, "mailsweep_app", c.offset-time.Second), r.open(t, "mailsweep_app", c.offset+time.Second)
		testkit.Eventually(t, patience, func() bool {
			r.exec(t, "UPDATE sessions SET "+c.begun)
			views, err := r.beside(before).Sessions(t.Context(), a, r.client)
			require.NoError(t, err)
			r.exec(t, "UPDATE sessions SET "+c.begun)
			_, err = r.beside(before).AuthenticateSession(t.Context(), cookie, r.client)
			return err == nil && len(views) == 1
		}, c.what+", a second before its end")
		r.exec(t, "UPDATE sessions SET "+c.begun)
		_, err := r.beside(after).AuthenticateSession(t.Context(), cookie, r.client)
		require.Equal(t, sweep.Unauthenticated, code(err), "%s, a second after its end", c.what)
		views, err := r.beside(after).Sessions(t.Context(), a, r.client)
		require.NoError(t, err)
		require.Empty(t, views)
		require.Equal(t, sweep.NotFound, code(r.beside(after).EndSession(t.Context(), a, a.Session)), "what is over cannot be ended")
		a.ProvenAt = time.Now().Add(c.offset)
		require.Equal(t, sweep.Unauthenticated, code(r.beside(after).EndOtherSessions(t.Context(), a)), "nor kept")
	}
}

// SES-3: what a process remembers ages too.
func TestARememberedSessionEndsInTimeAsWell(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	cookie, _ := r.session(t, ada, good, "")
	r.exec(t, "UPDATE sessions SET expires_at = clock_timestamp() + interval '300 milliseconds'")
	fresh := r.beside(r.DB)
	at := time.Now()
	testkit.Eventually(t, patience, func() bool {
		late := time.Since(at) > 300*time.Millisecond
		_, err := fresh.AuthenticateSession(t.Context(), cookie, r.client)
		require.False(t, late && err == nil, "a call that began after its end")
		return code(err) == sweep.Unauthenticated
	}, "it is over")
}

// SES-3: use moves the idle end, once a minute, whoever uses it at once; what is over stays over.
func TestUseKeepsASessionAliveAndWakesNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	cookie, a := r.session(t, ada, good, "")
	all := func(want sweep.Code) {
		t.Helper()
		var wait sync.WaitGroup
		for range 4 { // processes
			process := r.beside(r.DB)
			for range 10 {
				wait.Go(func() {
					if _, err := process.AuthenticateSession(t.Context(), cookie, r.client); code(err) != want {
						t.Errorf("%v, not %q", err, want)
					}
				})
			}
		}
		wait.Wait()
	}
	r.exec(t, "UPDATE sessions SET created_at = now() - interval '2 days', seen_at = now() - interval '11 hours 50 minutes', expires_at = now() + interval '5 days'")
	r.exec(t, "CREATE TABLE written (n int); GRANT INSERT ON written TO mailsweep_app")
	r.exec(t, "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO written VALUES (1); RETURN NEW; END'; CREATE TRIGGER note AFTER UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION note()")
	require.NoError(t, r.beside(r.DB).CheckSession(t.Context(), cookie, r.client))
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM written"), "a look is no use")
	all("")
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM sessions WHERE seen_at > now() - interval '5 minutes' AND expires_at < now() + interval '5 days'"), "the idle end moved, the other did not")
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM written"), "one of forty wrote it down")
	r.exec(t, "UPDATE sessions SET seen_at = now() - interval '30 seconds'")
	all("")
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM sessions WHERE seen_at < now() - interval '29 seconds'"), "not twice a minute")

	use := func() {
		require.NoError(t, r.DB.Tenant(t.Context(), a.Customer, func(tx *store.Tx) error { return tx.UseSession(a.Session) }))
	}
	for _, over := range []string{"seen_at = now() - interval '12 hours'", "seen_at = now() - interval '2 minutes', expires_at = now()",
		"expires_at = now() + interval '1 day', ended_at = now()", "ended_at = NULL, token_version = token_version - 1"} {
		r.exec(t, "UPDATE sessions SET "+over)
		use()
		all(sweep.Unauthenticated)
		require.Equal(t, 1, r.count(t, "SELECT count(*) FROM sessions WHERE seen_at < now() - interval '1 minute'"), over)
	}
}

// SES-4: of two customers and three people, everybody's own.
func TestSessionsAreListedAndEnded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token, _ := r.member(t, ada)
	bobsToken, bob := r.member(t, "bob@example.com")
	first, a := r.session(t, ada, good, "")
	second, b := r.session(t, ada, good, "")
	third, _ := r.session(t, ada, good, "")
	bobs, _ := r.session(t, "bob@example.com", good, "")
	r.exec(t, "UPDATE sessions SET seen_at = seen_at - interval '1 hour' WHERE id = $1", a.Session.String())
	near, far := r.client, r.client
	near.IP, far.IP = netip.MustParseAddr("203.0.113.250"), netip.MustParseAddr("203.0.114.7")
	views, err := r.Sessions(t.Context(), a, near)
	require.NoError(t, err)
	require.Len(t, views, 3)
	last := views[2]
	require.Equal(t, []any{r.shown(a.Session), "Firefox on Linux", true, true, false}, []any{last.ID, last.Device, last.Current, last.SameNetwork, last.SecondFactor}, "the last used first")
	require.Equal(t, last.SeenAt.Add(12*time.Hour), last.ExpiresAt)
	require.Equal(t, []bool{false, false}, []bool{views[0].Current, views[1].Current})
	views, err = r.Sessions(t.Context(), a, far)
	require.NoError(t, err)
	require.False(t, views[2].SameNetwork)

	r.exec(t, "INSERT INTO users (id, email, password, verified_at, created_at) SELECT gen_random_uuid(), 'colleague@example.com', password, now(), now() FROM users WHERE email = $1", ada)
	r.exec(t, "INSERT INTO members (customer_id, user_id, role, created_at) SELECT $1::uuid, id, 'viewer', now() FROM users WHERE email = 'colleague@example.com'", a.Customer.String())
	colleagues, c := r.session(t, "colleague@example.com", good, "")
	for _, stranger := range []sweep.Actor{bob, c} {
		require.Equal(t, sweep.NotFound, code(r.EndSession(t.Context(), stranger, b.Session)), "another person's")
	}
	require.NoError(t, r.EndOtherSessions(t.Context(), c))
	require.NoError(t, r.EndOtherSessions(t.Context(), bob), "by a token: all of bob's")
	lives := func(cookies ...string) (alive []bool) {
		for _, cookie := range cookies {
			_, err := r.AuthenticateSession(t.Context(), cookie, r.client)
			alive = append(alive, err == nil)
		}
		return alive
	}
	require.Equal(t, []bool{true, true, true, true, false}, lives(first, second, third, colleagues, bobs))
	require.NoError(t, r.EndSession(t.Context(), a, b.Session))
	require.Equal(t, []bool{true, false, true}, lives(first, second, third))
	require.Equal(t, sweep.NotFound, code(r.EndSession(t.Context(), a, b.Session)), "once")
	require.NoError(t, r.EndOtherSessions(t.Context(), a))
	require.Equal(t, []bool{true, false, false, true}, lives(first, second, third, colleagues))
	_, err = r.Authenticate(t.Context(), token.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "tokens end with the others")
	_, err = r.Authenticate(t.Context(), bobsToken.AccessToken, r.client)
	require.NoError(t, err)
	views, err = r.Sessions(t.Context(), a, r.client)
	require.NoError(t, err)
	require.Len(t, views, 1)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'session.ended' AND object = $1 AND actor = $2", r.shown(b.Session), a.String()))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'sessions.ended' AND actor = $1 AND data->>'sessions' = '1'", a.String()))
	require.Equal(t, 4+1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'user.signed_in' AND data->>'session' LIKE 'ses\\_%'"))
}

// SES-4: who holds a session that somebody forgot to close, or took, signs nobody out elsewhere: that wants a sign-in of the last 15 minutes.
func TestEndingOtherSessionsWantsASignInOfLate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	cookie, old := r.session(t, ada, good, "")
	_, other := r.session(t, ada, good, "")
	token, err := r.Login(t.Context(), ada, good, "", r.client)
	require.NoError(t, err)
	near, far := r.atTime(t, sweep.ProofLife-5*time.Second), r.atTime(t, sweep.ProofLife+5*time.Second)
	bearer, err := far.Authenticate(t.Context(), token.AccessToken, r.client)
	require.NoError(t, err)
	held, err := far.AuthenticateSession(t.Context(), cookie, r.client)
	require.NoError(t, err)
	for _, a := range []sweep.Actor{old, held, bearer, {Kind: sweep.ByToken, Customer: old.Customer, User: old.User, Role: sweep.Owner}} {
		require.Equal(t, sweep.SignInAgain, code(far.EndSession(t.Context(), a, other.Session)))
		require.Equal(t, sweep.SignInAgain, code(far.EndOtherSessions(t.Context(), a)))
	}
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL"))

	again, err := far.Login(t.Context(), ada, good, "", r.client)
	require.NoError(t, err)
	bearer, err = far.Authenticate(t.Context(), again.AccessToken, r.client)
	require.NoError(t, err)
	require.NoError(t, far.EndSession(t.Context(), bearer, other.Session), "by a sign-in of now")
	require.NoError(t, near.EndOtherSessions(t.Context(), old), "a quarter of an hour is not over")
	require.NoError(t, far.EndSession(t.Context(), old, old.Session), "one's own at any time")
}

// SES-4: changing to another account, or joining one, proves nothing: the sign-in before it is what counts there.
func TestAChangeOfAccountIsNoSignIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, host := r.member(t, "host@example.com")
	r.member(t, ada)
	_, mine := r.session(t, ada, good, "")
	r.invite(t, host, ada, sweep.Viewer)
	later := r.atTime(t, time.Hour)
	joined, err := later.Join(t.Context(), mine, r.invited(t, ada), r.inBrowser())
	require.NoError(t, err)
	there, err := later.AuthenticateSession(t.Context(), joined.Cookie, r.client)
	require.NoError(t, err)
	require.Equal(t, mine.ProvenAt, there.ProvenAt)
	back, err := later.Switch(t.Context(), there, mine.Customer, "", r.client)
	require.NoError(t, err)
	here, err := later.Authenticate(t.Context(), back.AccessToken, r.client)
	require.NoError(t, err)
	require.WithinDuration(t, mine.ProvenAt, here.ProvenAt, time.Second)
	require.Equal(t, sweep.SignInAgain, code(later.EndOtherSessions(t.Context(), here)))
}

// SES-4
func TestTwentyEndsAtOnceAgreeOnWhatIsLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	cookies, actors := make([]string, 20), make([]sweep.Actor, 20)
	for i := range cookies {
		cookies[i], actors[i] = r.session(t, ada, good, "")
	}
	ends := func(end func(i int) error) (done int, refused map[sweep.Code]int) {
		refused = map[sweep.Code]int{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				err := end(i)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				} else {
					refused[code(err)]++
				}
			})
		}
		all.Wait()
		return done, refused
	}
	done, refused := ends(func(int) error { return r.EndSession(t.Context(), actors[0], actors[1].Session) })
	require.Equal(t, []any{1, map[sweep.Code]int{sweep.NotFound: 19}}, []any{done, refused}, "one session, twenty times")
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'session.ended'"))
	done, refused = ends(func(i int) error { return r.beside(r.DB).EndOtherSessions(t.Context(), actors[i]) })
	require.Equal(t, []any{1, map[sweep.Code]int{sweep.Unauthenticated: 19}}, []any{done, refused}, "each ends the others: one is left")
	left := 0
	for _, cookie := range cookies {
		if _, err := r.beside(r.DB).AuthenticateSession(t.Context(), cookie, r.client); err == nil {
			left++
		}
	}
	require.Equal(t, 1, left)
	_, mine := r.session(t, ada, good, "")
	done, refused = ends(func(int) error { return r.EndOtherSessions(t.Context(), mine) })
	require.Equal(t, []any{20, map[sweep.Code]int{}}, []any{done, refused}, "one session that ends the others twenty times keeps itself")
	views, err := r.Sessions(t.Context(), mine, r.client)
	require.NoError(t, err)
	require.Len(t, views, 1)
}

// SES-2, SES-4, RST-4, JWT-5: whatever ends a person's ways in ends their sessions, here at once and within a second in every process.
func TestWhatEndsSessionsEndsThemInEveryProcess(t *testing.T) {
	t.Parallel()
	spared := []string{"sign-out", "its end", "another in its place"} // are about one session: access tokens go on
	for what, end := range map[string]func(t *testing.T, r *rig, cookie string, a sweep.Actor) sweep.Code{
		"sign-out": func(t *testing.T, r *rig, _ string, a sweep.Actor) sweep.Code {
			require.NoError(t, r.Logout(t.Context(), a))
			return sweep.Unauthenticated
		},
		"sign-out of everything": func(t *testing.T, r *rig, _ string, a sweep.Actor) sweep.Code {
			a.Session = sweep.ID{}
			require.NoError(t, r.Logout(t.Context(), a))
			return sweep.Unauthenticated
		},
		"its end": func(t *testing.T, r *rig, _ string, a sweep.Actor) sweep.Code {
			_, other := r.session(t, ada, good, "")
			require.NoError(t, r.EndSession(t.Context(), other, a.Session))
			return sweep.Unauthenticated
		},
		"the end of all others": func(t *testing.T, r *rig, _ string, _ sweep.Actor) sweep.Code {
			_, other := r.session(t, ada, good, "")
			require.NoError(t, r.EndOtherSessions(t.Context(), other))
			return sweep.Unauthenticated
		},
		"another in its place": func(t *testing.T, r *rig, cookie string, _ sweep.Actor) sweep.Code {
			require.NoError(t, r.ReplaceSession(t.Context(), cookie, r.client))
			return sweep.Unauthenticated
		},
		"a new password": func(t *testing.T, r *rig, _ string, a sweep.Actor) sweep.Code {
			_, err := r.ChangePassword(t.Context(), a, good, good+", again", r.inBrowser())
			require.NoError(t, err)
			return sweep.Unauthenticated
		},
		"a reset": func(t *testing.T, r *rig, _ string, _ sweep.Actor) sweep.Code {
			require.NoError(t, r.ForgotPassword(t.Context(), ada, r.client))
			_, err := r.ResetPassword(t.Context(), r.resets(t)[0], good+", again", r.client)
			require.NoError(t, err)
			return sweep.Unauthenticated
		},
		"suspension": func(t *testing.T, r *rig, _ string, _ sweep.Actor) sweep.Code {
			r.exec(t, "UPDATE customers SET suspended_at = now()")
			return sweep.AccountSuspended
		},
		"no membership": func(t *testing.T, r *rig, _ string, _ sweep.Actor) sweep.Code {
			r.exec(t, "DELETE FROM members")
			return sweep.Unauthenticated
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			token, _ := r.member(t, ada)
			cookie, a := r.session(t, ada, good, "")
			elsewhere := r.beside(r.DB)
			_, err := elsewhere.AuthenticateSession(t.Context(), cookie, r.client)
			require.NoError(t, err)
			_, err = elsewhere.Authenticate(t.Context(), token.AccessToken, r.client)
			require.NoError(t, err)
			want := end(t, r, cookie, a)
			r.shutSoon(t, elsewhere.AuthenticateSession, cookie, want, what)
			if !slices.Contains(spared, what) {
				r.shutSoon(t, elsewhere.Authenticate, token.AccessToken, want, what)
			}
			if want == sweep.Unauthenticated && what != "no membership" { // the act went through this process
				_, err = r.AuthenticateSession(t.Context(), cookie, r.client)
				require.Equal(t, want, code(err), "here at once")
			}
		})
	}
}

// SES-2, JWT-5: a session from before the second factor is worth nothing after, nor one from before its end.
func TestTheSecondFactorEndsSessionsInEveryProcess(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token, _ := r.member(t, ada)
	cookie, a := r.session(t, ada, good, "")
	elsewhere := r.beside(r.DB)
	known := func(cookie string) {
		_, err := elsewhere.AuthenticateSession(t.Context(), cookie, r.client)
		require.NoError(t, err)
	}
	known(cookie)
	_, err := elsewhere.Authenticate(t.Context(), token.AccessToken, r.client)
	require.NoError(t, err)
	p := &person{rig: r, email: ada, actor: a}
	p.offered(t)
	on, err := r.ConfirmFactor(t.Context(), a, p.code(t, 0), r.inBrowser())
	require.NoError(t, err)
	r.shutSoon(t, elsewhere.AuthenticateSession, cookie, sweep.Unauthenticated, "turning it on")
	r.shutSoon(t, elsewhere.Authenticate, token.AccessToken, sweep.Unauthenticated, "turning it on")
	known(on.Session.Cookie)
	a, err = r.AuthenticateSession(t.Context(), on.Session.Cookie, r.client)
	require.NoError(t, err)
	off, err := r.DropFactor(t.Context(), a, good, on.RecoveryCodes[0], r.inBrowser())
	require.NoError(t, err)
	r.shutSoon(t, elsewhere.AuthenticateSession, on.Session.Cookie, sweep.Unauthenticated, "turning it off")
	known(off.Cookie)
	r.exec(t, "INSERT INTO second_factors (customer_id, user_id, secret, salt, on_at, created_at) VALUES ($1, $2, '', '', now(), now())", a.Customer.String(), a.User.String())
	r.shutSoon(t, elsewhere.AuthenticateSession, off.Cookie, sweep.Unauthenticated, "a factor that this session never gave")
}

// IPA-2
func TestAnAllowlistHoldsForSessions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	r.exec(t, "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1, ip_allowlist = '192.0.2.0/24'")
	session, err := r.Login(t.Context(), ada, good, "", r.inBrowser())
	require.NoError(t, err)
	_, err = r.AuthenticateSession(t.Context(), session.Cookie, r.client)
	require.Equal(t, sweep.IPNotAllowed, code(err))
}

func TestAPersonHasFiftySessionsAtMost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	begin := func(n int) {
		require.NoError(t, r.DB.Tenant(t.Context(), a.Customer, func(tx *store.Tx) error {
			return tx.InsertSession(store.Session{ID: tx.NewID(), User: a.User, Hash: fmt.Append(nil, n), Device: fmt.Sprint(n), TokenVersion: 1})
		}))
	}
	for n := range 50 {
		begin(n)
	}
	r.exec(t, "UPDATE sessions SET seen_at = now() - interval '1 hour' WHERE device = '7'")
	begin(50)
	views, err := r.Sessions(t.Context(), a, r.client)
	require.NoError(t, err)
	require.Len(t, views, 50)
	for _, v := range views {
		require.NotEqual(t, "7", v.Device, "the one that was unused for longest made room")
	}
}
