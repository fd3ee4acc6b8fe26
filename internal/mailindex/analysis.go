package mailindex

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// topSenders is how many senders, domains and lists an analysis shows.
const topSenders = 200

// Analysis is the picture of the mailbox at o.Now, spam and trash left out. Exact has a key per block (messages, threads, unread, bytes,
// by_category, by_age, by_size, senders, domains, suggestions, health); byte counts within blocks are as exact as bytes says. Ages are
// exact when now − 7, 30, 90 and 365 days are ends of date slices. The suggestions count what Select gives with every protection on, so
// o.KeepList and o.OurLabels belong here too; they count for how safe a sender is. UnitsSpent is the caller's to fill.
func (ix *Index) Analysis(o SelectOptions) sweep.Analysis {
	r := ix.report(ix.counted(), o.Now)
	senders := r.e.senderList(r.size)
	domains, lists := domainList(senders), listsOf(senders)
	a := sweep.Analysis{
		AsOf: ix.AsOf, Messages: r.messages, Threads: ix.threadCount(r.rows), Unread: r.unreadCount(r.rows), Bytes: r.size.sum(r.rows),
		SendersTotal: len(senders), Exact: map[string]bool{"threads": true},
	}
	a.ByCategory, a.Exact["by_category"] = r.byCategory()
	a.ByAge, a.Exact["by_age"] = r.byAge()
	a.BySize, a.Exact["by_size"] = r.size.blocks(r.rows)
	a.Senders, a.Domains = senders[:min(len(senders), topSenders)], domains[:min(len(domains), topSenders)]
	r.e.grade(a.Senders, o)
	a.Lists = lists[:min(len(lists), topSenders)]
	a.Exact["senders"] = !slices.ContainsFunc(senders, func(s sweep.Sender) bool { return !s.Exact }) && r.allAttributed()
	a.Exact["domains"] = a.Exact["senders"]
	a.AttributedPercent = r.attributed()
	a.Exact["messages"] = !r.rows.Intersects(ix.bare)
	a.Exact["unread"] = r.sure(LabelDimension(sweep.LabelUnread))
	a.Exact["bytes"] = a.Bytes.Exact
	a.Health = r.health()
	a.Exact["health"] = a.Exact["unread"] && a.Exact["by_age"] && a.Exact["by_category"]
	a.Suggestions = ix.suggestions(senders, r.size, o)
	a.Exact["suggestions"] = a.Exact["by_age"] && a.Exact["by_category"]
	return a
}

// report counts one set of messages.
type report struct {
	ix       *Index
	e        *evaluator
	rows     *roaring.Bitmap
	messages int
	unread   *roaring.Bitmap
	size     sizing
	age      aging
}

func (ix *Index) report(rows *roaring.Bitmap, now time.Time) report {
	e := ix.evaluator(nil)
	return report{ix: ix, e: e, rows: rows, messages: int(rows.GetCardinality()), unread: e.labelledYes(sweep.LabelUnread), size: ix.sizing(), age: ix.aging(now)}
}

func (r report) unreadCount(rows *roaring.Bitmap) int { return int(rows.AndCardinality(r.unread)) }

// sure says whether a dimension is known for every message of the report.
func (r report) sure(dimension string) bool {
	v, ok := r.e.dim(dimension)
	return ok && !v.Maybe.Intersects(r.rows)
}

func (r report) block(rows *roaring.Bitmap) sweep.Block {
	b := r.size.sum(rows)
	return sweep.Block{Messages: int(rows.GetCardinality()), Unread: r.unreadCount(rows), Bytes: b.Estimate, BytesLow: b.Low, BytesHigh: b.High}
}

// inCategory is the report's messages of one tab.
func (r report) inCategory(c sweep.Category) (rows *roaring.Bitmap, exact bool) {
	v := r.e.eval(sweep.Criteria{Op: sweep.ByCategory, Text: string(c)})
	return roaring.And(v.Yes, r.rows), !v.Maybe.Intersects(r.rows)
}

func (r report) byCategory() (map[sweep.Category]sweep.Block, bool) {
	out, exact := map[sweep.Category]sweep.Block{}, r.sure(LabelDimension(sweep.LabelUnread))
	if !r.ix.Categories {
		return out, exact
	}
	for _, c := range sweep.Categories() {
		rows, sure := r.inCategory(c)
		out[c] = r.block(rows)
		exact = exact && sure
	}
	return out, exact
}

func (r report) byAge() (map[string]sweep.Block, bool) {
	counts, exact := make([]sweep.Block, len(r.age.cuts)+1), true
	unread := flat(r.unread)
	for it := r.rows.Iterator(); it.HasNext(); {
		row := it.Next()
		k, sure := r.age.of(row)
		exact = exact && sure
		counts[k].Messages++
		low, high := r.size.bounds(row)
		counts[k].Bytes, counts[k].BytesLow, counts[k].BytesHigh = counts[k].Bytes+r.size.of(row), counts[k].BytesLow+low, counts[k].BytesHigh+high
		if unread.has(row) {
			counts[k].Unread++
		}
	}
	out := map[string]sweep.Block{}
	for k, age := range sweep.Ages() {
		out[age.Key] = counts[k]
	}
	return out, exact
}

func (r report) allAttributed() bool {
	r.e.splitSenders()
	return !r.e.unknown.Intersects(r.rows)
}

// attributed is the share of messages with a known sender in percent, cut to one decimal: 100 only when none is missing.
func (r report) attributed() float64 {
	if r.messages == 0 {
		return 100
	}
	r.e.splitSenders()
	known := r.messages - int(r.rows.AndCardinality(r.e.unknown))
	return math.Floor(1000*float64(known)/float64(r.messages)) / 10
}

func (r report) health() sweep.Health {
	ages, _ := r.byAge()
	promotions := 0
	if r.ix.Categories {
		rows, _ := r.inCategory(sweep.Promotions)
		promotions = int(rows.GetCardinality())
	}
	return sweep.HealthOf(r.messages, r.unreadCount(r.rows), ages["1y"].Messages+ages["older"].Messages, promotions)
}

// Summary is the counts of one set of messages, as a dry run shows them. BySender has at most 50, most messages first; messages
// without a known sender are in none. Exact has the keys by_category, by_sender, by_age and bytes.
type Summary struct {
	ByCategory map[sweep.Category]int
	BySender   []sweep.SenderCount
	ByAge      map[string]int
	Bytes      sweep.Bytes
	Exact      map[string]bool
}

const summarySenders = 50

// Summary counts a set at now.
func (ix *Index) Summary(rows *roaring.Bitmap, now time.Time) Summary {
	r := ix.report(rows, now)
	s := Summary{ByCategory: map[sweep.Category]int{}, ByAge: map[string]int{}, Bytes: r.size.sum(rows)}
	exactCategory := true
	for _, c := range sweep.Categories() {
		if ix.Categories {
			in, sure := r.inCategory(c)
			s.ByCategory[c] = int(in.GetCardinality())
			exactCategory = exactCategory && sure
		}
	}
	ages, exactAge := r.byAge()
	for key, b := range ages {
		s.ByAge[key] = b.Messages
	}
	s.BySender = r.bySender()
	allRead := roaring.AndNot(rows, ix.read).IsEmpty()
	s.Exact = map[string]bool{"by_category": exactCategory, "by_age": exactAge, "bytes": s.Bytes.Exact, "by_sender": allRead}
	return s
}

func (r report) bySender() []sweep.SenderCount {
	counts := map[uint32]sweep.SenderCount{}
	for it := r.rows.Iterator(); it.HasNext(); {
		row := it.Next()
		if n := r.ix.senders[row]; n != 0 {
			c := counts[n]
			c.Address = r.ix.people[n].address
			c.Messages++
			c.Bytes += r.size.of(row)
			counts[n] = c
		}
	}
	out := slices.SortedFunc(maps.Values(counts), func(a, b sweep.SenderCount) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Address, b.Address))
	})
	return out[:min(len(out), summarySenders)]
}
