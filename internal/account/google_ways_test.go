package account_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// owed is the challenge in an answer that asks for the second factor.
func owed(t *testing.T, session account.Session, err error) string {
	t.Helper()
	require.Equal(t, sweep.TOTPRequired, code(err))
	require.Empty(t, session.AccessToken)
	var asked *sweep.Error
	require.ErrorAs(t, err, &asked)
	return asked.Data["challenge"].(string)
}

// MFA-5: each way in, of a person who has a second factor, without it and with it.
func TestEveryWayInAsksForTheSecondFactor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Limits.LoginFailures = 100
	p, _ := r.withFactor(t, one)
	v := r.visits(t, one)
	_, err := r.complete(t, v)
	require.Equal(t, sweep.LinkRequired, code(err))
	link := func(totp string) (account.Session, error) {
		return r.LinkGoogle(t.Context(), v.Ticket, one, good, totp, r.client)
	}
	password := func(totp string) (account.Session, error) { return r.Login(t.Context(), one, good, totp, r.client) }
	for _, way := range []func(totp string) (account.Session, error){password, link} {
		session, err := way("")
		owed(t, session, err)
		_, err = way("000000")
		require.Equal(t, sweep.Unauthenticated, code(err))
		require.Equal(t, 0, r.count(t, "SELECT count(google_subject) FROM users"), "nothing is tied before the code")
		p.again(t)
		session, err = way(p.code(t, 0))
		require.NoError(t, err)
		r.actorOf(t, session)
	}
	session, err := r.withGoogle(t, one)
	challenge := owed(t, session, err)
	_, err = r.AnswerChallenge(t.Context(), challenge, "000000", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	p.again(t)
	session, err = r.AnswerChallenge(t.Context(), challenge, p.code(t, 0), r.client)
	require.NoError(t, err)
	require.Equal(t, one, session.Customer.Email)
	require.NoError(t, r.ForgotPassword(t.Context(), one, r.client))
	_, err = r.ResetPassword(t.Context(), r.resetToken(t), "another otter sings", r.client)
	require.NoError(t, err, "it signs nobody in")
	session, err = r.withGoogle(t, one)
	owed(t, session, err)
}

func (r *rig) resetToken(t *testing.T) string {
	t.Helper()
	sent := r.deliver(t, mail.PasswordReset)
	require.NotEmpty(t, sent)
	return resetLink.FindStringSubmatch(sent[len(sent)-1].Text)[1]
}

// MFA-5: what a challenge was given for must hold until it is answered.
func TestAChallengeOfGooglesEndsWithWhatItWasGivenFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.linked(t, one)
	p := &person{rig: r, email: one}
	session, err := r.withGoogle(t, one)
	require.NoError(t, err)
	p.actor = r.actorOf(t, session)
	p.offered(t)
	on, err := r.ConfirmFactor(t.Context(), p.actor, p.code(t, 0), r.client)
	require.NoError(t, err)
	p.actor = r.actorOf(t, *on.Session)
	for name, ends := range map[string]func() error{
		"a new password": func() error {
			_, err := r.ChangePassword(t.Context(), p.actor, good, good+" again", r.client)
			return err
		},
		"a sign-out": func() error { return r.Logout(t.Context(), p.actor) },
	} {
		session, err := r.withGoogle(t, one)
		challenge := owed(t, session, err)
		require.NoError(t, ends(), name)
		p.again(t)
		_, err = r.AnswerChallenge(t.Context(), challenge, p.code(t, 0), r.client)
		require.Equal(t, sweep.Unauthenticated, code(err), name)
	}
}

func TestGoogleLetsInNobodyWhomOtherWaysRefuse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.linked(t, one)
	_, err := r.withGoogle(t, two)
	require.NoError(t, err)
	r.exec(t, "UPDATE customers SET plan = 'enterprise', ip_allowlist = '198.51.100.0/24', plan_version = plan_version + 1")
	session, err := r.withGoogle(t, two)
	require.NoError(t, err)
	_, err = r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.Equal(t, sweep.IPNotAllowed, code(err))
	r.exec(t, "UPDATE customers SET suspended_at = now(), ip_allowlist = ''")
	for _, email := range []string{one, two} {
		session, err = r.withGoogle(t, email)
		require.Equal(t, sweep.AccountSuspended, code(err))
		require.Empty(t, session.AccessToken)
	}
	r.exec(t, "UPDATE customers SET suspended_at = NULL, deleted_at = now(), purge_at = now() + interval '1 day'")
	session, err = r.withGoogle(t, one)
	require.Equal(t, sweep.AccountDeleted, code(err))
	require.Empty(t, session.AccessToken)
}

func TestASuspendedPersonLinksNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.owner(t, one)
	v := r.visits(t, one)
	_, err := r.complete(t, v)
	require.Equal(t, sweep.LinkRequired, code(err))
	r.exec(t, "UPDATE customers SET suspended_at = now()")
	_, err = r.LinkGoogle(t.Context(), v.Ticket, one, good, "", r.client)
	require.Equal(t, sweep.AccountSuspended, code(err))
	require.Equal(t, 0, r.count(t, "SELECT count(google_subject) FROM users"))
}

// Who signed up with Google has no password until a mail sets one; unlinking waits for that.
func TestUnlinkingGoogleNeedsAPassword(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session, err := r.withGoogle(t, one)
	require.NoError(t, err)
	a := r.actorOf(t, session)
	for _, password := range []string{"", good} {
		_, err = r.UnlinkGoogle(t.Context(), a, password, r.client)
		require.Equal(t, sweep.Conflict, code(err))
		_, err = r.OfferFactor(t.Context(), a, password, r.client)
		require.Equal(t, sweep.Conflict, code(err))
	}
	require.NoError(t, r.ForgotPassword(t.Context(), one, r.client))
	_, err = r.ResetPassword(t.Context(), r.resetToken(t), good, r.client)
	require.NoError(t, err)
	_, err = r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "a new password ends sessions of Google's too")
	other, err := r.withGoogle(t, one)
	require.NoError(t, err, "and Google signs in still")
	a = r.actorOf(t, other)
	_, err = r.UnlinkGoogle(t.Context(), a, "not the password", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	key := a
	key.Kind = sweep.ByKey
	_, err = r.UnlinkGoogle(t.Context(), key, good, r.client)
	require.Equal(t, sweep.Forbidden, code(err))
	fresh, err := r.UnlinkGoogle(t.Context(), a, good, r.client)
	require.NoError(t, err)
	_, err = r.Authenticate(t.Context(), other.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	a = r.actorOf(t, fresh)
	_, err = r.UnlinkGoogle(t.Context(), a, good, r.client)
	require.Equal(t, sweep.NotFound, code(err))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'google.unlinked'"))
	_, err = r.withGoogle(t, one)
	require.Equal(t, sweep.LinkRequired, code(err), "it is a password's account now")
}

func TestADeviceUnseenBeforeIsToldOfWithGoogleToo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, err := r.withGoogle(t, one)
	require.NoError(t, err)
	require.Empty(t, r.deliver(t, mail.SecurityNotice), "at the first of all there is nothing to tell")
	r.client.UserAgent = "another browser"
	r.client.Device = first.Device
	_, err = r.withGoogle(t, one)
	require.NoError(t, err)
	require.Empty(t, r.deliver(t, mail.SecurityNotice), "a device that is known")
	r.client.Device = ""
	for range 2 {
		_, err = r.withGoogle(t, one)
		require.NoError(t, err)
	}
	require.Len(t, r.deliver(t, mail.SecurityNotice), 1, "once")
}

// TEN-3: the identity of another customer's person is out of reach.
func TestAnIdentityIsSeenByItsCustomerAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session, err := r.withGoogle(t, one)
	require.NoError(t, err)
	other, err := r.withGoogle(t, two)
	require.NoError(t, err)
	mine, theirs := r.actorOf(t, session), r.actorOf(t, other)
	require.NoError(t, r.DB.Tenant(t.Context(), mine.Customer, func(tx *store.Tx) error {
		has, err := tx.SignsInWithGoogle(theirs.User)
		require.False(t, has)
		require.NoError(t, err)
		dropped, err := tx.DropGoogleIdentity(theirs.User)
		require.False(t, dropped)
		return err
	}))
	require.Equal(t, 2, r.count(t, "SELECT count(google_subject) FROM users"))
}

// OIDC-1: Google knows of another provider's address only that it was theirs once.
func TestAnAddressThatGoogleDoesNotKeepProvesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const elsewhere = "one@elsewhere.example"
	require.NoError(t, r.google.SayAddress(one, elsewhere))
	refused := func() {
		t.Helper()
		session, err := r.withGoogle(t, one)
		require.Equal(t, sweep.EmailUnverified, code(err))
		require.Empty(t, session.AccessToken)
	}
	refused()
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM users"))
	require.NoError(t, r.SignUp(t.Context(), elsewhere, good, "One", r.client))
	refused()
	_, err := r.VerifyEmail(t.Context(), r.tokens(t)[0], good, r.client)
	require.NoError(t, err, "the sign-up waits as it did")
	v := r.visits(t, one)
	_, err = r.complete(t, v)
	require.Equal(t, sweep.LinkRequired, code(err), "with the password it can be tied")
	_, err = r.LinkGoogle(t.Context(), v.Ticket, elsewhere, good, "", r.client)
	require.NoError(t, err)
	_, err = r.withGoogle(t, one)
	require.NoError(t, err)
}

// A Google account signs a person in, for whomever they work: who leaves one customer keeps it.
func TestGoogleIsAPersonsNotACustomers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	home, host := r.linked(t, one), r.owner(t, ada)
	r.invite(t, host, one, sweep.Viewer)
	session, err := r.Join(t.Context(), home, r.invited(t, one), r.client)
	require.NoError(t, err)
	there := r.actorOf(t, session)
	require.NotEqual(t, home.Customer, there.Customer)
	ways, err := r.WaysIn(t.Context(), there)
	require.NoError(t, err)
	require.Equal(t, account.WaysIn{Google: true, Password: true}, ways)
	signedIn := func() sweep.Actor {
		t.Helper()
		session, err := r.withGoogle(t, one)
		require.NoError(t, err)
		return r.actorOf(t, session)
	}
	require.Equal(t, home.Customer, signedIn().Customer, "where they have been the longest")
	r.exec(t, "UPDATE members SET created_at = created_at - interval '1 day' WHERE role = 'viewer'")
	require.Equal(t, there.Customer, signedIn().Customer)
	require.NoError(t, r.Leave(t.Context(), there, account.ProvenAgain{Password: good}, r.client))
	back := signedIn()
	require.Equal(t, []sweep.ID{home.Customer, home.User}, []sweep.ID{back.Customer, back.User})
	_, err = r.UnlinkGoogle(t.Context(), back, good, r.client)
	require.NoError(t, err)
	_, err = r.withGoogle(t, one)
	require.Equal(t, sweep.LinkRequired, code(err))
}
