package rollover_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

func TestOldMonthsAreArchivedWithAnAnchorForEachChain(t *testing.T) {
	t.Parallel()
	c := newCalendar(t)
	who, now := c.customer(), time.Now().UTC()
	s := c.at(now)
	month := time.Date(now.Year(), now.Month()-14, 1, 0, 0, 0, 0, time.UTC)
	_, err := s.DB.EnsurePartitions(t.Context(), month, 15)
	require.NoError(t, err)
	for _, at := range []time.Time{month.Add(time.Hour), month.AddDate(0, 1, 0).Add(time.Hour)} {
		id, err := sweep.NewID(at, rand.Reader)
		require.NoError(t, err)
		c.exec("SELECT audit($1::uuid, $2, $3, 'user', 'job.execute', 'o', 'r', NULL, '{}') WHERE set_config('app.customer_id', $1::text, true) IS NOT NULL", who.String(), id.String(), at)
	}
	due(t, s)
	name := month.Format("200601")
	require.Equal(t, "{archive,archive,archive,archive,archive}", c.ask("SELECT array_agg(relnamespace::regnamespace)::text FROM pg_class WHERE relkind = 'r' AND relname ~ $1", "_"+name+"$"))
	require.Equal(t, "1", c.ask("SELECT count(*)::text FROM audit_logs"), "the month after stays")
	require.NoError(t, s.DB.Tenant(t.Context(), who, func(tx *store.Tx) error {
		proof, err := tx.VerifyAudit()
		require.Equal(t, store.AuditProof{Rows: 1}, proof)
		return err
	}))
}
