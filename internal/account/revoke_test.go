package account_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/gmail"
	"mailsweep/internal/sweep"
)

// fakeRevocation counts what is taken back, and can have something happen in the middle.
type fakeRevocation struct {
	calls  atomic.Int64
	during func()
}

func (f *fakeRevocation) Revoke(context.Context, string) error {
	f.calls.Add(1)
	if f.during != nil {
		f.during()
	}
	return nil
}

func TestDisconnectingRevokesOnceAndDeletesTheTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	m, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	id, err := sweep.MailboxID.Parse(m.ID)
	require.NoError(t, err)
	google := &fakeRevocation{}
	revoker := &account.Revoker{DB: r.worker, Opener: r.opener, OAuth: google, Log: r.Log}
	require.NoError(t, revoker.RevokeDue(t.Context()))
	require.Zero(t, google.calls.Load(), "a connected mailbox keeps its consent")
	require.NoError(t, r.Disconnect(t.Context(), a, id))
	for range 2 {
		require.NoError(t, revoker.RevokeDue(t.Context()))
	}
	require.EqualValues(t, 1, google.calls.Load())
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM oauth_tokens"))
}

func TestReconnectingMeanwhileKeepsTheNewToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	m, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	id, err := sweep.MailboxID.Parse(m.ID)
	require.NoError(t, err)
	require.NoError(t, r.Disconnect(t.Context(), a, id))
	google := &fakeRevocation{during: func() {
		_, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
		require.NoError(t, err)
	}}
	require.NoError(t, (&account.Revoker{DB: r.worker, Opener: r.opener, OAuth: google, Log: r.Log}).RevokeDue(t.Context()))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM mailboxes WHERE state = 'active'"))
	require.NotZero(t, r.count(t, "SELECT count(*) FROM oauth_tokens"), "the token of the new consent is still there")
}

// One consent at Google serves all customers that have the account: who leaves first takes nothing from the others.
func TestTheLastToLeaveGivesASharedConsentBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	google := &fakeRevocation{}
	revoker := &account.Revoker{DB: r.worker, Opener: r.opener, OAuth: google, Log: r.Log}
	var leave []func()
	for _, who := range []string{ada, "bob@example.com"} {
		_, a := r.member(t, who)
		m, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
		require.NoError(t, err)
		id, err := sweep.MailboxID.Parse(m.ID)
		require.NoError(t, err)
		leave = append(leave, func() { require.NoError(t, r.Disconnect(t.Context(), a, id)) })
	}
	for n, f := range leave {
		f()
		require.NoError(t, revoker.RevokeDue(t.Context()))
		require.EqualValues(t, n, google.calls.Load())
		require.Equal(t, 1-n, r.count(t, "SELECT count(*) FROM oauth_tokens"), "each one's token goes with its mailbox")
	}
}

// A consent that nobody completes is given back when its time is over: not before, once, and not while anybody's mailbox works by it.
func TestAConsentThatNobodyCompletesIsGivenBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	google := &fakeRevocation{}
	revoker := &account.Revoker{DB: r.worker, Opener: r.opener, OAuth: google, Log: r.Log}
	late := func() {
		r.exec(t, "UPDATE oauth_states SET expires_at = now() - interval '1 second'")
	}
	revoked := func(want int, why string) {
		t.Helper()
		for range 2 {
			require.NoError(t, revoker.RevokeDue(t.Context()))
		}
		require.EqualValues(t, want, google.calls.Load(), why)
	}
	r.park(t, a, sweep.ID{}, "one@gmail.example")
	revoked(0, "it may be completed yet")
	late()
	_, err := r.StartConnect(t.Context(), a, sweep.ID{}) // which drops what came to nothing
	require.NoError(t, err)
	revoked(1, "late")
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM oauth_states WHERE granted IS NOT NULL"))

	r.park(t, a, sweep.ID{}, "one@gmail.example")
	late()
	parked := r.park(t, a, sweep.ID{}, "one@gmail.example")
	revoked(1, "another is about to be completed: at Google they are one")
	m, err := r.CompleteConnect(t.Context(), a, parked)
	require.NoError(t, err)
	r.park(t, a, sweep.ID{}, "one@gmail.example")
	late()
	revoked(1, "a mailbox works by it")
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM oauth_states WHERE granted IS NOT NULL"))

	id, err := sweep.MailboxID.Parse(m.ID)
	require.NoError(t, err)
	require.NoError(t, r.Disconnect(t.Context(), a, id))
	parked = r.park(t, a, sweep.ID{}, "one@gmail.example")
	revoked(1, "it is connected again in a moment")
	_, err = r.CompleteConnect(t.Context(), a, parked)
	require.NoError(t, err)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM mailboxes WHERE state = 'active'"))
}

// consentDuring gives the consent's answer only when something has happened.
type consentDuring struct {
	account.Consent
	during func()
}

func (c *consentDuring) Exchange(ctx context.Context, code, verifier string) (gmail.Grant, error) {
	g, err := c.Consent.Exchange(ctx, code, verifier)
	c.during()
	return g, err
}

// A deletion between Google's answer and its parking loses no token.
func TestACallbackBesideADeletionIsGivenBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	started, err := r.StartConnect(t.Context(), a, sweep.ID{})
	require.NoError(t, err)
	back := r.consent(t, started.AuthorizeURL, "one@gmail.example")
	r.OAuth = &consentDuring{r.OAuth, func() {
		_, err := r.Delete(t.Context(), a, good, "", ada, r.client)
		require.NoError(t, err)
	}}
	to, err := r.Callback(t.Context(), back.Get("state"), back.Get("code"), "")
	require.NoError(t, err)
	require.Contains(t, to, "connect_error=expired")
	google := &fakeRevocation{}
	require.NoError(t, (&account.Revoker{DB: r.worker, Opener: r.opener, OAuth: google, Log: r.Log}).RevokeDue(t.Context()))
	require.EqualValues(t, 1, google.calls.Load())
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM oauth_states"))
}
