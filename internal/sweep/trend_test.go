package sweep

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever the days on which a mailbox is analyzed: a point a day, its last, in order, of the newest 366 days, and the last one is now.
func TestATrendHasADaysLastAnalysis(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.Date(2026, 1, 30, 22, 0, 0, 0, time.UTC)
		var trend []TrendPoint
		last := map[string]int{} // by day
		var days []string
		for n := range rapid.IntRange(1, 900).Draw(t, "analyses") {
			at = at.Add(time.Duration(rapid.IntRange(1, 72).Draw(t, "hours")) * time.Hour)
			a := Analysis{AsOf: at, Messages: n, Unread: n / 2, Bytes: Bytes{Estimate: int64(n) * 10}, Health: Health{Score: n % 101}}
			a.Continue(trend)
			trend = a.Trend
			day := at.Format(time.DateOnly)
			if _, known := last[day]; !known {
				days = append(days, day)
			}
			last[day] = n
		}
		days = days[max(0, len(days)-366):]
		require.Len(t, trend, len(days))
		for i, day := range days {
			n := last[day]
			require.Equal(t, day, trend[i].At.Format(time.DateOnly))
			require.Equal(t, TrendPoint{trend[i].At, n, n / 2, int64(n) * 10, n % 101}, trend[i])
		}
		require.Equal(t, at, trend[len(trend)-1].At)
	})
}

// What an analysis continues stays as it was: two that start from the same do not see each other.
func TestATrendIsContinuedInACopy(t *testing.T) {
	t.Parallel()
	before := make([]TrendPoint, 1, 8)
	before[0] = TrendPoint{At: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), Messages: 1}
	one, other := Analysis{AsOf: before[0].At.AddDate(0, 0, 1), Messages: 2}, Analysis{AsOf: before[0].At.AddDate(0, 0, 1), Messages: 3}
	one.Continue(before)
	other.Continue(before)
	require.Equal(t, []int{1, 2, 3}, []int{one.Trend[0].Messages, one.Trend[1].Messages, other.Trend[1].Messages})
}
