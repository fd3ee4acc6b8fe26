package rollover_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

// paused puts a paused execute that holds so many messages of this month.
func (c *calendar) paused(customer sweep.ID, holds int, until time.Time) sweep.ID {
	c.t.Helper()
	box, job := c.newID(), c.newID()
	c.exec("INSERT INTO google_accounts (account, created_at) VALUES ('a', now()) ON CONFLICT DO NOTHING")
	c.exec("INSERT INTO mailboxes (customer_id, id, account, email, state, connected_at) VALUES ($1, $2, 'a', 'ada@mail.example', 'active', now())", customer.String(), box.String())
	c.exec(`INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, run_at, created_at, reserved, period_start)
		VALUES ($1, $2, $3, 'a', 'execute', 'paused', 1, 0, $4, now(), $5, $6)`, customer.String(), job.String(), box.String(), until, holds, sweep.PeriodAt(time.Now()).Start)
	return job
}

func (c *calendar) reserve(customer sweep.ID, n int) {
	c.t.Helper()
	c.exec(`INSERT INTO usage_tracking (customer_id, period_start, reserved) VALUES ($1, $2, $3)`, customer.String(), sweep.PeriodAt(time.Now()).Start, n)
}

func (c *calendar) ask(query string, args ...any) (answer string) {
	c.t.Helper()
	require.NoError(c.t, c.conn.QueryRow(c.t.Context(), query, args...).Scan(&answer))
	return answer
}

func TestWhatIsReservedIsMadeWhatOpenJobsHoldAndNoted(t *testing.T) {
	t.Parallel()
	c := newCalendar(t)
	right, wrong := c.customer(), c.customer()
	for _, who := range []sweep.ID{right, wrong} {
		c.paused(who, 40, time.Now().Add(time.Hour))
	}
	c.reserve(right, 40)
	c.reserve(wrong, 65)
	s := c.at(time.Now())
	for range 2 { // the second finds nothing to do
		require.NoError(t, s.Plan(t.Context()))
		require.NoError(t, s.Due(t.Context()))
		c.exec("UPDATE duties SET next_due = now() - interval '1 s' WHERE name = 'books'")
	}
	require.Equal(t, "{40,40}", c.ask("SELECT array_agg(reserved)::text FROM usage_tracking"))
	require.Equal(t, "usage.repaired 65 40", c.ask("SELECT string_agg(concat_ws(' ', action, data->>'was', data->>'is'), ',') FROM audit_logs"))
	require.Equal(t, wrong.String(), c.ask("SELECT customer_id FROM audit_logs"))
}

func TestWhatIsPausedForTooLongIsOver(t *testing.T) {
	t.Parallel()
	c := newCalendar(t)
	early, late := c.customer(), c.customer()
	c.paused(early, 40, time.Now().Add(time.Hour))
	c.paused(late, 40, time.Now().Add(-time.Second))
	c.reserve(early, 40)
	c.reserve(late, 40)
	due(t, c.at(time.Now()))
	states := func(who sweep.ID) string {
		return c.ask("SELECT state || ' ' || (SELECT reserved FROM usage_tracking u WHERE u.customer_id = j.customer_id) FROM jobs j WHERE customer_id = $1", who.String())
	}
	require.Equal(t, "paused 40", states(early))
	require.Equal(t, "canceled 0", states(late))
	require.Equal(t, "job.cancel system", c.ask("SELECT action || ' ' || (actor::text) FROM audit_logs WHERE customer_id = $1", late.String()))
}
