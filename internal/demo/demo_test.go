package demo

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

var moment = time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)

func box(t *testing.T) *Mailbox {
	t.Helper()
	m, err := New(moment)
	require.NoError(t, err)
	return m
}

// A visitor is shown what the best analysis shows: nothing is estimated, and there is something to clean up.
func TestThePictureIsExact(t *testing.T) {
	t.Parallel()
	a := box(t).Analysis()
	for block, exact := range a.Exact {
		require.True(t, exact, block)
	}
	require.Equal(t, 100.0, a.AttributedPercent)
	require.Greater(t, a.Messages, 9_000)
	require.GreaterOrEqual(t, len(a.Suggestions), 5)
	require.Equal(t, "deals@brightwear.example", a.Senders[0].Address)
	sum := 0
	for _, b := range a.ByAge {
		sum += b.Messages
	}
	require.Equal(t, a.Messages, sum)
}

// What matches is either kept back, with a reason, or would be touched; what a suggestion says is what its preview gives.
func TestAPreviewSaysWhatItsSuggestionSaid(t *testing.T) {
	t.Parallel()
	m := box(t)
	for _, s := range m.Analysis().Suggestions {
		r := m.Preview(sweep.CleanupSpec{Action: s.Action, Criteria: s.Criteria, Protect: sweep.ProtectAll()})
		require.Equal(t, s.Messages, r.ToClean, s.Title)
		require.Equal(t, r.Matched, r.ToClean+r.Protected.Total, s.Title)
		require.Zero(t, r.Undetermined, s.Title)
		require.NotEmpty(t, r.Samples, s.Title)
	}
}

func TestTheKeepListAndTheRecentDaysAreKept(t *testing.T) {
	t.Parallel()
	r := box(t).Preview(sweep.CleanupSpec{Action: sweep.Trash, Protect: sweep.ProtectAll(), Criteria: sweep.Criteria{Op: sweep.ByCategory, Text: string(sweep.Updates)}})
	for _, why := range []sweep.Reason{sweep.KeptKeepList, sweep.KeptRecent, sweep.KeptUserLabelled, sweep.KeptImportant, sweep.KeptReplied} {
		require.Positive(t, r.Protected.ByReason[why], why)
	}
	for _, s := range r.BySender {
		require.NotEqual(t, "statements@citybank.example", s.Address)
	}
}

func TestTheSameMomentIsTheSameMailbox(t *testing.T) {
	t.Parallel()
	require.Equal(t, box(t).Analysis(), box(t).Analysis())
	later, err := New(moment.AddDate(0, 3, 0))
	require.NoError(t, err)
	require.Equal(t, box(t).Analysis().Messages, later.Analysis().Messages)
}
