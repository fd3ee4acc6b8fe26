package cleanup

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// listEvery is how many units a listing spends between two saves: what a lost worker lists again at most, beside what it had begun.
const listEvery = 2_000

// mostSaved is how many bytes are saved at once, but for the last entry among them: they are in memory three times then.
const mostSaved = 512 << 10

// kept is what a listing has found so far, and a later claim of the job goes on from: whole date ranges and dimensions, never a page.
type kept struct {
	begun
	ranges     map[int]mailindex.Packed
	rows       uint64 // of the index that the ranges make: the sets are of them
	dimensions map[string]*mailindex.Found
}

// begun is what a listing is of.
type begun struct {
	At        time.Time   `json:"at"`         // when it began
	HistoryID uint64      `json:"history_id"` // of before it
	Bounds    []time.Time `json:"bounds"`
}

// entry is one thing that became kept. Sealed one by one, in their order, they are the job's checkpoint: what is found is written once, however
// large the mailbox.
type entry struct {
	Begun *begun            `json:"begun,omitempty"`
	Range int               `json:"range,omitempty"` // of Found
	Found *mailindex.Packed `json:"found,omitempty"`
	Rows  uint64            `json:"rows,omitempty"`
	Name  string            `json:"name,omitempty"` // of Set
	Set   *mailindex.Found  `json:"set,omitempty"`
}

func (k *kept) take(e entry) {
	switch {
	case e.Begun != nil:
		*k = kept{begun: *e.Begun, ranges: map[int]mailindex.Packed{}, dimensions: map[string]*mailindex.Found{}}
	case e.Found != nil:
		k.ranges[e.Range] = *e.Found
	case e.Set != nil:
		k.dimensions[e.Name] = e.Set
	case e.Rows != k.rows:
		k.rows = e.Rows
		clear(k.dimensions)
	}
}

// listing is the mailbox being listed.
type listing struct {
	*work
	mu      sync.Mutex
	kept    kept
	unsaved []entry
	entries int   // that are saved
	size    int   // of the checkpoint with them, in bytes
	spent   int64 // units by the last save
	paged   bool  // a date range took more than a page
}

// listing goes on with what an earlier claim has kept, or begins. What this build cannot read counts as nothing.
func (w *work) listing(historyID uint64) (l *listing, resumed bool) {
	l = &listing{work: w, spent: w.beat.spent()}
	resumed = len(w.c.Checkpoint) > 0 && l.restore(w.c.Checkpoint) == nil
	w.c.Checkpoint = nil
	if !resumed {
		l.kept, l.entries, l.size = kept{}, 0, 0
		l.note(entry{Begun: &begun{At: w.c.Now, HistoryID: historyID, Bounds: sliceBounds(w.c.Now)}})
	}
	return l, resumed
}

// sizeOfLength is the bytes that tell how long an entry is.
const sizeOfLength = 4

func (l *listing) restore(checkpoint []byte) error {
	for rest := checkpoint; len(rest) > 0; l.entries++ {
		if len(rest) < sizeOfLength {
			return io.ErrUnexpectedEOF
		}
		n := binary.BigEndian.Uint32(rest)
		if rest = rest[sizeOfLength:]; uint64(n) > uint64(len(rest)) {
			return io.ErrUnexpectedEOF
		}
		var e entry
		if err := unseal(l.box, rest[:n], entryPart(l.c.ID, l.entries), &e); err != nil {
			return err
		}
		if rest = rest[n:]; l.entries == 0 && e.Begun == nil {
			return io.ErrUnexpectedEOF
		}
		l.kept.take(e)
	}
	l.size = len(checkpoint)
	return nil
}

func entryPart(job sweep.ID, n int) string { return jobPart(job, fmt.Sprintf("listing|%d", n)) }

func (l *listing) note(e entry) {
	l.kept.take(e)
	l.unsaved = append(l.unsaved, e)
}

// onRows drops the sets that are kept of other rows than these.
func (l *listing) onRows(rows uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept.rows != rows {
		l.note(entry{Rows: rows})
	}
}

// missing are those of n ranges that are not kept; the others are shown as done.
func (l *listing) missing(n int) (list []int) {
	for i := range n {
		if found, have := l.kept.ranges[i]; have {
			l.beat.advance(found.Len())
		} else {
			list = append(list, i)
		}
	}
	return list
}

// keep notes what was listed whole, and saves what is not saved yet from time to time.
func (l *listing) keep(ctx context.Context, e entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(e)
	if l.beat.spent()-l.spent < cmp.Or(l.keepEvery, listEvery) {
		return nil
	}
	return l.save(ctx)
}

// save writes behind what is saved. That it does so at the same place again makes it the same where nobody knows whether the first got through.
func (l *listing) save(ctx context.Context) error {
	for len(l.unsaved) > 0 {
		n, more := 0, []byte(nil)
		for ; n < len(l.unsaved) && len(more) < mostSaved; n++ {
			sealed, err := seal(l.box, l.unsaved[n], entryPart(l.c.ID, l.entries+n))
			if err != nil {
				return err
			}
			more = append(binary.BigEndian.AppendUint32(more, uint32(len(sealed))), sealed...)
		}
		l.gotOn.Store(true)
		if err := l.DB.Checkpoint(ctx, l.c, l.size, more); err != nil {
			return err
		}
		l.entries, l.size, l.spent, l.unsaved = l.entries+n, l.size+len(more), l.beat.spent(), l.unsaved[n:]
	}
	return nil
}

// leave saves what there is before the claim ends early, whatever ended it. Should that fail, it is listed again.
func (l *listing) leave(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.save(context.WithoutCancel(ctx)); err != nil {
		l.Log.WarnContext(ctx, "the listing is not kept", "error", err)
	}
}

// refs is a list of messages with their threads.
type refs []mailindex.Ref

// ids are the messages alone.
func (l refs) ids() []sweep.MessageID {
	list := make([]sweep.MessageID, len(l))
	for i, r := range l {
		list[i] = r.ID
	}
	return list
}
