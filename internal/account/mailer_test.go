package account_test

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

var messageID = regexp.MustCompile(`(?m)^Message-ID: <.+>`)

// posted gives one post that is due.
func (r *rig) posted(t *testing.T) store.DuePost {
	t.Helper()
	due, err := r.DB.OutboxDue(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, due, 1)
	return due[0]
}

func TestAPostIsSentOnceHoweverOftenItIsDelivered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.SignUp(t.Context(), ada, good, "Ada", r.client))
	p := r.posted(t)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if err := r.mailer.Deliver(t.Context(), p.Customer, p.Post, p.Epoch); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	sent := r.sink.Messages()
	require.Len(t, sent, 1)
	require.Equal(t, []string{ada}, sent[0].To)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM outbox WHERE state = 'done' AND sent_at IS NOT NULL AND data IS NULL"))
}

func TestASecondCopyCarriesTheSameMessageID(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.SignUp(t.Context(), ada, good, "Ada", r.client))
	var data []byte
	require.NoError(t, r.root.QueryRow(t.Context(), "SELECT data FROM outbox").Scan(&data))
	for range 2 { // the note that it was sent is lost in between
		p := r.posted(t)
		require.NoError(t, r.mailer.Deliver(t.Context(), p.Customer, p.Post, p.Epoch))
		r.exec(t, "UPDATE outbox SET state = 'dispatched', data = $1, run_at = now()", data)
	}
	sent := r.sink.Messages()
	require.Len(t, sent, 2)
	ids := map[string]bool{}
	for _, m := range sent {
		ids[messageID.FindString(string(m.Raw))] = true
	}
	require.Len(t, ids, 1)
	require.NotContains(t, ids, "")
}

func TestARelayAwayPutsMailOffAndARefusalEndsIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.SignUp(t.Context(), ada, good, "Ada", r.client))
	p := r.posted(t)
	there := r.mailer.Sender.Addr
	r.mailer.Sender.Addr = "127.0.0.1:1"
	require.Error(t, r.mailer.Deliver(t.Context(), p.Customer, p.Post, p.Epoch))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM outbox WHERE state = 'queued' AND error = 'relay' AND data IS NOT NULL AND run_at > now() + interval '50 seconds'"))
	r.mailer.Sender.Addr = there
	r.exec(t, "UPDATE outbox SET run_at = now()")
	p = r.posted(t)
	r.exec(t, "UPDATE outbox SET kind = 'unheard_of'")
	err := r.mailer.Deliver(t.Context(), p.Customer, p.Post, p.Epoch)
	require.Error(t, err)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM outbox WHERE state = 'failed' AND error = 'refused' AND data IS NULL"))
}

func TestAPostThatNobodyCanReadIsGivenUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.SignUp(t.Context(), ada, good, "Ada", r.client))
	p := r.posted(t)
	r.exec(t, "UPDATE outbox SET data = set_byte(data, 20, 255 - get_byte(data, 20))")
	err := r.mailer.Deliver(t.Context(), p.Customer, p.Post, p.Epoch)
	require.Error(t, err)
	require.False(t, strings.Contains(err.Error(), ada))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM outbox WHERE state = 'failed' AND error = 'unreadable'"))
	require.Empty(t, r.sink.Messages())
}

func TestAPostForNobodyInParticularGoesToTheOwner(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	undone := errors.New("undone")
	post := func(end error) error {
		return r.DB.Tenant(t.Context(), a.Customer, func(tx *store.Tx) error {
			require.NoError(t, r.mailer.Post(tx, mail.TrialEnded, sweep.ID{}, mail.Data{Name: "Ada"}))
			return end
		})
	}
	require.ErrorIs(t, post(undone), undone)
	require.NoError(t, post(nil))
	sent := r.deliver(t, mail.TrialEnded)
	require.Len(t, sent, 1, "a post of a transaction that failed went out")
	require.Equal(t, []string{ada}, sent[0].To)
}
