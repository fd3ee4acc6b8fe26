package mailindex

import (
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// Message is what the index knows of one message. Date and Size are estimates unless said to be exact; Labels are those that were
// listed; SenderRead is false when the sender comes from a search alone.
type Message struct {
	ID          sweep.MessageID
	Thread      sweep.ThreadID
	Sender      string
	SenderKnown bool
	SenderRead  bool
	Date        time.Time
	DateExact   bool
	Size        int64
	SizeExact   bool
	Labels      []string
}

// Message gives one message; false when there is none. For many, Messages is cheaper.
func (ix *Index) Message(id sweep.MessageID) (Message, bool) {
	if row, ok := ix.Row(id); ok {
		return ix.message(row, ix.sizing()), true
	}
	return Message{}, false
}

// Messages gives the messages of a set, in the order of IDs.
func (ix *Index) Messages(rows *roaring.Bitmap, o Order) []Message {
	size := ix.sizing()
	out := make([]Message, 0, rows.GetCardinality())
	for _, id := range ix.IDs(roaring.And(rows, ix.live), o) {
		if row, ok := ix.Row(id); ok {
			out = append(out, ix.message(row, size))
		}
	}
	return out
}

func (ix *Index) message(row uint32, size sizing) Message {
	m := Message{
		ID: ix.ids[row], Thread: ix.thread(row), Date: ix.around(row), DateExact: ix.dates.at(row) != 0,
		Size: size.of(row), SizeExact: ix.sizes.at(row) != 0, SenderKnown: ix.senders[row] != 0, SenderRead: ix.read.Contains(row),
	}
	m.Sender = ix.people[ix.senders[row]].address
	for name, d := range ix.dims {
		if label, ok := labelOf(name); ok && d.yes.Contains(row) {
			m.Labels = append(m.Labels, label)
		}
	}
	slices.Sort(m.Labels)
	return m
}

// Attributed says whether the message exists and its sender is known.
func (ix *Index) Attributed(id sweep.MessageID) bool {
	row, ok := ix.Row(id)
	return ok && ix.senders[row] != 0
}

// Holds says whether the message exists and is in a dimension that was listed.
func (ix *Index) Holds(name string, id sweep.MessageID) bool {
	row, ok := ix.Row(id)
	d := ix.dims[name]
	return ok && d != nil && d.yes.Contains(row)
}
