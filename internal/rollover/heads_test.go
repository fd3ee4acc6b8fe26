package rollover_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

func TestTheEndOfEachChainThatGrewIsToldOutside(t *testing.T) { // AUD-2
	t.Parallel()
	c := newCalendar(t)
	now := time.Now().UTC()
	busy, idle, silent := c.customer(), c.customer(), c.customer()
	for who, at := range map[sweep.ID]time.Time{busy: now.Add(-time.Minute), idle: now.AddDate(0, 0, -9)} {
		id := c.newID()
		c.exec("SELECT audit($1::uuid, $2, $3, 'user', 'job.execute', 'o', 'r', NULL, '{}') WHERE set_config('app.customer_id', $1::text, true) IS NOT NULL", who.String(), id.String(), at)
	}
	told := map[sweep.ID]store.AuditHead{}
	s := c.at(now)
	s.Head = func(customer sweep.ID, h store.AuditHead) error { told[customer] = h; return nil }
	due(t, s)
	require.Len(t, told, 1)
	require.Equal(t, int64(1), told[busy].Seq)
	require.Equal(t, c.ask("SELECT encode(hash, 'hex') FROM audit_heads WHERE customer_id = $1", busy.String()), told[busy].Hash)
	require.NotContains(t, told, silent)
}
