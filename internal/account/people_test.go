package account_test

import (
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

// joined invites somebody new, who accepts.
func (r *rig) joined(t *testing.T, owner sweep.Actor, email string, role sweep.Role) (account.Session, sweep.Actor) {
	t.Helper()
	r.invite(t, owner, email, role)
	session, err := r.AcceptInvitation(t.Context(), account.Acceptance{Token: r.invited(t, email), Password: good}, r.client)
	require.NoError(t, err)
	a, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.NoError(t, err)
	return session, a
}

func id(t *testing.T, k sweep.Kind, shown string) sweep.ID {
	t.Helper()
	id, err := k.Parse(shown)
	require.NoError(t, err)
	return id
}

// process is another one, which has seen a credential.
func (r *rig) process(t *testing.T, credentials ...string) *account.Service {
	t.Helper()
	other := &account.Service{DB: r.DB, Plans: r.Plans, Pseudonym: r.Pseudonym, Log: r.Log, Signer: r.Signer}
	for _, c := range credentials {
		_, err := other.Authenticate(t.Context(), c, r.client)
		require.NoError(t, err)
	}
	return other
}

// outWithinASecond wants no call that began a second after now to be let in.
func (r *rig) outWithinASecond(t *testing.T, other *account.Service, credential string) {
	t.Helper()
	at := time.Now()
	require.Eventually(t, func() bool {
		late := time.Since(at) > time.Second
		_, err := other.Authenticate(t.Context(), credential, r.client)
		require.False(t, late && err == nil, "a call that began a second after is let in")
		return code(err) == sweep.Unauthenticated
	}, patience, 10*time.Millisecond)
}

func TestWhoIsLetGoIsOutEverywhereAndForgotten(t *testing.T) { // JWT-5
	t.Parallel()
	r := newRig(t)
	_, owner := r.member(t, ada)
	session, bo := r.joined(t, owner, "bo@example.com", sweep.Operator)
	key := r.key(t, bo, wish(sweep.ScopeRead))
	other := r.process(t, session.AccessToken, key.Key)
	require.Equal(t, 1, r.told(t, "An API key was made"))
	require.NoError(t, r.Remove(t.Context(), owner, bo.User))
	_, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "at once where it was done")
	r.outWithinASecond(t, other, session.AccessToken)
	r.outWithinASecond(t, other, key.Key)
	r.refusedSoon(t, key.Key, sweep.Unauthenticated)
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM users WHERE email = 'bo@example.com'"), "who works for nobody is forgotten")
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM api_keys"))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'person.removed' AND object = $1", sweep.UserID.Show(bo.User)))
	require.Equal(t, sweep.NotFound, code(r.Remove(t.Context(), owner, bo.User)))
	_, err = r.Login(t.Context(), "bo@example.com", good, "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	r.afterAMinute(t)
	fresh, again := r.member(t, "bo@example.com")
	require.Equal(t, sweep.Owner, again.Role, "the address is free")
	require.NotEqual(t, owner.Customer, again.Customer)
	require.NotEmpty(t, fresh.AccessToken)
}

// Whoever comes back brings no token of before.
func TestOldTokensStayDeadAfterAReturn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, owner := r.member(t, ada)
	_, bo := r.member(t, "bo@example.com")
	r.invite(t, owner, "bo@example.com", sweep.Viewer)
	old, err := r.Join(t.Context(), bo, r.invited(t, "bo@example.com"), r.client)
	require.NoError(t, err)
	require.NoError(t, r.Remove(t.Context(), owner, bo.User))
	r.afterAMinute(t)
	r.invite(t, owner, "bo@example.com", sweep.Owner)
	_, err = r.AcceptInvitation(t.Context(), account.Acceptance{Token: r.invited(t, "bo@example.com"), Password: good}, r.client)
	require.NoError(t, err)
	_, err = r.Authenticate(t.Context(), old.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
}

func TestTheLastOwnerStays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, owner := r.member(t, ada)
	_, bo := r.joined(t, owner, "bo@example.com", sweep.Operator)
	again := account.ProvenAgain{Password: good}
	_, err := r.SetRole(t.Context(), owner, owner.User, sweep.Viewer, again, r.client)
	require.Equal(t, sweep.Conflict, code(err))
	require.Equal(t, sweep.Conflict, code(r.Leave(t.Context(), owner, again, r.client)))
	require.Equal(t, sweep.Conflict, code(r.Remove(t.Context(), owner, owner.User)))
	_, err = r.SetRole(t.Context(), bo, bo.User, sweep.Owner, again, r.client)
	require.Equal(t, sweep.Forbidden, code(err), "nobody lifts themselves")
	_, err = r.SetRole(t.Context(), owner, bo.User, sweep.Owner, account.ProvenAgain{Password: "not the password"}, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "a stolen session makes no owners")
	_, err = r.SetRole(t.Context(), owner, bo.User, "admin", again, r.client)
	require.Equal(t, sweep.Invalid, code(err))
	view, err := r.SetRole(t.Context(), owner, bo.User, sweep.Owner, again, r.client)
	require.NoError(t, err)
	require.Equal(t, sweep.Owner, view.Role)
	require.NoError(t, r.Leave(t.Context(), owner, again, r.client))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM members WHERE role = 'owner'"))
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM users WHERE email = $1", ada))
	for _, action := range []string{"person.role_changed", "person.left", "person.invited", "person.joined"} {
		require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = $1", action), action)
	}
}

// Two owners who act on each other at the same time: one does, the other is no owner by then.
func TestOfTwoOwnersWhoDemoteOrRemoveEachOtherOneIsLeft(t *testing.T) {
	t.Parallel()
	for what, act := range map[string]func(*rig, *testing.T, sweep.Actor, sweep.Actor) error{
		"demote": func(r *rig, t *testing.T, a, b sweep.Actor) error {
			_, err := r.SetRole(t.Context(), a, b.User, sweep.Viewer, account.ProvenAgain{Password: good}, r.client)
			return err
		},
		"remove": func(r *rig, t *testing.T, a, b sweep.Actor) error { return r.Remove(t.Context(), a, b.User) },
		"leave": func(r *rig, t *testing.T, a, _ sweep.Actor) error {
			return r.Leave(t.Context(), a, account.ProvenAgain{Password: good}, r.client)
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			_, a := r.member(t, ada)
			_, b := r.joined(t, a, "bo@example.com", sweep.Owner)
			looks, err := pgx.Connect(t.Context(), r.database.Bootstrap)
			require.NoError(t, err)
			defer looks.Close(t.Context())
			tx, err := r.root.Begin(t.Context())
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), "SELECT FROM customers FOR UPDATE")
			require.NoError(t, err)
			var all sync.WaitGroup
			var one, two error
			all.Go(func() { one = act(r, t, a, b) })
			all.Go(func() { two = act(r, t, b, a) })
			require.Eventually(t, func() bool { // both were let begin, and wait for their turn
				var waits int
				err := looks.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waits)
				return err == nil && waits == 2
			}, patience, 10*time.Millisecond)
			require.NoError(t, tx.Commit(t.Context()))
			all.Wait()
			require.True(t, (one == nil) != (two == nil), "%v, %v", one, two)
			for _, err := range []error{one, two} {
				if err != nil {
					require.Contains(t, []sweep.Code{sweep.Forbidden, sweep.Conflict, sweep.NotFound, sweep.Unauthenticated}, code(err), err)
				}
			}
			require.Equal(t, 1, r.count(t, "SELECT count(*) FROM members WHERE role = 'owner'"))
		})
	}
}

func TestBeyondThePlansPeopleOneOnlyLooks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, owner := r.member(t, ada)
	session, bo := r.joined(t, owner, "bo@example.com", sweep.Operator)
	_, cy := r.joined(t, owner, "cy@example.com", sweep.Owner)
	key := r.key(t, bo, wish(sweep.ScopeRead))
	role := func(a sweep.Actor) sweep.Role {
		other := &account.Service{DB: r.DB, Plans: r.Plans, Pseudonym: r.Pseudonym, Signer: r.Signer}
		me, err := other.Me(t.Context(), a)
		require.NoError(t, err)
		return me.Role
	}
	has := func(credential string) sweep.Role {
		other := &account.Service{DB: r.DB, Plans: r.Plans, Pseudonym: r.Pseudonym, Signer: r.Signer}
		a, err := other.Authenticate(t.Context(), credential, r.client)
		require.NoError(t, err)
		return a.Role
	}
	require.Equal(t, sweep.Operator, has(session.AccessToken))
	require.Equal(t, sweep.Operator, has(key.Key))
	r.exec(t, "UPDATE customers SET trial_ends_at = now(), plan = 'pro'")
	two := r.Plans[sweep.Pro]
	two.People = 2
	r.Plans = sweep.Plans{sweep.Free: r.Plans[sweep.Free], sweep.Pro: two}
	require.Equal(t, []sweep.Role{sweep.Owner, sweep.Owner, sweep.Viewer}, []sweep.Role{role(owner), role(cy), role(bo)}, "owners first")
	require.Equal(t, sweep.Viewer, has(session.AccessToken))
	require.Equal(t, sweep.Viewer, has(key.Key), "nor does a key of theirs")
	p, err := r.People(t.Context(), owner)
	require.NoError(t, err)
	require.Equal(t, 2, p.Limit)
	require.Equal(t, []bool{false, false, true}, []bool{p.Items[0].OverLimit, p.Items[1].OverLimit, p.Items[2].OverLimit})
	require.Equal(t, sweep.Operator, p.Items[2].Role, "it comes back with the plan")
	two.People = 1
	r.Plans[sweep.Pro] = two
	require.Equal(t, []sweep.Role{sweep.Owner, sweep.Viewer, sweep.Viewer}, []sweep.Role{role(owner), role(cy), role(bo)}, "then who came first")
	require.Equal(t, sweep.Forbidden, code(r.Remove(t.Context(), cy, bo.User)), "an owner beyond the plan's people only looks")
	require.NoError(t, r.Remove(t.Context(), owner, bo.User))
}

// Whoever lets a person go takes no second factor away from the person's own account.
func TestASecondFactorGoesAlongToTheNextCustomer(t *testing.T) { // MFA-5
	t.Parallel()
	r := newRig(t)
	bo, _ := r.withFactor(t, "bo@example.com")
	_, owner := r.member(t, ada)
	r.invite(t, owner, bo.email, sweep.Owner)
	_, err := r.AcceptInvitation(t.Context(), account.Acceptance{Token: r.invited(t, bo.email), Password: good}, r.client)
	require.Equal(t, sweep.TOTPRequired, code(err), "joining by the password takes the second factor too")
	_, err = r.AcceptInvitation(t.Context(), account.Acceptance{Token: r.invited(t, bo.email), Password: good, Code: bo.codes[9]}, r.client)
	require.NoError(t, err)
	require.Equal(t, sweep.NotFound, code(r.Remove(t.Context(), owner, sweep.ID{1})))

	// the customer that signing in leads to lets them go
	_, err = r.Invite(t.Context(), bo.actor, "cy@example.com", sweep.Owner, account.ProvenAgain{Password: good, Code: bo.codes[8]}, r.client)
	require.NoError(t, err)
	joined, err := r.accept(t, r.invited(t, "cy@example.com"), good)
	require.NoError(t, err)
	cy, err := r.Authenticate(t.Context(), joined.AccessToken, r.client)
	require.NoError(t, err)
	require.NoError(t, r.Remove(t.Context(), cy, bo.actor.User))
	r.afterAMinute(t)
	_, err = r.Login(t.Context(), bo.email, good, "", r.client)
	require.Equal(t, sweep.TOTPRequired, code(err))
	bo.again(t)
	session, err := r.Login(t.Context(), bo.email, good, bo.code(t, 0), r.client)
	require.NoError(t, err)
	require.Equal(t, sweep.CustomerID.Show(owner.Customer), session.Customer.ID)
	_, err = r.Login(t.Context(), bo.email, good, bo.codes[9], r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "what was used stays used")
	_, err = r.Login(t.Context(), bo.email, good, bo.codes[0], r.client)
	require.NoError(t, err)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM second_factors"))
}

func TestAPersonSwitchesBetweenTheirCustomers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, owner := r.member(t, ada)
	_, bo := r.member(t, "bo@example.com")
	_, err := r.Switch(t.Context(), bo, owner.Customer, "", r.client)
	require.Equal(t, sweep.NotFound, code(err), "nobody's people")
	r.invite(t, owner, "bo@example.com", sweep.Viewer)
	session, err := r.Join(t.Context(), bo, r.invited(t, "bo@example.com"), r.client)
	require.NoError(t, err)
	require.Equal(t, []any{sweep.CustomerID.Show(owner.Customer), sweep.Viewer}, []any{session.Customer.ID, session.Customer.Role})
	there, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.NoError(t, err)
	views, err := r.Customers(t.Context(), there)
	require.NoError(t, err)
	require.Len(t, views, 2)
	require.Equal(t, []any{sweep.CustomerID.Show(bo.Customer), sweep.Owner, false}, []any{views[0].ID, views[0].Role, views[0].Current})
	require.Equal(t, []any{sweep.CustomerID.Show(owner.Customer), sweep.Viewer, true}, []any{views[1].ID, views[1].Role, views[1].Current})
	signedIn, err := r.Login(t.Context(), "bo@example.com", good, "", r.client)
	require.NoError(t, err)
	require.Equal(t, views[0].ID, signedIn.Customer.ID, "signing in leads to the first")
	back, err := r.Switch(t.Context(), there, bo.Customer, "", r.client)
	require.NoError(t, err)
	require.Equal(t, sweep.Owner, back.Customer.Role)
	r.exec(t, "UPDATE customers SET suspended_at = now() WHERE id = $1", owner.Customer.String())
	_, err = r.Switch(t.Context(), bo, owner.Customer, "", r.client)
	require.Equal(t, sweep.AccountSuspended, code(err))

	// a second factor of that membership is asked for
	offer, err := r.OfferFactor(t.Context(), bo, good, r.client)
	require.NoError(t, err)
	now, err := appOf(t, offer).Code(time.Now())
	require.NoError(t, err)
	on, err := r.ConfirmFactor(t.Context(), bo, now, r.client)
	require.NoError(t, err)
	r.exec(t, "UPDATE customers SET suspended_at = NULL")
	at, err := r.Switch(t.Context(), bo, owner.Customer, "", r.client)
	require.NoError(t, err)
	there, err = r.Authenticate(t.Context(), at.AccessToken, r.client)
	require.NoError(t, err)
	_, err = r.Switch(t.Context(), there, bo.Customer, "", r.client)
	require.Equal(t, sweep.TOTPRequired, code(err))
	_, err = r.Switch(t.Context(), there, bo.Customer, "000000", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.Switch(t.Context(), there, bo.Customer, on.RecoveryCodes[0], r.client)
	require.NoError(t, err)
}
