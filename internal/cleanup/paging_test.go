package cleanup_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// between does something before the second page of a label's listing, so often.
type between struct {
	next  http.RoundTripper
	label string
	mu    sync.Mutex
	times int
	do    func()
}

// RoundTrip implements http.RoundTripper.
func (b *between) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	if strings.HasSuffix(r.URL.Path, "/messages") && q.Get("labelIds") == b.label && q.Get("pageToken") != "" {
		b.mu.Lock()
		if b.times > 0 {
			b.times--
			b.do()
		}
		b.mu.Unlock()
	}
	return b.next.RoundTrip(r)
}

// Where Gmail counts its pages anew, a message that loses its star while the starred are listed lets the listing pass over another.
func TestNoStarIsMissedWhileStarsAreTakenAway(t *testing.T) {
	t.Parallel()
	for name, times := range map[string]int{"once": 1, "all the time": 1000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newRig(t, google.Quirks{PageTokens: "offset"}).customer(t, "one@gmail.example", google.Generate{Messages: 1300, Seed: 261})
			var starred []string
			for _, m := range c.messages(t) {
				if !labelled(m, sweep.LabelTrash) && !labelled(m, sweep.LabelSpam) {
					starred = append(starred, m.ID)
				}
			}
			slices.Sort(starred) // by age
			starred = starred[:900]
			require.NoError(t, c.google.Relabel(c.email, starred, []string{sweep.LabelStarred}, nil))
			taken := 0
			c.wire.next = &between{next: c.wire.next, label: sweep.LabelStarred, times: times, do: func() {
				first := len(starred) - taken - 10
				require.NoError(t, c.google.Relabel(c.email, starred[first:first+10], nil, []string{sweep.LabelStarred}))
				taken += 10
			}}
			r := wanted(t, sweep.Trash, everything)
			r.Spec.Protect.Starred = true
			plan := c.members(t, c.preview(t, r).CleanupPlanID)
			require.Positive(t, taken)
			for _, m := range c.messages(t) {
				if labelled(m, sweep.LabelStarred) {
					require.NotContains(t, plan, m.ID)
				}
			}
		})
	}
}

// Mail that is deleted while labels are listed makes the dates be listed anew: what was found before is not taken for other mail's.
func TestNoStarIsTakenForAnothersOnceDatesWereListedAnew(t *testing.T) {
	t.Parallel()
	c := newRig(t, google.Quirks{PageTokens: "offset"}).customer(t, "one@gmail.example", google.Generate{Messages: 4000, Seed: 262})
	var listed []string
	for _, m := range c.messages(t) {
		if !labelled(m, sweep.LabelTrash) && !labelled(m, sweep.LabelSpam) {
			listed = append(listed, m.ID)
		}
	}
	slices.Sort(listed) // by age
	var starred, deleted []string
	for i := 10; i < len(listed); i += 20 {
		starred, deleted = append(starred, listed[i]), append(deleted, listed[i-5])
	}
	require.NoError(t, c.google.Relabel(c.email, starred, []string{sweep.LabelStarred}, nil))
	c.wire.next = &between{next: c.wire.next, label: sweep.LabelInbox, times: 1, do: func() {
		require.NoError(t, c.google.Delete(c.email, deleted))
	}}
	r := wanted(t, sweep.Trash, everything)
	r.Spec.Protect.Starred = true
	asked := c.asked("/messages")
	plan := c.members(t, c.preview(t, r).CleanupPlanID)
	require.NotEmpty(t, plan)
	require.Positive(t, asked.again(), "dates were listed anew")
	for _, id := range starred {
		require.NotContains(t, plan, id)
	}
}
