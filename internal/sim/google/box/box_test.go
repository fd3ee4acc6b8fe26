package box

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	t.Log(years, f.Threads, f.Categories, f.Size)
	if out := os.Getenv("SENDERS_OUT"); out != "" {
		var lines []string
		for a, s := range f.Senders {
			lines = append(lines, strings.Join([]string{a, string(rune('0' + s.Messages%10))}, " "))
		}
		slices.Sort(lines)
		_ = os.WriteFile(out, []byte(strings.Join(lines, "\n")), 0o600)
	}
}

func TestGeneratedMailboxLooksReal(t *testing.T) {
	t.Parallel()
	start := time.Now()
	b := newTestBox(t, 100_000)
	t.Log("built in", time.Since(start))
	f := b.Facts()
	t.Logf("%+v threads %d senders %d domains %d", f.Block, f.Threads, len(f.Senders), len(f.Domains))
	t.Log(f.Categories, f.Age, f.Size)
	for _, q := range []string{"", "category:promotions older_than:1y", "from:shop", "unsubscribe -in:inbox", "larger:1M has:attachment"} {
		start := time.Now()
		p, err := b.List(Search{Query: q}, Top, 0, 500)
		t.Log(q, p.Total, err, time.Since(start))
	}
}

func BenchmarkListPage(b *testing.B) {
	box := newTestBox(b, 100_000)
	first, err := box.List(Search{Query: "category:promotions"}, Top, 0, 500)
	if err != nil {
		b.Fatal(err)
	}
	after := first.Items[499].Row
	b.Run("first of a changed mailbox", func(b *testing.B) {
		for b.Loop() {
			box.version++
			_, _ = box.List(Search{Query: "category:promotions older_than:90d"}, Top, 0, 500)
		}
	})
	b.Run("next", func(b *testing.B) {
		for b.Loop() {
			_, _ = box.List(Search{Query: "category:promotions"}, after, 0, 500)
		}
	})
}
