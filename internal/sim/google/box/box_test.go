package box

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newTestBox(t testing.TB, n int) *Box {
	t.Helper()
	b := New("me@example.org", Options{Now: func() time.Time { return testNow }})
	if err := b.Fill(Generate{Messages: n}); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestImportReadsRealMailExactly(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "..", "..", "..", "shared", "mail", "sample-a.mbox.gz")
	if _, err := os.Stat(path); err != nil {
		t.Skip("real mail is not there: ", path)
	}
	b := New("me@example.org", Options{Now: func() time.Time { return testNow }})
	if err := b.Import(path, false); err != nil {
		t.Fatal(err)
	}
	f := b.Facts()
	if f.Messages != 2150 || len(f.Senders) != 1041 {
		t.Errorf("%d messages of %d senders, want 2150 of 1041", f.Messages, len(f.Senders))
	}
	years := map[int]int{}
	for _, m := range b.Messages() {
		years[m.Date.Year()]++
	}
	if years[2002] < 2100 {
		t.Error("the mail is of 2002: ", years)
	}
}

func TestGeneratedMailboxLooksReal(t *testing.T) {
	t.Parallel()
	b := newTestBox(t, 20_000)
	f, truth := b.Facts(), b.Truth()
	var sizes []int
	for _, m := range b.Messages() {
		sizes = append(sizes, m.Size)
	}
	slices.Sort(sizes)
	most := 0
	for _, s := range f.Senders {
		most = max(most, s.Messages)
	}
	unread := func(category string) float64 {
		c := f.Categories[category]
		return float64(c.Unread) / float64(c.Messages)
	}
	share := func(n int) float64 { return float64(n) / 20_000 }
	for name, c := range map[string]struct{ got, low, high float64 }{
		"unread promotions": {unread("CATEGORY_PROMOTIONS"), 0.6, 0.8}, "unread personal": {unread("CATEGORY_PERSONAL"), 0.06, 0.16},
		"sent": {share(truth.Labels["SENT"]), 0.07, 0.09}, "starred": {share(truth.Labels["STARRED"]), 0.003, 0.008},
		"median size": {float64(sizes[10_000]), 28_000, 45_000}, "threads": {share(truth.Threads), 0.6, 0.95},
		"promotions": {share(truth.Labels["CATEGORY_PROMOTIONS"]), 0.15, 0.45}, "busiest sender": {share(most), 0.01, 0.2},
		"senders": {float64(len(f.Senders)), 400, 670}, "older than a year": {share(f.Age["older"].Messages), 0.6, 0.9},
	} {
		if c.got < c.low || c.got > c.high {
			t.Errorf("%s: %v", name, c.got)
		}
	}
}

func BenchmarkListPage(b *testing.B) {
	box := newTestBox(b, 100_000)
	first, err := box.List(Search{Query: "category:promotions"}, Place{After: Top}, 500)
	if err != nil {
		b.Fatal(err)
	}
	after := first.Items[499].Row
	b.Run("first of a changed mailbox", func(b *testing.B) {
		for b.Loop() {
			box.labels.version++
			_, _ = box.List(Search{Query: "category:promotions older_than:90d"}, Place{After: Top}, 500)
		}
	})
	b.Run("first after 1,000 were changed", func(b *testing.B) {
		ids := make([]string, 0, 1000)
		for _, m := range box.Messages()[:1000] {
			ids = append(ids, m.ID)
		}
		for i := 0; b.Loop(); i++ {
			b.StopTimer()
			add, remove := []string{"STARRED"}, []string{"IMPORTANT"}
			if i%2 == 1 {
				add, remove = remove, add
			}
			_, _ = box.Modify(ids, add, remove, false)
			b.StartTimer()
			_, _ = box.List(Search{Query: "category:promotions older_than:90d"}, Place{After: Top}, 500)
		}
	})
	b.Run("next", func(b *testing.B) {
		for b.Loop() {
			_, _ = box.List(Search{Query: "category:promotions"}, Place{After: after}, 500)
		}
	})
}
