package account_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
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
