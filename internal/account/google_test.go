package account_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/mail"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

const (
	one = "one@gmail.example"
	two = "two@gmail.example"
)

// visit is a sign-in that came back from Google.
type visit struct {
	account.GoogleStart
	back url.Values
}

// visits walks to Google and back as one of its accounts.
func (r *rig) visits(t *testing.T, email string) visit {
	t.Helper()
	started, err := r.StartGoogle(t.Context(), r.client)
	require.NoError(t, err)
	return visit{started, r.consent(t, started.AuthorizeURL, email)}
}

func (r *rig) complete(t *testing.T, v visit) (account.Session, error) {
	t.Helper()
	return r.CompleteGoogle(t.Context(), v.Ticket, v.back.Get("state"), v.back.Get("code"), r.client)
}

func (r *rig) withGoogle(t *testing.T, email string) (account.Session, error) {
	t.Helper()
	return r.complete(t, r.visits(t, email))
}

// owner signs somebody up with a password.
func (r *rig) owner(t *testing.T, email string) sweep.Actor {
	t.Helper()
	_, a := r.member(t, email)
	return a
}

func (r *rig) actorOf(t *testing.T, s account.Session) sweep.Actor {
	t.Helper()
	a, err := r.Authenticate(t.Context(), s.AccessToken, r.client)
	require.NoError(t, err)
	return a
}

// OIDC-1
func TestGoogleSignsUpWhoIsNewAndInWhoIsKnown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	started, err := r.StartGoogle(t.Context(), r.client)
	require.NoError(t, err)
	require.Equal(t, "[redacted]", fmt.Sprintf("%v", started))
	require.Len(t, started.State, 43)
	to := r.GoogleCallback(started.State, "the-code", "")
	require.Equal(t, public+"/sign-in/google?code=the-code&state="+started.State, to)
	first, err := r.withGoogle(t, one)
	require.NoError(t, err)
	require.Equal(t, one, first.Customer.Email)
	require.Equal(t, "Ada of "+one, first.Customer.Name)
	require.Equal(t, sweep.Pro, first.Customer.Plan, "a trial, as others have")
	require.NotNil(t, first.Customer.TrialEndsAt)
	a := r.actorOf(t, first)
	require.Equal(t, sweep.Owner, a.Role)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM users WHERE verified_at IS NOT NULL AND password = ''"))
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM outbox"), "no mail: Google has proven the address")
	again, err := r.withGoogle(t, one)
	require.NoError(t, err)
	require.Equal(t, first.Customer.UserID, again.Customer.UserID)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM customers"))
	require.Equal(t, "user.signed_in_with_google user.signed_up user.verified_by_google", r.text(t, "SELECT string_agg(action, ' ' ORDER BY action) FROM audit_logs"))
	ways, err := r.WaysIn(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, account.WaysIn{Google: true}, ways)
	box, err := r.google.Mailbox(one)
	require.NoError(t, err)
	for _, table := range []string{"users", "google_sign_ins", "audit_logs"} {
		dump := r.text(t, "SELECT coalesce(string_agg(x::text, ''), '') FROM "+table+" x")
		require.NotContains(t, dump, box.Sub, table)
		require.NotContains(t, dump, fmt.Sprintf("%x", []byte(box.Sub)), table)
		require.Equal(t, table == "users", strings.Contains(dump, one), table)
	}
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM google_sign_ins"), "only the one that did not come back")
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM google_sign_ins WHERE $1 IN (encode(ticket, 'escape'), encode(state, 'escape'))", started.Ticket))
	require.NoError(t, r.SignUp(t.Context(), one, good, "Mallory", r.client))
	require.Len(t, r.deliver(t, mail.AlreadyRegistered), 1, "who signs up with the address changes nothing")
	_, err = r.Login(t.Context(), one, good, "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
}

// OIDC-1
func TestAnAddressWithAPasswordIsNeverMergedWithoutIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Limits.LoginFailures = 3
	a := r.owner(t, one)
	r.owner(t, ada)
	v := r.visits(t, one)
	_, err := r.complete(t, v)
	require.Equal(t, sweep.LinkRequired, code(err))
	var asked *sweep.Error
	require.ErrorAs(t, err, &asked)
	require.Equal(t, map[string]any{"email": one}, asked.Data)
	_, err = r.complete(t, v)
	require.Equal(t, sweep.Unauthenticated, code(err), "the same code twice")
	link := func(ticket, email, password string) error {
		session, err := r.LinkGoogle(t.Context(), ticket, email, password, "", r.client)
		require.Equal(t, err == nil, session.AccessToken != "")
		return err
	}
	require.Equal(t, sweep.Unauthenticated, code(link(v.Ticket, ada, good)), "another account's password")
	require.Equal(t, sweep.Unauthenticated, code(link(r.visits(t, one).Ticket, one, good)), "of a sign-in that has not come back")
	require.Equal(t, sweep.Unauthenticated, code(link("invented", one, good)))
	require.Equal(t, sweep.Unauthenticated, code(link(v.Ticket, one, "not the password")))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM security_events WHERE kind = 'login.failed'"), "it counts as a failed sign-in")
	require.Equal(t, 0, r.count(t, "SELECT count(google_subject) FROM users"))
	require.NoError(t, link(v.Ticket, " One@GMAIL.example", good))
	require.Equal(t, sweep.Unauthenticated, code(link(v.Ticket, one, good)), "the ticket is used up")
	session, err := r.withGoogle(t, one)
	require.NoError(t, err, "from then on Google signs in alone")
	require.Equal(t, a.User, r.actorOf(t, session).User)
	require.Len(t, r.deliver(t, mail.SecurityNotice), 1)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'google.linked'"))
	_, err = r.Login(t.Context(), one, good, "", r.client)
	require.NoError(t, err, "so does the password still")
	ways, err := r.WaysIn(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, account.WaysIn{Google: true, Password: true}, ways)
}

func TestGuessingAtALinkIsStoppedAsAtASignIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Limits.LoginFailures = 3
	r.owner(t, one)
	v := r.visits(t, one)
	_, err := r.complete(t, v)
	require.Equal(t, sweep.LinkRequired, code(err))
	for range 3 {
		_, err = r.LinkGoogle(t.Context(), v.Ticket, one, "not the password", "", r.client)
		require.Equal(t, sweep.Unauthenticated, code(err))
	}
	_, err = r.LinkGoogle(t.Context(), v.Ticket, one, good, "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "the right one after too many wrong ones")
	r.afterAMinute(t)
	r.exec(t, "UPDATE google_sign_ins SET expires_at = now() - interval '1 second'")
	_, err = r.LinkGoogle(t.Context(), v.Ticket, one, good, "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "too late")
	require.Equal(t, 0, r.count(t, "SELECT count(google_subject) FROM users"))
}

// OIDC-1: a stranger who signed up first with the address gets nothing of it.
func TestGooglesProofOfAnAddressVoidsASignUpThatWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.SignUp(t.Context(), one, good, "Mallory", r.client))
	link := r.tokens(t)[0]
	require.NoError(t, r.ForgotPassword(t.Context(), one, r.client))
	require.Equal(t, 2, r.count(t, "SELECT count(*) FROM email_tokens WHERE used_at IS NULL"))
	session, err := r.withGoogle(t, one)
	require.NoError(t, err)
	require.Equal(t, "Ada of "+one, session.Customer.Name, "not what the stranger calls themself")
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM email_tokens WHERE used_at IS NULL"))
	a := r.actorOf(t, session)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM customers WHERE deleted_at IS NULL"))
	_, err = r.Login(t.Context(), one, good, "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "the stranger's password")
	_, err = r.VerifyEmail(t.Context(), link, good, r.client)
	require.Equal(t, sweep.BadRequest, code(err), "the stranger's link")
	ways, err := r.WaysIn(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, account.WaysIn{Google: true}, ways)
	again, err := r.withGoogle(t, one)
	require.NoError(t, err)
	require.Equal(t, session.Customer.UserID, again.Customer.UserID)
}

func TestTheSubIsWhoSomebodyIsNotTheAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, err := r.withGoogle(t, one)
	require.NoError(t, err)
	require.NoError(t, r.google.SayAddress(one, "new@gmail.example"))
	again, err := r.withGoogle(t, one)
	require.NoError(t, err)
	require.Equal(t, first.Customer.UserID, again.Customer.UserID)
	require.Equal(t, one, again.Customer.Email, "the address stays until the person changes it here")
	require.NoError(t, r.google.SayAddress(two, one)) // another account has the address now
	v := r.visits(t, two)
	_, err = r.complete(t, v)
	require.Equal(t, sweep.LinkRequired, code(err))
	for _, password := range []string{"", good} {
		_, err = r.LinkGoogle(t.Context(), v.Ticket, one, password, "", r.client)
		require.Equal(t, sweep.Unauthenticated, code(err), "there is no password that would open it")
	}
	require.Equal(t, 1, r.count(t, "SELECT count(google_subject) FROM users"))
}

func TestOneGoogleAccountSignsAPersonIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.owner(t, one)
	link := func(email string) error {
		v := r.visits(t, email)
		_, err := r.complete(t, v)
		require.Equal(t, sweep.LinkRequired, code(err))
		_, err = r.LinkGoogle(t.Context(), v.Ticket, one, good, "", r.client)
		return err
	}
	require.NoError(t, link(one))
	require.NoError(t, r.google.SayAddress(two, one))
	require.Equal(t, sweep.Conflict, code(link(two)))
	require.Equal(t, 1, r.count(t, "SELECT count(google_subject) FROM users"))
}

// Google told another address of the account between two of its visits: each is another person here, and the first to be tied has it.
func TestAGoogleAccountSignsOnePersonIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.owner(t, ada)
	require.NoError(t, r.google.SayAddress(one, ada))
	v := r.visits(t, one)
	_, err := r.complete(t, v)
	require.Equal(t, sweep.LinkRequired, code(err))
	require.NoError(t, r.google.SayAddress(one, one))
	_, err = r.withGoogle(t, one)
	require.NoError(t, err)
	_, err = r.LinkGoogle(t.Context(), v.Ticket, ada, good, "", r.client)
	require.Equal(t, sweep.Conflict, code(err))
	again, err := r.withGoogle(t, one)
	require.NoError(t, err)
	require.Equal(t, one, again.Customer.Email)
	_, err = r.Login(t.Context(), ada, good, "", r.client)
	require.NoError(t, err)
}

// Who has no proof of Google's learns nothing of an address.
func TestNobodyWithoutGooglesWordLearnsWhoIsKnown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.owner(t, one)
	_, err := r.withGoogle(t, two)
	require.NoError(t, err)
	said := map[string]bool{}
	for _, email := range []string{one, two, "nobody@gmail.example"} {
		started, err := r.StartGoogle(t.Context(), r.client)
		require.NoError(t, err)
		require.NotContains(t, started.AuthorizeURL, "gmail.example")
		for range 8 { // more than a sign-in allows: nothing is compared, so nothing is shut
			_, err = r.LinkGoogle(t.Context(), started.Ticket, email, good, "", r.client)
			said[err.Error()] = true
		}
		_, err = r.CompleteGoogle(t.Context(), started.Ticket, started.State, "guessed", r.client)
		said[err.Error()] = true
	}
	require.Len(t, said, 1, said)
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM security_events WHERE kind = 'login.failed'"))
}

func TestLimitsHoldWithGoogleToo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Limits.SignupsPerHourPerIP, r.Limits.GoogleStartsPerIP = 1, 4
	_, err := r.withGoogle(t, one)
	require.NoError(t, err)
	_, err = r.withGoogle(t, two)
	require.Equal(t, sweep.RateLimited, code(err), "a second sign-up")
	_, err = r.withGoogle(t, one)
	require.NoError(t, err, "a sign-in is none")
	r.exec(t, "UPDATE google_sign_ins SET expires_at = now() - interval '1 second'")
	_, err = r.StartGoogle(t.Context(), r.client)
	require.NoError(t, err)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM google_sign_ins"), "the old ones are swept away")
	_, err = r.StartGoogle(t.Context(), r.client)
	require.Equal(t, sweep.RateLimited, code(err))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM customers"))
}

func TestGoogleAwayIsSaidAndSignsNobodyIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	v := r.visits(t, one)
	r.google.Inject(google.Fault{Method: "token", Status: 503, Times: 100})
	_, err := r.complete(t, v)
	require.Equal(t, sweep.Unavailable, code(err))
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM users"))
}
