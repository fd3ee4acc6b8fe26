package sweep_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

func TestASessionEndsWithWhatComesFirst(t *testing.T) { // SES-3
	t.Parallel()
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	expires := begun.Add(sweep.SessionLife)
	require.Equal(t, begun.Add(12*time.Hour), sweep.SessionEnds(begun, expires))
	require.Equal(t, begun.Add(7*24*time.Hour), expires)
	require.Equal(t, expires, sweep.SessionEnds(expires.Add(-12*time.Hour), expires))
	require.Equal(t, expires, sweep.SessionEnds(expires.Add(-12*time.Hour+time.Second), expires))
	require.Equal(t, expires.Add(-time.Second), sweep.SessionEnds(expires.Add(-12*time.Hour-time.Second), expires))
}
