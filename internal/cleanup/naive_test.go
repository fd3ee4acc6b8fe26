package cleanup_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// naive answers criteria message by message from what the simulated mailbox knows.
type naive struct {
	now     time.Time
	labels  map[string]string // name → id
	replied map[string]bool   // threads with sent mail
}

func (n naive) holds(c sweep.Criteria, m google.Message) bool {
	day := time.Duration(c.Number) * 24 * time.Hour
	switch c.Op {
	case sweep.All:
		return !slices.ContainsFunc(c.Kids, func(k sweep.Criteria) bool { return !n.holds(k, m) })
	case sweep.Any:
		return slices.ContainsFunc(c.Kids, func(k sweep.Criteria) bool { return n.holds(k, m) })
	case sweep.Not:
		return !n.holds(c.Kids[0], m)
	case sweep.ByCategory:
		return n.inCategory(sweep.Category(c.Text), m)
	case sweep.ByFrom:
		return fromMatches(c.Text, m.From)
	case sweep.BySubject, sweep.ByQuery:
		return containsRun(words(m.Subject), words(strings.TrimPrefix(c.Text, "subject:")))
	case sweep.OlderThanDays:
		return m.Date.Before(n.now.Add(-day))
	case sweep.NewerThanDays:
		return !m.Date.Before(n.now.Add(-day))
	case sweep.Before:
		return m.Date.Before(c.Time)
	case sweep.After:
		return !m.Date.Before(c.Time)
	case sweep.LargerThan:
		return int64(m.Size) > c.Number
	case sweep.SmallerThan:
		return int64(m.Size) < c.Number
	case sweep.ByUnread:
		return labelled(m, "UNREAD") == c.Flag
	case sweep.HasAttachment:
		return m.Attachment == c.Flag
	case sweep.ByLabel:
		return labelled(m, n.labels[c.Text])
	case sweep.In:
		return c.Text == "anywhere" || labelled(m, "INBOX") == (c.Text == "inbox")
	case sweep.Replied:
		return n.replied[m.Thread] == c.Flag
	}
	panic("no such leaf: " + string(c.Op))
}

func (n naive) inCategory(c sweep.Category, m google.Message) bool {
	if c != sweep.Primary {
		return labelled(m, c.CategoryLabel())
	}
	return labelled(m, "INBOX") && !slices.ContainsFunc(sweep.Categories()[1:], func(o sweep.Category) bool { return labelled(m, o.CategoryLabel()) })
}

func fromMatches(pattern, address string) bool {
	if !strings.HasPrefix(pattern, "@") {
		return pattern == address
	}
	_, domain, _ := strings.Cut(address, "@")
	return domain == pattern[1:] || strings.HasSuffix(domain, "."+pattern[1:])
}

func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })
}

func containsRun(all, part []string) bool {
	for i := range all {
		if i+len(part) <= len(all) && slices.Equal(all[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// labels notes the id of every label by its name, however often Gmail asks to wait.
func (c *customer) labels(t *testing.T, ids map[string]string) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, func() bool {
		labels, err := c.runner.Gmail.Open(c.grant(t), "another client").Labels(t.Context())
		for _, l := range labels {
			ids[l.Name] = l.ID
		}
		return err == nil
	}, "the labels are told")
}

// naively gives the ids, in no order, that a cleanup without protections concerns.
func (c *customer) naively(t *testing.T, spec sweep.CleanupSpec, now time.Time) (ids []string) {
	t.Helper()
	n := naive{now: now.UTC().Truncate(time.Second), labels: map[string]string{}, replied: map[string]bool{}}
	c.labels(t, n.labels)
	list := c.messages(t)
	for _, m := range list {
		n.replied[m.Thread] = n.replied[m.Thread] || labelled(m, "SENT")
	}
	for _, m := range list {
		never := slices.ContainsFunc([]string{"SENT", "DRAFT", "SPAM", "TRASH"}, func(l string) bool { return labelled(m, l) })
		idle := spec.Action == sweep.Archive && !labelled(m, "INBOX") || spec.Action == sweep.MarkRead && !labelled(m, "UNREAD")
		if !never && !idle && n.holds(spec.Criteria, m) {
			ids = append(ids, m.ID)
		}
	}
	return ids
}
