package queue_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/queue"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// rounds adds up the looks of a dispatcher or sweeper.
type rounds struct {
	mu                        sync.Mutex
	led, stoodBy, jobs, posts int
}

func (r *rounds) add(round queue.Round) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if round.Leads {
		r.led++
	} else {
		r.stoodBy++
	}
	r.jobs += round.Jobs
	r.posts += round.Posts
}

func (r *rounds) now() (led, stoodBy, jobs int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.led, r.stoodBy, r.jobs
}

func TestRoundsTellWhoLeadsAndWhatWasSent(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	leader, standby, sweeps := rounds{}, rounds{}, rounds{}
	a, b, s := p.dispatcher(), p.dispatcher(), p.sweeper()
	a.Watch, b.Watch, s.Watch = leader.add, standby.add, sweeps.add
	p.runs(a.Run)
	testkit.Eventually(t, 10*time.Second, func() bool { led, _, _ := leader.now(); return led > 0 }, "the first leads")
	p.runs(b.Run, s.Run)
	for range 3 {
		p.submit(sweep.Analyze)
	}
	a.Hint()
	testkit.Eventually(t, 10*time.Second, func() bool { _, _, jobs := leader.now(); return jobs == 3 }, "each task is told once")
	testkit.Eventually(t, 10*time.Second, func() bool { _, by, _ := standby.now(); return by > 0 }, "the other stands by")
	testkit.Eventually(t, 10*time.Second, func() bool { led, _, _ := sweeps.now(); return led > 0 }, "a sweeper of its own leads")
	led, _, jobs := standby.now()
	require.Zero(t, led)
	require.Zero(t, jobs)
}

// A look takes as many rows as there is room, and of one customer no more than its share of them. It is tried some times, because the machine
// may be busy: without a second look at once it would never be quick enough.
func TestRoomThatACustomerMayNotTakeIsGivenToOthersAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	other, mailbox := newID(t), newID(t)
	p.exec("INSERT INTO customers (id, data_key, created_at) VALUES ($1, '', now())", other.String())
	p.exec("INSERT INTO mailboxes (customer_id, id, account, email, state, connected_at) VALUES ($1, $2, 'a', 'bob@example.com', 'active', now())", other.String(), mailbox.String())
	d := p.dispatcher()
	d.Interactive, d.Each = 2, 1
	p.runs(d.Run)
	quickest := time.Hour
	for range 8 {
		p.exec("DELETE FROM jobs")
		p.exec(`INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, run_at, created_at)
			SELECT c, id::uuid, m, 'a', 'analyze', 'queued', 3, vt, clock_timestamp(), now() FROM (VALUES
			  ($1::uuid, $3::uuid, $5, 1.0), ($1, $3, $6, 2.0), ($1, $3, $7, 3.0), ($2, $4, $8, 4.0)) AS v (c, m, id, vt)`,
			p.customer.String(), other.String(), p.mailbox.String(), mailbox.String(), newID(t).String(), newID(t).String(), newID(t).String(), newID(t).String())
		testkit.Eventually(t, 5*time.Second, func() bool { return p.count("state = 'dispatched'") == 2 }, "each customer has one under way")
		var took float64
		require.NoError(t, p.conn.QueryRow(t.Context(), "SELECT extract(epoch FROM max(dispatched_at) - min(dispatched_at))::float8 FROM jobs").Scan(&took))
		quickest = min(quickest, time.Duration(took*float64(time.Second)))
	}
	require.Positive(t, quickest, "the second look took the other's")
	require.Less(t, quickest, 200*time.Millisecond)
	t.Logf("after %s", quickest)
}

func TestWhatASweeperPutsRightIsToldByReason(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	var repairs tally
	p.submit(sweep.Analyze)
	poisoned, lost := p.submit(sweep.Execute), p.submit(sweep.DryRun)
	p.exec("UPDATE jobs SET state = 'dispatched', epoch = 1, dispatched_at = clock_timestamp() - interval '1 minute'")
	p.exec("UPDATE jobs SET state = 'running', lease_until = clock_timestamp() - interval '1 second' WHERE id <> $1", lost.String())
	p.exec("UPDATE jobs SET barren = 4 WHERE id = $1", poisoned.String())
	s := p.sweeper()
	s.Repaired = repairs.add
	p.runs(s.Run)
	for _, r := range []queue.Reason{queue.WorkerLost, queue.GivenUp, queue.TaskLost} {
		testkit.Eventually(t, 10*time.Second, func() bool { return repairs.of(r) == 1 }, string(r)+" is told")
	}
}
