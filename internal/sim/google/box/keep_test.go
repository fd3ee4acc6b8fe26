package box

import (
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
)

// disturb changes a mailbox at random, in every way it can change.
func (b *Box) disturb(t *testing.T, rng *rand.Rand) {
	t.Helper()
	all := b.Messages()
	some := []string{"123abc"}
	for range 1 + rng.IntN(20) {
		some = append(some, all[rng.IntN(len(all))].ID)
	}
	labels := []string{"INBOX", "TRASH", "SPAM", "UNREAD", "STARRED", "Label_1", "Label_2"}
	rng.Shuffle(len(labels), func(i, j int) { labels[i], labels[j] = labels[j], labels[i] })
	var err error
	switch rng.IntN(6) {
	case 0:
		_, err = b.Deliver(Incoming{From: "New <new@shop.example>", Subject: "Hello", Thread: all[rng.IntN(len(all))].Thread, Date: testNow.Add(-1e12)})
	case 1:
		b.Delete(some[:2])
	default:
		_, err = b.Modify(some, labels[:1], labels[1:3], true)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAKeptListingFollowsEveryChangeWithoutAnotherScan(t *testing.T) {
	t.Parallel()
	b := newTestBox(t, 1000)
	queries := []Search{{}, {SpamTrash: true}, {Query: "is:unread -in:inbox"}, {Labels: []string{"INBOX"}}, {Query: "from:shop"}, {Query: "in:trash"}, {Query: "older_than:1y is:starred"}}
	list := func() (out [][]Item) {
		for _, s := range queries {
			page, err := b.List(s, Place{After: Top}, 2000)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, page.Items)
		}
		return out
	}
	list()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		b.disturb(t, rng)
		kept := list()
		if b.results.scans != len(queries) {
			t.Fatalf("%d scans for %d queries", b.results.scans, len(queries))
		}
		b.results.byKey = map[string]*result{}
		fresh := list()
		b.results.scans = len(queries)
		if !reflect.DeepEqual(kept, fresh) {
			t.Fatal("a kept listing differs from one worked out anew")
		}
	}
	if b.ExpireHistory(); len(list()) > 0 && b.results.scans == len(queries) {
		t.Error("without the history the changes are not known")
	}
}

func TestThreadCountsStayTrueThroughChanges(t *testing.T) {
	t.Parallel()
	b := newTestBox(t, 1000)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		b.disturb(t, rng)
		_, _, _ = b.Label("INBOX") // from here on the counts are kept
	}
	kept, threads := slices.Clone(b.counts.byLabel), b.liveThreads
	b.counts = threadCounts{}
	b.threadsOf(inbox)
	if !slices.Equal(kept, b.counts.byLabel) {
		t.Error("kept counts differ from those counted anew")
	}
	seen := map[string]bool{}
	for _, m := range b.Messages() {
		seen[m.Thread] = true
	}
	if threads != len(seen) {
		t.Errorf("%d threads are told, there are %d", threads, len(seen))
	}
}

// A hundred mebibytes hold a million messages. Under the race detector, which is slow, a fifth of both.
func TestAMillionMessagesTakeLessThanAHundredMebibytes(t *testing.T) {
	messages, limit := 1_000_000, int64(100<<20)
	if raced {
		messages, limit = messages/5, limit/5
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	b := newTestBox(t, messages)
	took := heap() - before
	t.Logf("%d MiB, %d bytes a message", took>>20, took/int64(messages))
	if took > limit {
		t.Errorf("%d MiB", took>>20)
	}
	runtime.KeepAlive(b)
}
