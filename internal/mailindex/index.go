package mailindex

import (
	"slices"
	"sort"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// Index is one mailbox as of its last listing and the history applied since. Its rows are dense numbers that live as long as it
// does: store message ids, never rows. Reads may run side by side; changes need the caller's lock.
type Index struct {
	AsOf       time.Time // of the last full listing
	HistoryID  uint64    // up to which Gmail's history is in
	Categories bool      // false: the mailbox has no category labels
	Version    int64     // of the stored form it was read from; kept by the caller, not encoded

	bounds  []time.Time // date slice i is [bounds[i], bounds[i+1])
	ids     []sweep.MessageID
	roots   []uint32 // of their threads
	strays  []sweep.ThreadID
	slices  []uint16 // noSlice: not placed yet
	dates   column   // epoch seconds of messages that were read
	sizes   column   // bytes of messages that were read
	senders []uint32 // number in people, 0: unknown

	sorted   int // rows below it are in the order of their ids
	tail     map[sweep.MessageID]uint32
	live     *roaring.Bitmap
	read     *roaring.Bitmap // headers read: sender, size and maybe date are exact
	fresh    *roaring.Bitmap // neither slice nor date
	bare     *roaring.Bitmap // labels unknown
	disputed *roaring.Bitmap // claimed by the searches for two senders: only reading tells whose
	dims     map[string]*dimension
	labels   []Label
	learned  bool // something is known that the stored form does not say
	labeled  bool // SetLabels was called: a label that is not in the table is newer than it
	people   []person
	byAddr   map[string]uint32
	byWords  map[string][]uint32 // by the words of the address, as Gmail's search cuts them; nil until asked for
}

const (
	noSlice  = ^uint16(0)
	maxSlice = int(noSlice) - 1
)

// Ref is one result of a listing.
type Ref struct {
	ID     sweep.MessageID
	Thread sweep.ThreadID
}

// AgeCuts are the ages in days that reports and suggestions ask about. When the index's bounds include now − d for each of them
// (now in UTC, truncated to the second), their counts are exact.
func AgeCuts() []int { return []int{7, 30, 60, 90, 365} }

// Ladder is the sizes in bytes worth listing as dimensions "larger:<bytes>", ascending.
func Ladder() []int64 {
	return []int64{64 << 10, 100 << 10, 160 << 10, 250 << 10, 500 << 10, 1 << 20, 2 << 20, 5 << 20, bigMail, 20 << 20}
}

func newIndex(bounds []time.Time, rows int) *Index {
	ix := &Index{
		Categories: true, learned: true, bounds: bounds, sorted: rows,
		ids: make([]sweep.MessageID, 0, rows), roots: make([]uint32, 0, rows), slices: make([]uint16, 0, rows), senders: make([]uint32, rows),
		tail: map[sweep.MessageID]uint32{}, live: roaring.New(), read: roaring.New(), fresh: roaring.New(), bare: roaring.New(), disputed: roaring.New(),
		dims: map[string]*dimension{}, people: make([]person, 1), byAddr: map[string]uint32{},
	}
	ix.dims[LabelDimension(sweep.LabelSpam)] = newDimension()
	ix.dims[LabelDimension(sweep.LabelTrash)] = newDimension()
	return ix
}

// Len counts the messages that exist, spam and trash included.
func (ix *Index) Len() int { return int(ix.live.GetCardinality()) }

// Begins is about when the mailbox's mail begins: hardly any has arrived earlier. Zero for an empty one.
func (ix *Index) Begins() time.Time {
	if ix.sorted == 0 {
		return time.Time{}
	}
	return ix.ids[ix.sorted/100].Time()
}

// Learned says whether the index knows anything that it did not when it was decoded. Where Gmail's history is at counts as nothing.
func (ix *Index) Learned() bool { return ix.learned }

// Live is the set of messages that exist.
func (ix *Index) Live() *roaring.Bitmap { return ix.live.Clone() }

// Fresh is the messages outside spam and trash that history added since the last listing: their labels are known, their dates are not.
func (ix *Index) Fresh() *roaring.Bitmap { return roaring.AndNot(ix.fresh, ix.hidden()) }

// Bounds are the ends of the date slices, ascending.
func (ix *Index) Bounds() []time.Time { return slices.Clone(ix.bounds) }

// Row finds a message that exists.
func (ix *Index) Row(id sweep.MessageID) (uint32, bool) {
	row, ok := ix.anyRow(id)
	return row, ok && ix.live.Contains(row)
}

// anyRow also finds messages that were deleted.
func (ix *Index) anyRow(id sweep.MessageID) (uint32, bool) {
	if i, ok := slices.BinarySearch(ix.ids[:ix.sorted], id); ok {
		return uint32(i), true
	}
	row, ok := ix.tail[id]
	return row, ok
}

// Rows gives the set of the ids that exist; others are left out.
func (ix *Index) Rows(ids []sweep.MessageID) *roaring.Bitmap {
	rows, _ := ix.find(ids)
	return rows
}

func (ix *Index) find(ids []sweep.MessageID) (rows *roaring.Bitmap, missing int) {
	w := ix.words()
	for _, id := range ids {
		if row, ok := ix.Row(id); ok {
			w.set(row)
		} else {
			missing++
		}
	}
	return w.bitmap(), missing
}

// Order is how ids are listed.
type Order int

// By date slice, within it by id.
const (
	OldestFirst Order = iota
	NewestFirst
)

// IDs lists the messages of a set.
func (ix *Index) IDs(rows *roaring.Bitmap, o Order) []sweep.MessageID {
	list := rows.ToArray()
	sort.Slice(list, func(i, j int) bool { return ix.older(list[i], list[j]) })
	if o == NewestFirst {
		slices.Reverse(list)
	}
	out := make([]sweep.MessageID, len(list))
	for i, row := range list {
		out[i] = ix.ids[row]
	}
	return out
}

// older orders rows by date slice, then id; what has no slice yet is newest.
func (ix *Index) older(a, b uint32) bool {
	if x, y := ix.slices[a], ix.slices[b]; x != y {
		return x < y
	}
	return ix.ids[a] < ix.ids[b]
}

// sliceOf finds the slice that holds t.
func (ix *Index) sliceOf(t time.Time) (int, bool) {
	i := sort.Search(len(ix.bounds), func(i int) bool { return ix.bounds[i].After(t) }) - 1
	return i, i >= 0 && i < len(ix.bounds)-1
}

// add appends a row without slice, labels unknown.
func (ix *Index) add(id sweep.MessageID, thread sweep.ThreadID) uint32 {
	row := uint32(len(ix.ids))
	ix.roots, ix.ids = append(ix.roots, ix.rootOf(row, id, thread)), append(ix.ids, id)
	ix.slices, ix.senders = append(ix.slices, noSlice), append(ix.senders, 0)
	ix.tail[id] = row
	ix.live.Add(row)
	ix.fresh.Add(row)
	ix.bare.Add(row)
	for _, d := range ix.dims {
		d.unknown.Add(row)
	}
	return row
}

// words is a set of rows laid out flat, for loops over every row.
type words []uint64

func (ix *Index) words() words { return make(words, (len(ix.ids)+63)/64) }

func (w words) set(row uint32)      { w[row/64] |= 1 << (row % 64) }
func (w words) has(row uint32) bool { return int(row/64) < len(w) && w[row/64]&(1<<(row%64)) != 0 }

func (w words) bitmap() *roaring.Bitmap { return roaring.FromDense(w, true) }

func flat(b *roaring.Bitmap) words { return b.ToDense() }
