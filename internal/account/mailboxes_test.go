package account_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
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

// A worker that finishes there holds its job and goes on to the quota and to the mailbox.
func TestDisconnectingWaitsForAWorkerThatFinishesThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	m, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	id, _ := sweep.MailboxID.Parse(m.ID)
	queued, _ := sweep.NewID(time.Now(), strings.NewReader(strings.Repeat("1", 16)))
	job, _ := sweep.NewID(time.Now(), strings.NewReader(strings.Repeat("2", 16)))
	r.exec(t, "INSERT INTO usage_tracking (customer_id, period_start, reserved) SELECT id, '2026-01-01', 5 FROM customers WHERE id = $1", a.Customer.String())
	r.exec(t, `INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, reserved, period_start, run_at, created_at)
		SELECT customer_id, $1::uuid, id, account, 'execute', 'queued', 1, 0, 5, '2026-01-01', now(), now() FROM mailboxes`, queued.String())
	r.exec(t, `INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, fence, lease_until, run_at, created_at)
		SELECT customer_id, $1::uuid, id, account, 'analyze', 'running', 3, 0, 1, now() + interval '1 minute', now(), now() FROM mailboxes`, job.String())
	c := &store.Claim{Fence: 1}
	c.ID, c.CustomerID = job, a.Customer
	gone := make(chan error, 1)
	err = r.worker.Fenced(t.Context(), c, func(tx *store.Tx) error {
		go func() { gone <- r.Disconnect(context.Background(), a, id) }()
		testkit.Eventually(t, 5*time.Second, func() bool {
			return r.count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'mailsweep_app' AND wait_event_type = 'Lock'") == 1
		}, "it waits for the worker")
		if err := tx.Exec("UPDATE usage_tracking SET used = used + 1 WHERE customer_id = ?", a.Customer.String()).Error; err != nil {
			return err
		}
		return tx.SaveAnalysis(id, []byte("sealed"), tx.Now)
	})
	require.NoError(t, err)
	require.NoError(t, <-gone)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM mailboxes WHERE state = 'disconnected' AND analysis IS NOT NULL"))
	require.Equal(t, 2, r.count(t, "SELECT count(*) FROM jobs WHERE cancel_requested OR state = 'canceled'"))
	require.Equal(t, 1, r.count(t, "SELECT used + reserved FROM usage_tracking"))
}
