package cleanup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

func pointOf(a sweep.Analysis) sweep.TrendPoint {
	return sweep.TrendPoint{At: a.AsOf, Messages: a.Messages, Unread: a.Unread, Bytes: a.Bytes.Estimate, Score: a.Health.Score}
}

// Each analysis keeps what those of earlier days found, and only the last of its own day.
func TestAnAnalysisContinuesTheTrend(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.customer(t, "one@gmail.example", google.Generate{Messages: 60, Seed: 281})
	first := c.analyzed(t)
	require.Equal(t, []sweep.TrendPoint{pointOf(first)}, first.Trend)
	r.runner.DB = open(t, r.url("mailsweep_worker"), 24*time.Hour)
	for range 2 {
		_, err := c.google.Deliver(c.email, google.Incoming{From: "New Sender <new@fresh.example>"})
		require.NoError(t, err)
		next := c.analyzed(t)
		require.Equal(t, []sweep.TrendPoint{pointOf(first), pointOf(next)}, next.Trend)
	}
	kept, err := c.Analysis(t.Context(), c.Customer, c.mailbox)
	require.NoError(t, err)
	require.Equal(t, first.Messages+2, kept.Trend[1].Messages)
}

// What cannot be read of the last analysis costs no new one.
func TestATrendThatCannotBeReadBeginsAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.customer(t, "one@gmail.example", google.Generate{Messages: 20, Seed: 282})
	c.analyzed(t)
	r.exec(t, "UPDATE mailboxes SET analysis = '\\x00' WHERE customer_id = $1", c.Customer.String())
	a := c.analyzed(t)
	require.Equal(t, []sweep.TrendPoint{pointOf(a)}, a.Trend)
	require.Contains(t, r.log.String(), "trend begins anew")
}
