package rollover_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// GDP-2: three schedulers at once, of which none was up on the day.
func TestADeletedCustomerIsPurgedOnceWhenItsGraceIsOver(t *testing.T) {
	t.Parallel()
	c := newCalendar(t)
	now := time.Now().UTC()
	gone, later, stays := c.customer(), c.customer(), c.customer()
	for _, who := range []sweep.ID{gone, later, stays} {
		c.exec("INSERT INTO keep_list (customer_id, entry, created_at) VALUES ($1, 'x@example.com', now())", who.String())
	}
	deleted := "UPDATE customers SET deleted_at = now(), suspended_at = now(), purge_at = $2 WHERE id = $1"
	c.exec(deleted, gone.String(), now.AddDate(0, 0, 7))
	c.exec(deleted, later.String(), now.AddDate(0, 0, 9))
	left := func() string {
		return c.ask("SELECT concat_ws(' ', (SELECT count(*) FROM keep_list), (SELECT count(*) FROM customers WHERE purged_at IS NOT NULL), (SELECT count(*) FROM audit_logs WHERE action = 'customer.purged'))")
	}
	purge := func(at time.Time, schedulers int) {
		var all sync.WaitGroup
		for range schedulers {
			s := c.at(at)
			require.NoError(t, s.Plan(t.Context()))
			all.Go(func() {
				if err := s.Do(t.Context(), "purge"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	purge(now, 1)
	require.Equal(t, "3 0 0", left())
	purge(now.AddDate(0, 0, 8), 3)
	require.Equal(t, "2 1 1", left())
	heads := map[sweep.ID]store.AuditHead{}
	s := c.at(now.AddDate(0, 0, 10))
	s.Head = func(customer sweep.ID, h store.AuditHead) error { heads[customer] = h; return nil }
	due(t, s)
	require.Equal(t, "1 2 2", left())
	require.Len(t, heads, 2, "the chains of the purged stand, and their ends are told outside like any")
	require.NoError(t, s.DB.Tenant(t.Context(), gone, func(tx *store.Tx) error {
		proof, err := tx.VerifyAudit()
		require.Equal(t, store.AuditProof{Rows: 1}, proof)
		has, _, hasErr := tx.HasAuditHead(heads[gone])
		require.True(t, has)
		require.NoError(t, hasErr)
		return err
	}))
}
