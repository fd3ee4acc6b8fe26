package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

func TestDisconnectingStopsTheMailboxAndItsJobsAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	_, stranger := r.member(t, "stranger@example.com")
	m, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	id, _ := sweep.MailboxID.Parse(m.ID)
	for state, n := range map[string]byte{"running": 1, "succeeded": 2} {
		job, _ := sweep.NewID(time.Now(), strings.NewReader(strings.Repeat(string(n), 16)))
		r.exec(t, `INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, run_at, created_at)
			SELECT customer_id, $1::uuid, id, account, 'analyze', $2, 3, 0, now(), now() FROM mailboxes`, job.String(), state)
	}
	require.Equal(t, sweep.NotFound, code(r.Disconnect(t.Context(), stranger, id)))
	viewer := a
	viewer.Role = sweep.Viewer
	require.Equal(t, sweep.Forbidden, code(r.Disconnect(t.Context(), viewer, id)))
	require.NoError(t, r.Disconnect(t.Context(), a, id))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM mailboxes WHERE state = 'disconnected' AND disconnected_at IS NOT NULL AND revoked_at IS NULL"))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM jobs WHERE cancel_requested"))
	require.Equal(t, sweep.NotFound, code(r.Disconnect(t.Context(), a, id)), "it is gone")
	list, err := r.Mailboxes(t.Context(), a.Customer)
	require.NoError(t, err)
	require.Empty(t, list)
}
