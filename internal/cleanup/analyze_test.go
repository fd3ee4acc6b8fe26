package cleanup_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

func TestAnAnalysisEqualsTheMailbox(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i, g := range []google.Generate{
		{Messages: 1, Seed: 3}, {Messages: 400, Seed: 11}, {Messages: 600, Seed: 12, Years: 2}, {Messages: 300, Seed: 13, NoCategories: true}, {},
	} {
		t.Run(fmt.Sprintf("%d messages of seed %d", g.Messages, g.Seed), func(t *testing.T) {
			t.Parallel()
			c := r.customer(t, fmt.Sprintf("box%d@gmail.example", i), g)
			a := c.analyzed(t)
			c.equalsFacts(t, a)
			require.True(t, a.Exact["senders"], "%v", a.Exact)
			c.sendersEqual(t, a)
			require.LessOrEqual(t, a.UnitsSpent, int64(c.Plans[sweep.Pro].AnalysisUnits))
			kept, err := c.Analysis(t.Context(), c.Customer, c.mailbox)
			require.NoError(t, err)
			require.Equal(t, a, kept)
		})
	}
}

// equalsFacts compares what no budget limits: counts, categories, ages.
func (c *customer) equalsFacts(t *testing.T, a sweep.Analysis) {
	t.Helper()
	f, err := c.google.Facts(c.email)
	require.NoError(t, err)
	require.Equal(t, []int{f.Messages, f.Threads, f.Unread}, []int{a.Messages, a.Threads, a.Unread}, "messages, threads, unread")
	require.LessOrEqual(t, a.Bytes.Low, f.Bytes)
	require.GreaterOrEqual(t, a.Bytes.High, f.Bytes)
	require.Equal(t, countsOf(c.byAge(t, a.AsOf)), countsOf(a.ByAge))
	require.Equal(t, c.bySize(t, a.BySize), a.BySize)
	require.True(t, a.Exact["by_size"] && a.Exact["by_age"], "%v", a.Exact)
	for _, k := range sweep.Categories()[1:] {
		of := f.Categories[k.CategoryLabel()]
		require.Equal(t, [2]int{of.Messages, of.Unread}, [2]int{a.ByCategory[k].Messages, a.ByCategory[k].Unread}, k)
	}
}

func countsOf(blocks map[string]sweep.Block) map[string][2]int {
	out := map[string][2]int{}
	for key, b := range blocks {
		if b.Messages > 0 {
			out[key] = [2]int{b.Messages, b.Unread}
		}
	}
	return out
}

// byAge counts the mailbox itself at an instant.
func (c *customer) byAge(t *testing.T, at time.Time) map[string]sweep.Block {
	out := map[string]sweep.Block{}
	for _, m := range c.messages(t) {
		if labelled(m, sweep.LabelTrash) || labelled(m, sweep.LabelSpam) {
			continue
		}
		key := "older"
		for _, age := range sweep.Ages() {
			if age.Days > 0 && !m.Date.Before(at.Truncate(time.Second).AddDate(0, 0, -age.Days)) {
				key = age.Key
				break
			}
		}
		b := out[key]
		b.Messages++
		if labelled(m, sweep.LabelUnread) {
			b.Unread++
		}
		out[key] = b
	}
	return out
}

// bySize counts the mailbox itself in the same classes.
func (c *customer) bySize(t *testing.T, classes []sweep.SizeBlock) []sweep.SizeBlock {
	out := slices.Clone(classes)
	for i := range out {
		out[i].Messages = 0
		for _, m := range c.messages(t) {
			hidden := labelled(m, sweep.LabelTrash) || labelled(m, sweep.LabelSpam)
			if size := int64(m.Size); !hidden && size >= out[i].From && (size < out[i].To || out[i].To == 0) {
				out[i].Messages++
			}
		}
	}
	return out
}

func labelled(m google.Message, label string) bool { return slices.Contains(m.Labels, label) }

// sendersEqual compares every sender of a mailbox that was read whole.
func (c *customer) sendersEqual(t *testing.T, a sweep.Analysis) {
	t.Helper()
	f, err := c.google.Facts(c.email)
	require.NoError(t, err)
	found := map[string]google.Block{}
	for _, s := range c.allSenders(t) {
		require.True(t, s.Exact, "%+v", s)
		found[s.Address] = google.Block{Messages: s.Messages, Unread: s.Unread, Bytes: s.Bytes}
	}
	require.Equal(t, f.Senders, found)
	require.Equal(t, len(f.Senders), a.SendersTotal)
	if a.Messages > 0 {
		require.Equal(t, 100.0, a.AttributedPercent)
		require.Equal(t, f.Bytes, a.Bytes.Estimate)
		require.True(t, a.Bytes.Exact)
	}
}

func (c *customer) allSenders(t *testing.T) (all []sweep.Sender) {
	t.Helper()
	for cursor := ""; ; {
		page, next, err := c.Senders(t.Context(), c.Customer, c.mailbox, cleanup.SenderQuery{Sort: "address", Limit: 100, Cursor: cursor})
		require.NoError(t, err)
		all = append(all, page...)
		if cursor = next; next == "" {
			return all
		}
	}
}

func TestAnAnalysisStaysWithinItsBudgetAndIsExactAboutWhatItCounts(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 4000, Seed: 21})
	c.onPlan(t, sweep.Free)
	a := c.analyzed(t)
	c.equalsFacts(t, a)
	budget := c.Plans[sweep.Free].AnalysisUnits
	require.Equal(t, 5000, budget)
	require.LessOrEqual(t, a.UnitsSpent, int64(budget))
	require.Greater(t, a.UnitsSpent, int64(budget*8/10), "the budget is there to be used")
	require.False(t, a.Exact["senders"])
	l, err := c.google.Ledger(c.email)
	require.NoError(t, err)
	charged := 0
	for _, n := range l.Units {
		charged += n
	}
	require.Equal(t, int64(charged), a.UnitsSpent, "what we count is what Google counts")
}

func TestAnalyzingAgainFollowsTheMailbox(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 400, Seed: 31})
	first := c.analyzed(t)
	ids, err := c.google.Deliver(c.email, google.Incoming{From: "New Sender <new@fresh.example>"}, google.Incoming{From: "old@fresh.example", Date: time.Now().AddDate(-2, 0, 0)})
	require.NoError(t, err)
	var inbox, unread []string
	for _, m := range c.messages(t) {
		if labelled(m, sweep.LabelSpam) {
			c.relabel(t, m.ID, "STARRED") // history tells of mail that no listing shows
		}
		if labelled(m, sweep.LabelUnread) && !slices.Contains(ids, m.ID) {
			unread = append(unread, m.ID)
		} else if labelled(m, sweep.LabelInbox) {
			inbox = append(inbox, m.ID)
		}
	}
	require.NoError(t, c.google.Delete(c.email, inbox[:20]))
	require.NoError(t, c.google.Relabel(c.email, unread[:30], nil, []string{"UNREAD"}))
	require.NoError(t, c.google.Relabel(c.email, unread[30:40], []string{"TRASH"}, nil))
	a := c.analyzed(t)
	c.equalsFacts(t, a)
	c.sendersEqual(t, a)
	require.Less(t, a.UnitsSpent, first.UnitsSpent/5)
	require.NoError(t, c.google.ExpireHistory(c.email))
	require.NoError(t, c.google.Delete(c.email, inbox[20:30]))
	a = c.analyzed(t)
	c.equalsFacts(t, a)
	c.sendersEqual(t, a)
}

func TestAnOpenAnalysisIsNotStartedTwice(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 10, Seed: 1})
	one, err := c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{}, cleanup.Idempotency{})
	require.NoError(t, err)
	two, err := c.SubmitAnalyze(t.Context(), c.Actor, cleanup.Target{Mailbox: c.mailbox}, cleanup.Idempotency{})
	require.NoError(t, err)
	require.Equal(t, one.ID, two.ID)
}

func TestAnalyzingAgainWithoutNewMailCostsNextToNothing(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 600, Seed: 32})
	c.analyzed(t)
	for day := range 2 {
		c.runner.DB = open(t, c.url("mailsweep_worker"), time.Duration(1+20*day)*24*time.Hour)
		a := c.analyzed(t)
		c.equalsFacts(t, a)
		require.LessOrEqual(t, a.UnitsSpent, int64(10+10*day), "after %d days", 1+20*day)
	}
	c.runner.DB = open(t, c.url("mailsweep_worker"), 21*24*time.Hour+time.Hour)
	var p sweep.DryRunResult
	c.Service.DB = open(t, c.url("mailsweep_app"), 21*24*time.Hour+time.Hour)
	p = c.preview(t, protected(t, sweep.Archive, `{"all":[{"category":"promotions"},{"older_than_days":90}]}`))
	require.LessOrEqual(t, p.UnitsSpent, int64(13), "labels, history, the small part of two divided slices")
}

// History tells of changes in spam and trash too, of mail that no listing shows: it is neither looked for nor counted. What leaves them is
// looked at once.
func TestAnalyzingAgainLooksForNothingInSpamAndTrash(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 600, Seed: 33})
	c.analyzed(t)
	var hidden []string
	for _, m := range c.messages(t) {
		if labelled(m, sweep.LabelTrash) || labelled(m, sweep.LabelSpam) {
			hidden = append(hidden, m.ID)
		}
	}
	require.Greater(t, len(hidden), 3)
	require.NoError(t, c.google.Relabel(c.email, hidden, []string{"STARRED"}, []string{"UNREAD"}))
	a := c.analyzed(t)
	c.equalsFacts(t, a)
	require.LessOrEqual(t, a.UnitsSpent, int64(10))
	require.NoError(t, c.google.Relabel(c.email, hidden[:2], []string{"INBOX"}, []string{"TRASH", "SPAM"}))
	c.budget(1) // no sender is looked for
	a = c.analyzed(t)
	c.equalsFacts(t, a)
	require.LessOrEqual(t, a.UnitsSpent, int64(120))
	a = c.analyzed(t)
	c.equalsFacts(t, a)
	require.LessOrEqual(t, a.UnitsSpent, int64(10))
}

// New mail is put into its tab, age and size by searches of what is new, however much came: who sent it is found out with what the plan leaves.
func TestThreeHundredNewMessagesArePlacedForFewUnits(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 2000, Seed: 36})
	first := c.analyzed(t)
	c.runner.DB = open(t, c.url("mailsweep_worker"), 48*time.Hour)
	for i := range 300 {
		tab := []string{"CATEGORY_PROMOTIONS", "CATEGORY_UPDATES", "CATEGORY_SOCIAL"}[i%3]
		_, err := c.google.Deliver(c.email, google.Incoming{From: fmt.Sprintf("new%d@fresh.example", i%40), Size: 2_000 + 9_000*i, Date: first.AsOf.Add(time.Duration(i+1) * 5 * time.Minute), Labels: []string{"INBOX", "UNREAD", tab}})
		require.NoError(t, err)
	}
	c.budget(1) // no sender is looked for
	a := c.analyzed(t)
	c.equalsFacts(t, a)
	require.LessOrEqual(t, a.UnitsSpent, int64(120))
}
