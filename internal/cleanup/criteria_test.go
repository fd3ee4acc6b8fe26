package cleanup_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/gmail"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

func TestAPlanHoldsWhatANaiveLookAtEachMessageFinds(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 600, Seed: 101})
	a := c.analyzed(t)
	list := c.messages(t)
	sender, word := a.Senders[2].Address, words(list[40].Subject)[0]
	_, domain, _ := strings.Cut(sender, "@")
	label := c.userLabelName(t)
	for i, text := range []string{
		`{"category":"primary"}`,
		`{"all":[{"category":"promotions"},{"older_than_days":90},{"not":{"from":"` + sender + `"}}]}`,
		`{"from":"@` + domain + `"}`,
		`{"subject":"` + word + `"}`,
		`{"all":[{"query":"subject:` + word + `"},{"unread":true}]}`,
		`{"not":{"subject":"` + word + `"}}`,
		`{"any":[{"larger_than":123456},{"smaller_than":7001}]}`,
		`{"all":[{"before":"` + time.Now().UTC().AddDate(0, 0, -400).Format(time.RFC3339) + `"},{"after":"` + time.Now().UTC().AddDate(0, 0, -777).Format(time.RFC3339) + `"}]}`,
		`{"all":[{"newer_than_days":45},{"in":"inbox"}]}`,
		`{"in":"archive"}`,
		`{"label":"` + label + `"}`,
		`{"all":[{"has_attachment":true},{"not":{"label":"` + label + `"}}]}`,
		`{"replied":true}`,
		`{"all":[{"replied":false},{"category":"updates"},{"any":[{"larger_than":30000},{"from":"` + sender + `"}]}]}`,
	} {
		for _, action := range []sweep.Action{sweep.Trash, []sweep.Action{sweep.Archive, sweep.MarkRead}[i%2]} {
			r := wanted(t, action, text)
			p := c.preview(t, r)
			expected := c.naively(t, r.Spec, c.planned(t, p).MadeAt)
			require.Zero(t, p.Undetermined, text)
			require.Equal(t, sorted(expected), sorted(c.members(t, p.CleanupPlanID)), "%s %s", action, text)
			require.Equal(t, len(expected), p.ToClean)
			require.Equal(t, len(expected), p.Matched)
		}
	}
}

func (c *customer) planned(t *testing.T, p sweep.DryRunResult) sweep.PlanView {
	t.Helper()
	v, err := c.Plan(t.Context(), c.Customer, planID(t, p.CleanupPlanID))
	require.NoError(t, err)
	return v
}

func (c *customer) userLabelName(t *testing.T) string {
	t.Helper()
	id := c.userLabel(t)
	labels, err := c.runner.Gmail.Open(c.grant(t), "another client").Labels(t.Context())
	require.NoError(t, err)
	return labels[slices.IndexFunc(labels, func(l gmail.Label) bool { return l.ID == id })].Name
}

func TestASenderThatWasNeverReadIsNotActedOnByASearchAlone(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 1000, Seed: 102, Senders: 300})
	f, err := c.google.Facts(c.email)
	require.NoError(t, err)
	tested := 0
	for address := range f.Senders {
		if tested == 12 || address == "" {
			continue
		}
		tested++
		r := wanted(t, sweep.Trash, `{"from":"`+address+`"}`)
		p := c.preview(t, r)
		expected := c.naively(t, r.Spec, time.Now())
		require.Subset(t, append(expected, ""), c.members(t, p.CleanupPlanID), address)
		require.GreaterOrEqual(t, p.ToClean+p.Undetermined, len(expected), address)
	}
}

func TestTheKeepListAndTheNewestOfEachSenderAreKeptBack(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 500, Seed: 103})
	a := c.analyzed(t)
	kept := a.Senders[1].Address
	c.exec(t, "INSERT INTO keep_list (customer_id, entry, created_at) VALUES ($1, $2, now())", c.Customer.String(), kept)
	r := wanted(t, sweep.Trash, `{"any":[{"category":"promotions"},{"category":"updates"},{"category":"social"},{"category":"forums"}]}`)
	r.Spec.Protect.KeepList, r.Spec.KeepNewestPerSender = true, 2
	p := c.preview(t, r)
	plan := c.members(t, p.CleanupPlanID)
	matching := c.naively(t, r.Spec, time.Now())
	require.Equal(t, len(matching), p.Matched)
	require.Equal(t, p.Matched, p.Protected.Total+p.ToClean)
	left := map[string][]google.Message{}
	for _, m := range c.messages(t) {
		require.False(t, m.From == kept && slices.Contains(plan, m.ID))
		if !slices.ContainsFunc([]string{"SENT", "DRAFT", "SPAM", "TRASH"}, func(l string) bool { return labelled(m, l) }) {
			left[m.From] = append(left[m.From], m)
		}
	}
	var expected []string
	for from, list := range left {
		slices.SortFunc(list, func(a, b google.Message) int { return b.Date.Compare(a.Date) })
		for _, m := range list[min(2, len(list)):] {
			if from != kept && slices.Contains(matching, m.ID) {
				expected = append(expected, m.ID)
			}
		}
	}
	require.Equal(t, sorted(expected), sorted(plan))
	page, _, err := c.PlanMessages(t.Context(), c.Customer, planID(t, p.CleanupPlanID), "", "", true)
	require.NoError(t, err)
	require.NotEmpty(t, page)
	for _, m := range page {
		require.NotEmpty(t, m.Protected)
	}
}

func TestEveryProtectionKeepsItsMailBackAndSaysSo(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 1200, Seed: 104})
	r := protected(t, sweep.Trash, everything)
	p := c.preview(t, r)
	plan := c.members(t, p.CleanupPlanID)
	starred, replied := map[string]bool{}, map[string]bool{}
	for _, m := range c.messages(t) {
		starred[m.Thread] = starred[m.Thread] || labelled(m, "STARRED")
		replied[m.Thread] = replied[m.Thread] || labelled(m, "SENT")
	}
	var expected []string
	cut := c.planned(t, p).MadeAt.Truncate(time.Second).AddDate(0, 0, -7)
	matching := c.naively(t, r.Spec, time.Now())
	for _, m := range c.messages(t) {
		own := slices.ContainsFunc(m.Labels, func(l string) bool { return strings.HasPrefix(l, "Label_") })
		if !starred[m.Thread] && !replied[m.Thread] && !labelled(m, "IMPORTANT") && !own && m.Date.Before(cut) && slices.Contains(matching, m.ID) {
			expected = append(expected, m.ID)
		}
	}
	require.Equal(t, sorted(expected), sorted(plan))
	for _, reason := range []sweep.Reason{sweep.KeptStarred, sweep.KeptReplied, sweep.KeptImportant, sweep.KeptUserLabelled, sweep.KeptRecent} {
		require.Positive(t, p.Protected.ByReason[reason], fmt.Sprint(reason))
	}
	count, err := c.Count(t.Context(), c.Customer, cleanup.Target{}, r.Spec.Criteria)
	require.NoError(t, err)
	require.True(t, count.Exact)
}
