package mailindex

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

// full is a box read to the last header, with all the bounds that reports need.
func full(t *rapid.T) (*box, *Index) {
	b := drawBox(t)
	b.bounds = []time.Time{{}, day(365), day(90), day(60), day(30), day(7), day(-1)}
	ix := b.index(t)
	for _, l := range b.letters {
		ix.Learn(l.id, Header{Address: l.from, Size: l.size})
	}
	return b, ix
}

func TestAnalysisOfAMailboxReadWholeIsTheTruth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, ix := full(t)
		a := ix.Analysis(SelectOptions{Now: modelNow})
		unread, bytes, senders, ages := 0, int64(0), map[string]int{}, map[string]int{}
		for _, l := range b.letters {
			bytes += l.size
			senders[l.from]++
			if l.labels[sweep.LabelUnread] {
				unread++
			}
			for _, age := range sweep.Ages() {
				if age.Days == 0 || !l.date.Before(day(age.Days)) {
					ages[age.Key]++
					break
				}
			}
		}
		if a.Messages != len(b.letters) || a.Unread != unread || a.Bytes.Estimate != bytes || !a.Bytes.Exact || a.AttributedPercent != 100 {
			t.Fatalf("%d messages, %d unread, %+v, %v %%", a.Messages, a.Unread, a.Bytes, a.AttributedPercent)
		}
		for key, n := range ages {
			if a.ByAge[key].Messages != n {
				t.Fatalf("age %s: %d, want %d", key, a.ByAge[key].Messages, n)
			}
		}
		for _, s := range a.Senders {
			if s.Messages != senders[s.Address] || !s.Exact {
				t.Fatalf("%+v, want %d", s, senders[s.Address])
			}
		}
		if len(a.Senders) != len(senders) {
			t.Fatalf("%d senders, want %d", len(a.Senders), len(senders))
		}
		for _, c := range sweep.Categories() {
			if want := b.ids(func(l *letter) bool { return l.inTab(c) }); a.ByCategory[c].Messages != len(want) {
				t.Fatalf("%s: %d, want %d", c, a.ByCategory[c].Messages, len(want))
			}
		}
		for block, exact := range a.Exact {
			if !exact && block != "by_size" {
				t.Fatalf("%s is not exact", block)
			}
		}
	})
}

// Whatever is known, the truth lies between the bounds and every sum is the whole.
func TestAnalysisIsHonest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBox(t)
		ix := b.index(t)
		b.meet(t, ix)
		a := ix.Analysis(SelectOptions{Now: modelNow})
		var bytes int64
		tabs := map[sweep.Category]int64{}
		for _, l := range b.letters {
			bytes += l.size
			for _, c := range sweep.Categories() {
				if l.inTab(c) {
					tabs[c] += l.size
				}
			}
		}
		if a.Bytes.Low > bytes || a.Bytes.High < bytes || a.Bytes.Estimate < a.Bytes.Low || a.Bytes.Estimate > a.Bytes.High {
			t.Fatalf("%d bytes, told %+v", bytes, a.Bytes)
		}
		sum, of := 0, sweep.Block{}
		for _, block := range a.ByAge {
			sum += block.Messages
			of.Bytes, of.BytesLow, of.BytesHigh = of.Bytes+block.Bytes, of.BytesLow+block.BytesLow, of.BytesHigh+block.BytesHigh
		}
		if whole := (sweep.Block{Bytes: a.Bytes.Estimate, BytesLow: a.Bytes.Low, BytesHigh: a.Bytes.High}); of != whole {
			t.Fatalf("ages weigh %+v of %+v", of, whole)
		}
		for c, block := range a.ByCategory {
			if a.Exact["by_category"] && (block.BytesLow > tabs[c] || block.BytesHigh < tabs[c]) || block.Bytes < block.BytesLow || block.Bytes > block.BytesHigh {
				t.Fatalf("%s weighs %d, told %+v", c, tabs[c], block)
			}
		}
		if sum != a.Messages || a.Health.Score < 0 || a.Health.Score > 100 {
			t.Fatalf("ages sum to %d of %d, health %d", sum, a.Messages, a.Health.Score)
		}
		for _, s := range a.Senders {
			if truth := len(b.ids(func(l *letter) bool { return l.from == s.Address })); s.Exact && s.Messages != truth {
				t.Fatalf("%s is told as exactly %d, truly %d", s.Address, s.Messages, truth)
			}
		}
	})
}

func TestSuggestionsCountWhatTheirPlanHolds(t *testing.T) {
	t.Parallel()
	ix := bigIndex(20_000, 300)
	o := SelectOptions{Now: modelNow, KeepList: []string{"@mail7.example"}}
	ix.SetDimension(FromDimension("@mail7.example"), nil)
	a := ix.Analysis(o)
	if len(a.Suggestions) < 4 {
		t.Fatalf("only %d suggestions", len(a.Suggestions))
	}
	for i, s := range a.Suggestions {
		raw, err := s.Criteria.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		c, err := sweep.ParseCriteria(raw)
		if err != nil {
			t.Fatalf("%s: %v", s.Title, err)
		}
		spec := sweep.CleanupSpec{Action: s.Action, Criteria: c, Protect: sweep.ProtectAll()}
		if n := int(ix.Select(spec, o).ToClean.GetCardinality()); n != s.Messages || n == 0 {
			t.Errorf("%s: %d, its plan %d", s.Title, s.Messages, n)
		}
		if i > 0 && a.Suggestions[i-1].Messages < s.Messages {
			t.Errorf("%s is out of order", s.Title)
		}
	}
}

func TestUnreadListSendersAreSuggested(t *testing.T) {
	t.Parallel()
	b := NewBuilder([]time.Time{{}, day(7), day(-1)})
	var refs []Ref
	for i := range 60 {
		refs = append(refs, Ref{sweep.MessageID(uint64(day(20+i).UnixMilli()) << 20), sweep.ThreadID(i)})
	}
	if err := b.AddSlice(0, refs); err != nil {
		t.Fatal(err)
	}
	ix := b.Finish(modelNow, 1)
	(&box{labels: modelLabels}).listLabels(ix)
	var unread []sweep.MessageID
	for i, r := range refs {
		ix.Learn(r.ID, Header{Address: "news@shop.example", ListID: "news.shop.example"})
		if i < 48 {
			unread = append(unread, r.ID)
		}
	}
	ix.SetDimension(LabelDimension(sweep.LabelUnread), unread)
	got := ix.Analysis(SelectOptions{Now: modelNow}).Suggestions
	if len(got) != 1 || got[0].Messages != 60 || got[0].Criteria.Text != "news@shop.example" {
		t.Fatalf("80 %% unread: %+v", got)
	}
	ix.SetDimension(LabelDimension(sweep.LabelUnread), unread[1:])
	if got := ix.Analysis(SelectOptions{Now: modelNow}).Suggestions; len(got) != 0 {
		t.Fatalf("less than 80 %% unread: %+v", got)
	}
}

func TestSummaryAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		_, ix := full(t)
		rows := ix.Live()
		s := ix.Summary(rows, modelNow)
		ages, senders := 0, 0
		for _, n := range s.ByAge {
			ages += n
		}
		for _, c := range s.BySender {
			senders += c.Messages
		}
		if n := int(rows.GetCardinality()); ages != n || senders != n || !s.Exact["by_sender"] || !s.Bytes.Exact {
			t.Fatalf("%d messages, ages %d, senders %d, %v", n, ages, senders, s.Exact)
		}
	})
}

func TestSenderPagesGiveEverySenderOnce(t *testing.T) {
	t.Parallel()
	ix := bigIndex(5_000, 200)
	total := ix.Analysis(SelectOptions{Now: modelNow}).SendersTotal
	for sort := range ix.evaluator(nil).rankings(ix.sizing()) {
		seen, cursor := map[string]bool{}, ""
		for range 100 {
			page, next, err := ix.Senders(SenderQuery{Sort: sort, Cursor: cursor, Limit: 7}, SelectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range page {
				if seen[s.Address] {
					t.Fatalf("%s: %s twice", sort, s.Address)
				}
				seen[s.Address] = true
			}
			if cursor = next; next == "" {
				break
			}
		}
		if len(seen) != total {
			t.Errorf("%s: %d of %d senders", sort, len(seen), total)
		}
	}
	if page, _, err := ix.Senders(SenderQuery{Filter: "SENDER7@"}, SelectOptions{}); err != nil || len(page) == 0 || len(page) > 2 {
		t.Errorf("filter: %d, %v", len(page), err)
	}
	for _, q := range []SenderQuery{{Sort: "colour"}, {Safety: "harmless"}, {Cursor: "!"}, {Cursor: "AAAA"}} {
		if _, _, err := ix.Senders(q, SelectOptions{}); sweep.CodeOf(err) != sweep.Invalid {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// What an analysis shows the first of is there to the last, page by page, in one order.
func TestDomainAndListPagesGiveEachOnce(t *testing.T) {
	t.Parallel()
	const many = 2*topSenders + 7
	ix := bigIndex(5_000, many)
	for n := range ix.people[1:] {
		ix.people[n+1].address = fmt.Sprintf("news@shop%d.example", n)
		ix.people[n+1].describeList(fmt.Sprintf("list%d.example", n%(topSenders+50)), sweep.Link)
	}
	senders := ix.AllSenders(SelectOptions{})
	domains, lists, cursor := []sweep.Domain(nil), []sweep.MailingListGroup(nil), ""
	for len(domains) == 0 || cursor != "" {
		page, err := ix.Domains(cursor, 90)
		if err != nil || page.Total != len(domainList(senders)) || len(page.Items) == 0 {
			t.Fatalf("%d of %d, %v", len(page.Items), page.Total, err)
		}
		domains, cursor = append(domains, page.Items...), page.Next
	}
	for len(lists) == 0 || cursor != "" {
		page, err := ix.Lists(cursor, 90)
		if err != nil || page.Total != topSenders+50 || len(page.Items) == 0 {
			t.Fatalf("%d of %d, %v", len(page.Items), page.Total, err)
		}
		lists, cursor = append(lists, page.Items...), page.Next
	}
	if !slices.Equal(domains, domainList(senders)) || len(domains) <= topSenders {
		t.Errorf("%d of %d domains", len(domains), len(domainList(senders)))
	}
	if !slices.Equal(lists, listsOf(senders)) {
		t.Errorf("%d of %d lists", len(lists), topSenders+50)
	}
	if _, err := ix.Domains("!", 0); sweep.CodeOf(err) != sweep.Invalid {
		t.Error(err)
	}
	if _, err := ix.Lists("AAAA", 0); sweep.CodeOf(err) != sweep.Invalid {
		t.Error(err)
	}
}

func TestNextUnknownPicksEachUnattributedMessageOnce(t *testing.T) {
	t.Parallel()
	const seed = 7
	r := rand.New(rand.NewPCG(seed, seed))
	ix := bigIndex(2_000, 50)
	left := ix.Unattributed()
	if left == 0 {
		t.Fatal("nothing to pick")
	}
	seen := map[sweep.MessageID]bool{}
	for range left {
		got := ix.NextUnknown(9, r)
		if len(got) > 9 || len(got) == 0 && ix.Unattributed() > 0 {
			t.Fatalf("%d picked of %d (seed %d)", len(got), ix.Unattributed(), seed)
		}
		for _, id := range got {
			if seen[id] {
				t.Fatalf("%s picked twice (seed %d)", id, seed)
			}
			seen[id] = true
			ix.Learn(id, Header{Address: "x@y.example"})
		}
		if ix.Unattributed() == 0 {
			break
		}
	}
	if len(seen) != left {
		t.Fatalf("%d of %d picked", len(seen), left)
	}
}

func TestMessageTellsWhatIsExact(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix := b.known()
	ix.Learn(b.letters[0].id, Header{Address: "A@B.example", Size: 777, Date: day(40)})
	m, ok := ix.Message(b.letters[0].id)
	if !ok || m.Sender != "a@b.example" || !m.SenderRead || m.Size != 777 || !m.SizeExact || !m.DateExact || !m.Date.Equal(day(40)) {
		t.Fatalf("%+v", m)
	}
	if want := []string{"CATEGORY_PROMOTIONS", "INBOX", "UNREAD"}; !slices.Equal(m.Labels, want) {
		t.Fatalf("labels %v", m.Labels)
	}
	if m, ok := ix.Message(b.letters[2].id); !ok || m.SenderKnown || m.SizeExact || m.DateExact {
		t.Fatalf("%+v", m)
	}
	if _, ok := ix.Message(12345); ok {
		t.Fatal("a message out of nothing")
	}
	if got := ix.Messages(roaring.BitmapOf(0, 1, 2), NewestFirst); len(got) != 3 || got[0].ID != b.letters[2].id {
		t.Fatal(fmt.Sprint(got))
	}
}
