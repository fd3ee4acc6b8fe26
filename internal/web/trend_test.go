package web

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

// The picture is as wide as the time and as high as the most messages; a mailbox of one day or of no mail has none, or a flat one.
func TestATrendIsDrawnToScale(t *testing.T) {
	t.Parallel()
	at := func(day, messages, unread int) sweep.TrendPoint {
		return sweep.TrendPoint{At: time.Date(2026, 5, day, 0, 0, 0, 0, time.UTC), Messages: messages, Unread: unread}
	}
	got := trendOf([]sweep.TrendPoint{at(1, 100, 50), at(2, 200, 150), at(5, 50, 0)})
	require.Equal(t, "0,60 0.0,30.0 75.0,0.0 300.0,45.0 300,60", got.All)
	require.Equal(t, "0,60 0.0,45.0 75.0,15.0 300.0,60.0 300,60", got.Unread)
	require.Equal(t, []int{-50, 50}, []int{got.Grown(), got.Shrunk()})
	require.Nil(t, trendOf(nil))
	require.Nil(t, trendOf([]sweep.TrendPoint{at(1, 100, 50)}))
	require.Equal(t, "0,60 0.0,60.0 300.0,60.0 300,60", trendOf([]sweep.TrendPoint{at(1, 0, 0), at(2, 0, 0)}).All)
}
