package web

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

// What is told of room is told with its bounds, and as exact only where there is nothing between them.
func TestRoomIsToldWithItsBounds(t *testing.T) {
	t.Parallel()
	require.Nil(t, spaceOf(sweep.Analysis{ByCategory: map[sweep.Category]sweep.Block{sweep.Social: {Messages: 4}}, ByAge: map[string]sweep.Block{"7d": {Messages: 4, Bytes: 9}}}), "no bounds are known")
	a := sweep.Analysis{Bytes: sweep.Bytes{Estimate: 4000}, Exact: map[string]bool{"by_category": true, "by_age": true},
		ByCategory: map[sweep.Category]sweep.Block{sweep.Social: {Bytes: 1000, BytesLow: 1000, BytesHigh: 1000}},
		ByAge:      map[string]sweep.Block{"7d": {Bytes: 1000, BytesLow: 1000, BytesHigh: 1000}, "older": {Bytes: 3000, BytesLow: 2000, BytesHigh: 5000}}}
	s := spaceOf(a)
	require.True(t, s.Categories.Exact)
	require.False(t, s.Ages.Exact)
	require.Len(t, s.Categories.Rows, len(sweep.Categories()))
	require.Equal(t, spaceRow{ageName("older"), a.ByAge["older"], "75.00"}, s.Ages.Rows[len(s.Ages.Rows)-1])
	a.Exact["by_category"] = false
	require.False(t, spaceOf(a).Categories.Exact, "which mail is in it is not sure")

	pages := &Pages{sheets: sheets("build")}
	b, err := pages.render("overview", "picture", view{Page: overviewPage{Analysis: &a}})
	require.NoError(t, err)
	require.Contains(t, string(b), `3.0 kB<br><span class="soft small">2.0 kB to 5.0 kB</span>`)
}
