package cleanup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

func (c *customer) indexVersion(t *testing.T) int {
	t.Helper()
	return c.count(t, "SELECT max(version) FROM mailbox_indexes WHERE mailbox_id = $1", c.mailbox.String())
}

func TestWhatTwoJobsFindOutSideBySideIsKept(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 300, Seed: 241})
	c.budget(600)
	few := c.analyzed(t)
	require.Less(t, few.AttributedPercent, 90.0)
	c.budget(60_000)
	var all sweep.Analysis
	r := wanted(t, sweep.Trash, `{"all":[{"subject":"`+words(c.messages(t)[40].Subject)[0]+`"},{"from":"`+few.Senders[0].Address+`"}]}`)
	v, err := c.SubmitDryRun(t.Context(), c.Actor, r, cleanup.Idempotency{})
	require.NoError(t, err)
	c.meanwhile("/messages", 1, func() { all = c.analyzed(t) })
	c.succeeded(t, v, &sweep.DryRunResult{})
	require.Equal(t, 100.0, all.AttributedPercent)
	require.Len(t, c.allSenders(t), all.SendersTotal)
	again := c.analyzed(t)
	require.Equal(t, 100.0, again.AttributedPercent)
	require.Less(t, again.UnitsSpent, int64(200), "nothing is read again")
}

func TestAPreviewThatFindsNothingOutSavesNoIndex(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 300, Seed: 242})
	c.analyzed(t)
	before := c.indexVersion(t)
	c.preview(t, wanted(t, sweep.Trash, `{"category":"promotions"}`))
	require.Equal(t, before, c.indexVersion(t))
	_, err := c.google.Deliver(c.email, google.Incoming{From: "New Sender <new@fresh.example>"})
	require.NoError(t, err)
	c.preview(t, wanted(t, sweep.Trash, `{"category":"promotions"}`))
	require.Greater(t, c.indexVersion(t), before)
}

func TestAnIndexDoesNotGrowWithEachAnalysis(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 100, Seed: 243})
	c.analyzed(t)
	var slices []int
	for day := range 3 {
		c.runner.DB = open(t, c.url("mailsweep_worker"), time.Duration(day+1)*24*time.Hour)
		_, err := c.google.Deliver(c.email, google.Incoming{From: "New Sender <new@fresh.example>"})
		require.NoError(t, err)
		c.analyzed(t)
		ix, err := cleanup.IndexOf(t.Context(), c.Service, c.Customer, c.mailbox)
		require.NoError(t, err)
		slices = append(slices, len(ix.Bounds()))
	}
	require.Equal(t, slices[0], slices[2], "%v", slices)
}
