package cleanup_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// Where not all can be read, what the customer sent needs a sample only, and what only a search or a label says is not called exact.
func TestSentMailIsTheCustomersOwnByASample(t *testing.T) {
	t.Parallel()
	for _, alias := range []bool{false, true} {
		c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 300, Seed: 281})
		var sent []google.Incoming
		for i := range 200 {
			from := c.email
			if alias && i%2 > 0 {
				from = "alias@home.example"
			}
			sent = append(sent, google.Incoming{From: from, Labels: []string{sweep.LabelSent}, Date: time.Now().AddDate(0, 0, -30-i)})
		}
		_, err := c.google.Deliver(c.email, sent...)
		require.NoError(t, err)
		c.budget(2_000)
		c.analyzed(t)
		facts, err := c.google.Facts(c.email)
		require.NoError(t, err)
		all := c.allSenders(t)
		at := slices.IndexFunc(all, func(s sweep.Sender) bool { return s.Address == c.email })
		require.NotEqual(t, -1, at)
		own := all[at]
		require.LessOrEqual(t, own.Messages, facts.Senders[c.email].Messages)
		require.False(t, own.Exact)
		require.Positive(t, own.Verified)
		if !alias {
			require.Equal(t, facts.Senders[c.email].Messages, own.Messages)
			require.Less(t, own.Verified, 20, "a sample")
		}
	}
}
