package mailindex

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// person is one From address.
type person struct {
	address, name string
	lists         []sweep.MailingList
	unsubscribe   sweep.UnsubscribeMethod
	swept         uint32 // how many rows there were when a from: search for the address was listed whole
}

// Header is what was read of one message. Address is the lower-cased addr-spec of the first From, "" when there is none.
type Header struct {
	Address     string
	Name        string
	ListID      string // as ParseListID gives it
	Unsubscribe sweep.UnsubscribeMethod
	Size        int64     // Gmail's sizeEstimate in bytes; 0: unknown
	Date        time.Time // Gmail's internalDate; zero: unknown
}

// Learn takes in the headers of a message that was read: from now on its sender and size, and its date when given, are exact. Where it
// is somebody else's than a search said, that search is no longer believed: what nobody read of it has no sender again. Learn is false
// when there is no such message.
func (ix *Index) Learn(id sweep.MessageID, h Header) bool {
	row, ok := ix.Row(id)
	if !ok {
		return false
	}
	ix.learned = true
	n := ix.person(h.Address)
	ix.describe(n, h)
	ix.meet(n)
	ix.settle(row, n)
	if h.Size > 0 {
		ix.sizes.set(row, uint32(min(h.Size, math.MaxUint32)))
	}
	ix.learnDate(row, h.Date)
	return true
}

// describe adds what a header says of its sender.
func (ix *Index) describe(n uint32, h Header) {
	p := &ix.people[n]
	if p.name == "" {
		p.name = h.Name
	}
	p.describeList(h.ListID, h.Unsubscribe)
	p.unsubscribe = easier(p.unsubscribe, h.Unsubscribe)
}

// settle says that a message was read and is sender n's.
func (ix *Index) settle(row, n uint32) {
	if was := ix.senders[row]; was != n && !ix.read.Contains(row) {
		ix.distrust(was)
	}
	ix.senders[row] = n
	ix.read.Add(row)
	ix.disputed.Remove(row)
}

func (ix *Index) learnDate(row uint32, t time.Time) {
	s := t.Unix()
	if t.IsZero() || s <= 0 || s > math.MaxUint32 {
		return
	}
	ix.dates.set(row, uint32(s))
	ix.fresh.Remove(row)
	if i, ok := ix.sliceOf(t); ok {
		ix.slices[row] = uint16(i)
	}
}

// easier keeps the easiest way to unsubscribe that any message of a sender offered.
func easier(a, b sweep.UnsubscribeMethod) sweep.UnsubscribeMethod {
	rank := []sweep.UnsubscribeMethod{sweep.OneClick, sweep.Mailto, sweep.Link, sweep.NoWay, ""}
	if slices.Index(rank, b) < slices.Index(rank, a) && slices.Contains(rank, b) {
		return b
	}
	return a
}

// person gives the number of an address, making it known.
func (ix *Index) person(address string) uint32 {
	address = strings.ToLower(address)
	n, ok := ix.byAddr[address]
	if !ok {
		n = ix.name(person{address: address, unsubscribe: sweep.NoWay})
	}
	return n
}

// Unattributed counts the messages outside spam and trash whose sender is not known.
func (ix *Index) Unattributed() int { return int(ix.unknownSenders(ix.counted()).GetCardinality()) }

func (ix *Index) unknownSenders(of *roaring.Bitmap) *roaring.Bitmap {
	w := ix.words()
	for row, n := range ix.senders {
		if n == 0 {
			w.set(uint32(row))
		}
	}
	return roaring.And(w.bitmap(), of)
}

// UnknownIn is the messages of a dimension that Unattributed counts.
func (ix *Index) UnknownIn(dimension string) []sweep.MessageID {
	d := ix.dims[dimension]
	if d == nil {
		return nil
	}
	return ix.IDs(ix.unknownSenders(roaring.And(d.yes, ix.counted())), OldestFirst)
}

// NextUnknown picks at most n messages without a known sender to read next. They are drawn by chance within each category, as a
// random message leads to a sender in proportion to its mail; categories take turns by how much a read there may gain.
func (ix *Index) NextUnknown(n int, r *rand.Rand) []sweep.MessageID {
	strata := ix.strata()
	total := 0.0
	for _, s := range strata {
		total += s.gain
	}
	var out []sweep.MessageID
	for i, s := range strata {
		share := int(math.Ceil(float64(n) * s.gain / total))
		if i == len(strata)-1 {
			share = n
		}
		for range min(share, n-len(out), len(s.rows)) {
			k := r.IntN(len(s.rows))
			out = append(out, ix.ids[s.rows[k]])
			s.rows[k] = s.rows[len(s.rows)-1]
			s.rows = s.rows[:len(s.rows)-1]
		}
	}
	return out
}

type stratum struct {
	rows []uint32
	gain float64
}

// strata splits the unattributed messages by category, largest expected gain first. Bulk mail comes from few senders, personal
// mail from many: a read in a bulk category is taken to lead to twice as much.
func (ix *Index) strata() (out []stratum) {
	left := ix.unknownSenders(ix.counted())
	for _, c := range []sweep.Category{sweep.Promotions, sweep.Updates, sweep.Social, sweep.Forums} {
		if d := ix.dims[LabelDimension(c.CategoryLabel())]; d != nil {
			rows := roaring.And(left, d.yes)
			left.AndNot(rows)
			out = append(out, stratum{rows.ToArray(), 2 * float64(rows.GetCardinality())})
		}
	}
	out = append(out, stratum{left.ToArray(), float64(left.GetCardinality())})
	out = slices.DeleteFunc(out, func(s stratum) bool { return len(s.rows) == 0 })
	slices.SortStableFunc(out, func(a, b stratum) int { return cmp.Compare(b.gain, a.gain) })
	return out
}
