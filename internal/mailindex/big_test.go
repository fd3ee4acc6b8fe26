package mailindex

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"mailsweep/internal/sweep"
)

// bigBuilder lists n messages of ten years, with some threads, in the date slices of a real analysis.
func bigBuilder(n int, r *rand.Rand) *Builder {
	bounds := []time.Time{{}}
	for _, d := range slices.Backward(AgeCuts()) {
		bounds = append(bounds, day(d))
	}
	bounds = append(bounds, day(-1))
	b := NewBuilder(bounds)
	pages := map[int][]Ref{}
	thread := sweep.ThreadID(0)
	for i := range n {
		at := modelNow.Add(-time.Duration(r.Int64N(int64(10 * 365 * 24 * time.Hour))))
		id := sweep.MessageID(uint64(at.UnixMilli())<<20 | r.Uint64N(1<<20))
		if thread == 0 || i%10 > 1 {
			thread = sweep.ThreadID(id)
		}
		k, _ := slices.BinarySearchFunc(bounds, at, time.Time.Compare)
		if pages[k-1] = append(pages[k-1], Ref{id, thread}); len(pages[k-1]) == 500 {
			if err := b.AddSlice(k-1, pages[k-1]); err != nil {
				panic(err)
			}
			pages[k-1] = pages[k-1][:0]
		}
	}
	for k, refs := range pages {
		if err := b.AddSlice(k, refs); err != nil {
			panic(err)
		}
	}
	return b
}

// bigIndex is a mailbox as an analysis leaves it: all labels, attachments, the size ladder, and senders by Zipf's law.
func bigIndex(n, senders int) *Index {
	r := rand.New(rand.NewPCG(1, 2))
	ix := bigBuilder(n, r).Finish(modelNow, 1)
	fill := func(name string, share float64) {
		var ids []sweep.MessageID
		for _, id := range ix.ids {
			if r.Float64() < share {
				ids = append(ids, id)
			}
		}
		ix.SetDimension(name, ids)
	}
	for name, share := range map[string]float64{
		"INBOX": 0.6, "UNREAD": 0.5, "SENT": 0.08, "DRAFT": 0.001, "STARRED": 0.005, "IMPORTANT": 0.1, "CATEGORY_PROMOTIONS": 0.4,
		"CATEGORY_SOCIAL": 0.1, "CATEGORY_UPDATES": 0.2, "CATEGORY_FORUMS": 0.05, "Label_1": 0.05, "Label_2": 0.02,
	} {
		fill(LabelDimension(name), share)
	}
	ix.SetLabels(modelLabels)
	fill(AttachmentDimension, 0.12)
	ids := slices.Clone(ix.ids)
	for _, step := range Ladder() {
		keep := ids[:0:0]
		for _, id := range ids {
			if r.Float64() < 0.6 {
				keep = append(keep, id)
			}
		}
		ids = keep
		ix.SetDimension(LargerDimension(step), ids)
	}
	attribute(ix, senders, r)
	return ix
}

func attribute(ix *Index, senders int, r *rand.Rand) {
	zipf := rand.NewZipf(r, 1.1, 2.7, uint64(senders-1))
	bySender := map[string][]sweep.MessageID{}
	for _, id := range ix.ids {
		a := fmt.Sprintf("sender%d@mail%d.example", zipf.Uint64(), r.IntN(2))
		if r.IntN(20) == 0 {
			ix.Learn(id, Header{Address: a, Name: "Sender", Size: 1 + r.Int64N(200_000), Unsubscribe: sweep.Mailto})
			continue
		}
		bySender[a] = append(bySender[a], id)
	}
	for a, ids := range bySender {
		if r.IntN(5) > 0 {
			ix.Sweep(a, ids, true)
		}
	}
}

func bigSpec() (sweep.CleanupSpec, SelectOptions) {
	c := all(sweep.Criteria{Op: sweep.ByCategory, Text: "promotions"}, older(90),
		sweep.Criteria{Op: sweep.Not, Kids: []sweep.Criteria{{Op: sweep.ByFrom, Text: "@mail0.example"}}}, sweep.Criteria{Op: sweep.LargerThan, Number: 20_000})
	spec := sweep.CleanupSpec{Action: sweep.Trash, Criteria: c, Protect: sweep.ProtectAll(), KeepNewestPerSender: 2}
	return spec, SelectOptions{Now: modelNow, KeepList: []string{"sender3@mail1.example", "bank.example", "@mail7.example"}}
}

func BenchmarkSelect(b *testing.B) {
	ix := bigIndex(100_000, 3_000)
	spec, o := bigSpec()
	for b.Loop() {
		ix.Select(spec, o)
	}
}

func BenchmarkAnalysis(b *testing.B) {
	ix := bigIndex(100_000, 3_000)
	for b.Loop() {
		ix.Analysis(SelectOptions{Now: modelNow})
	}
}

// BenchmarkSenders opens a page of a mailbox of 50,000 senders as the product does, from what is stored, sorted and filtered in each way.
func BenchmarkSenders(b *testing.B) {
	ix := bigIndex(500_000, 60_000)
	segments, err := stored(ix)
	if err != nil {
		b.Fatal(err)
	}
	o := SelectOptions{Now: modelNow, KeepList: []string{"sender3@mail1.example", "@mail7.example"}}
	for name, q := range map[string]SenderQuery{"messages": {}, "bytes": {Sort: "bytes"}, "address": {Sort: "address"}, "filtered": {Filter: "er77"}, "safe": {Safety: sweep.GradeSafe}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				ix, err := decode(segments)
				if err != nil {
					b.Fatal(err)
				}
				if page, _, err := ix.Senders(q, o); err != nil || len(page) == 0 {
					b.Fatal(len(page), err)
				}
			}
			b.ReportMetric(float64(len(ix.people)-1), "senders")
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	ix := bigIndex(100_000, 3_000)
	for b.Loop() {
		if _, err := stored(ix); err != nil {
			b.Fatal(err)
		}
	}
}

// A million messages are built within 64 MiB, counted as the most that lives at once: the listing and the finished rows.
func TestBuildingTakesLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("a million messages")
	}
	r := rand.New(rand.NewPCG(3, 4))
	var before, listed, built runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := bigBuilder(1_000_000, r)
	runtime.GC()
	runtime.ReadMemStats(&listed)
	ix := b.Finish(modelNow, 1)
	runtime.ReadMemStats(&built)
	list := listed.HeapAlloc - before.HeapAlloc
	finish := built.TotalAlloc - listed.TotalAlloc
	t.Logf("listing %d KiB, finishing %d KiB", list>>10, finish>>10)
	if list+finish > 64<<20 {
		t.Errorf("building takes %d MiB", (list+finish)>>20)
	}
	if ix.Len() < 999_000 {
		t.Fatalf("%d messages", ix.Len())
	}
}

// What a listing of a million messages keeps until it is an index: all ids with their threads, and 25 sets of which each holds a third.
func TestAListingKeepsLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("a million messages")
	}
	r := rand.New(rand.NewPCG(3, 4))
	ix := bigBuilder(1_000_000, r).Finish(modelNow, 1)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var p Packed
	sets := make([]*Found, 25)
	for i := range sets {
		sets[i] = NewFound()
	}
	page := make([]Ref, 0, 500)
	for row, id := range ix.ids {
		if page = append(page, Ref{id, ix.thread(uint32(row))}); len(page) == cap(page) {
			p.Append(page...)
			for i := range sets {
				rows := make([]Ref, 0, 500)
				for _, ref := range page {
					if r.IntN(3) == 0 {
						rows = append(rows, ref)
					}
				}
				sets[i].Add(ix, rows)
			}
			page = page[:0]
		}
	}
	p = p.Sorted()
	runtime.GC()
	runtime.ReadMemStats(&after)
	kept := (after.HeapAlloc - before.HeapAlloc) >> 10
	t.Logf("%d KiB are kept", kept)
	if kept > 12<<10 {
		t.Errorf("%d KiB are kept", kept)
	}
	runtime.KeepAlive(ix)
	runtime.KeepAlive(sets)
	runtime.KeepAlive(p)
}
