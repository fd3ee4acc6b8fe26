package mailindex

import (
	"slices"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// date answers before and after: by the exact date of what was read, by the date slice where the cut is one of its ends, and inside
// the slice that the cut divides by the listing of its part.
func (e *evaluator) date(c sweep.Criteria, key string) answer {
	ix := e.ix
	yes, maybe, open := ix.words(), ix.words(), ix.words()
	cut, before := c.Time.Unix(), c.Op == sweep.Before
	divided, isDivided := ix.dividedBy(c.Time)
	for row, s := range ix.slices {
		switch d := ix.dates.at(uint32(row)); {
		case d != 0:
			if int64(d) < cut == before {
				yes.set(uint32(row))
			}
		case s == noSlice:
			maybe.set(uint32(row))
		case isDivided && int(s) == divided:
			maybe.set(uint32(row))
			open.set(uint32(row))
		case ix.bounds[s].Before(c.Time) == before:
			yes.set(uint32(row))
		}
	}
	v := Verdict{roaring.And(yes.bitmap(), ix.live), roaring.And(maybe.bitmap(), ix.live)}
	opened := roaring.And(open.bitmap(), ix.live)
	l, ok := e.listed[key]
	if !ok {
		return answer{v, opened}
	}
	// The listing is of one part of the divided slice alone: a message without a slice that is not in it stays open.
	late := e.late(l)
	decided, matched := roaring.AndNot(opened, late), l.Rows
	if l.Rest {
		matched = roaring.AndNot(decided, l.Rows)
		decided.Or(l.Rows)
	}
	v.Yes = roaring.Or(v.Yes, roaring.And(v.Maybe, matched))
	v.Maybe = roaring.AndNot(roaring.AndNot(v.Maybe, decided), v.Yes)
	return answer{v, roaring.And(opened, late)}
}

// dividedBy finds the slice that t cuts in two.
func (ix *Index) dividedBy(t time.Time) (int, bool) {
	i, ok := ix.sliceOf(t)
	return i, ok && !ix.bounds[i].Equal(t)
}

// larger answers "more than n bytes", or its opposite: by the exact size of what was read, else by the steps of the ladder around n. A
// step's set may lack messages of a byte more than the step, so that its complement alone proves nothing of those at the edge.
func (e *evaluator) larger(n int64, key string, opposite bool) answer {
	ix, live := e.ix, e.ix.live
	v := Verdict{roaring.New(), live}
	steps := ix.ladder()
	i, _ := slices.BinarySearch(steps, n)
	if i < len(steps) {
		above, _ := e.dim(LargerDimension(steps[i]))
		v.Yes = above.Yes
		v.Maybe = roaring.AndNot(live, above.Yes)
	}
	if i == len(steps) || steps[i] != n {
		i--
	}
	if i >= 0 {
		below, _ := e.dim(LargerDimension(steps[i]))
		v.Maybe = roaring.And(v.Maybe, below.possible())
	}
	if opposite && i < len(steps) && i >= 0 && steps[i] == n {
		edge, _ := e.dim(EdgeDimension)
		v.Maybe = roaring.Or(v.Maybe, roaring.AndNot(edge.possible(), v.Yes))
	}
	v = ix.sized(v, n)
	if opposite {
		v = v.not(live)
	}
	return e.known(v, key)
}

// sized puts the exact sizes over a verdict about "more than n bytes".
func (ix *Index) sized(v Verdict, n int64) Verdict {
	known, more := ix.words(), ix.words()
	for row, size := range ix.sizes.all() {
		known.set(row)
		if int64(size) > n {
			more.set(row)
		}
	}
	k := known.bitmap()
	return Verdict{
		Yes:   roaring.And(roaring.Or(roaring.AndNot(v.Yes, k), more.bitmap()), ix.live),
		Maybe: roaring.AndNot(v.Maybe, k),
	}
}

// foldPattern is an address or @domain as it is compared; a bare domain gets its @.
func foldPattern(pattern string) string {
	pattern = strings.ToLower(strings.TrimSpace(pattern))
	if pattern != "" && !strings.Contains(pattern, "@") {
		return "@" + pattern
	}
	return pattern
}

// matchesSender: an address matches itself, @domain the addresses of the domain and of its sub-domains.
func matchesSender(pattern, address string) bool {
	if !strings.HasPrefix(pattern, "@") {
		return pattern == address
	}
	_, domain, _ := strings.Cut(address, "@")
	return domain == pattern[1:] || strings.HasSuffix(domain, "."+pattern[1:])
}

// from answers a sender leaf. Read messages are exact. A message that a sweep gave to a sender is taken for the sender's (callers read
// a sample, see Selection.Unverified), but for an address that nobody has met. Of the others Gmail's search for the pattern tells which do not
// match; a superset does not tell which do.
func (e *evaluator) from(pattern, key string) answer {
	pattern = foldPattern(pattern)
	mine, wider := e.sendersLike(pattern)
	e.splitSenders()
	read, live := e.ix.read, e.ix.live
	unknown := roaring.Or(e.unknown, e.claimed(pattern))
	in, covered, exact, ok := e.search(pattern, key)
	if !ok {
		return answer{Verdict{roaring.And(mine, live), unknown}, unknown}
	}
	sweptMine := roaring.And(mine, e.swept)
	outside := roaring.AndNot(roaring.And(sweptMine, covered), in)
	yes := roaring.Or(roaring.And(mine, read), roaring.AndNot(sweptMine, outside))
	open := roaring.AndNot(unknown, covered)
	maybe := roaring.Or(open, outside)
	inUnknown := roaring.And(e.unknown, in)
	if exact {
		yes.Or(inUnknown)
	} else {
		maybe.Or(inUnknown)
	}
	strays := roaring.AndNot(roaring.AndNot(roaring.And(e.swept, in), mine), wider)
	maybe.Or(strays)
	maybe.AndNot(yes)
	return answer{Verdict{roaring.And(yes, live), roaring.And(maybe, live)}, open}
}

// search gives Gmail's result for a sender pattern: the rows in it, and those of which it speaks.
func (e *evaluator) search(pattern, key string) (in, covered *roaring.Bitmap, exact, ok bool) {
	if l, listed := e.listed[key]; listed {
		return l.Rows, roaring.AndNot(e.ix.live, e.late(l)), !l.Superset, true
	}
	if d := e.ix.dims[fromPrefix+pattern]; d != nil {
		return d.yes, roaring.AndNot(e.ix.live, d.unknown), false, true
	}
	return nil, nil, false, false
}

// claimed is what searches for others may have taken from an address that nobody has met yet: theirs list its mail too.
func (e *evaluator) claimed(pattern string) *roaring.Bitmap {
	rows := roaring.New()
	if _, met := e.ix.byAddr[pattern]; met || strings.HasPrefix(pattern, "@") {
		return rows
	}
	for _, n := range e.ix.finders(pattern) {
		rows.AddMany(e.bySender()[n])
	}
	return roaring.And(rows, e.swept)
}

// sendersLike gives the rows of the senders that match a pattern, and of those whose address holds its words and more as a run, so that
// Gmail's search for the pattern lists their mail too, and theirs none of the pattern's.
func (e *evaluator) sendersLike(pattern string) (match, wider *roaring.Bitmap) {
	rows := e.bySender()
	match, wider = roaring.New(), roaring.New()
	words := tokens(pattern)
	for n := 1; n < len(e.ix.people); n++ {
		address := e.ix.people[n].address
		switch {
		case matchesSender(pattern, address):
			match.AddMany(rows[n])
		case len(words) > 0 && strings.Contains(address, words[0]) && runsWithin(words, tokens(address)):
			wider.AddMany(rows[n])
		}
	}
	return match, wider
}

// bySender groups the live rows by sender.
func (e *evaluator) bySender() [][]uint32 {
	if e.perSend != nil {
		return e.perSend
	}
	counts := make([]int, len(e.ix.people))
	for _, n := range e.ix.senders {
		counts[n]++
	}
	flatRows := make([]uint32, len(e.ix.senders))
	e.perSend = make([][]uint32, len(counts))
	at := 0
	for n, count := range counts {
		e.perSend[n] = flatRows[at:at:(at + count)]
		at += count
	}
	live := flat(e.ix.live)
	for row, n := range e.ix.senders {
		if live.has(uint32(row)) {
			e.perSend[n] = append(e.perSend[n], uint32(row))
		}
	}
	return e.perSend
}

func (e *evaluator) splitSenders() {
	if e.unknown != nil {
		return
	}
	e.unknown = roaring.BitmapOf(e.bySender()[0]...)
	e.swept = roaring.AndNot(roaring.AndNot(e.ix.live, e.ix.read), e.unknown)
}
