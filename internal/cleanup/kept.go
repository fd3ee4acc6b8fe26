package cleanup

import (
	"cmp"
	"context"
	"sync"
	"time"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// listEvery is how many units a listing spends between two saves: what a lost worker lists again at most, beside what it had begun.
const listEvery = 2_000

// kept is what a listing has found so far, and a later claim of the job goes on from: whole date ranges and dimensions, never a page.
type kept struct {
	At         time.Time                   `json:"at"`         // when the listing began
	HistoryID  uint64                      `json:"history_id"` // of before it
	Bounds     []time.Time                 `json:"bounds"`
	Ranges     map[int]mailindex.Packed    `json:"packed"`
	Rows       uint64                      `json:"rows"` // of the index that the ranges make: the sets are of them
	Dimensions map[string]*mailindex.Found `json:"sets"`
}

// listing is the mailbox being listed. Sealed, what is kept of it is the job's checkpoint.
type listing struct {
	*work
	mu    sync.Mutex
	kept  kept
	fresh bool  // something is not saved yet
	saved int64 // units spent by the last save
}

// listing goes on with what an earlier claim has kept, or begins. What this build cannot read counts as nothing.
func (w *work) listing(historyID uint64) (l *listing, resumed bool) {
	l = &listing{work: w, saved: w.beat.spent()}
	if len(w.c.Checkpoint) > 0 && unseal(w.box, w.c.Checkpoint, jobPart(w.c.ID, "listing packed"), &l.kept) == nil && l.kept.Ranges != nil && l.kept.Dimensions != nil {
		return l, true
	}
	l.kept = kept{At: w.c.Now, HistoryID: historyID, Bounds: sliceBounds(w.c.Now), Ranges: map[int]mailindex.Packed{}, Dimensions: map[string]*mailindex.Found{}}
	return l, false
}

// onRows drops the sets that are kept of other rows than these.
func (l *listing) onRows(rows uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept.Rows != rows {
		l.kept.Rows = rows
		clear(l.kept.Dimensions)
	}
}

// missing are those of n ranges that are not kept; the others are shown as done.
func (l *listing) missing(n int) (list []int) {
	for i := range n {
		if found, have := l.kept.Ranges[i]; have {
			l.beat.advance(found.Len())
		} else {
			list = append(list, i)
		}
	}
	return list
}

// keep notes what was listed whole, and saves all of it from time to time.
func (l *listing) keep(ctx context.Context, note func(*kept)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	note(&l.kept)
	l.fresh = true
	if l.beat.spent()-l.saved < cmp.Or(l.keepEvery, listEvery) {
		return nil
	}
	return l.save(ctx)
}

func (l *listing) save(ctx context.Context) error {
	if !l.fresh {
		return nil
	}
	sealed, err := seal(l.box, l.kept, jobPart(l.c.ID, "listing packed"))
	if err != nil {
		return err
	}
	l.fresh, l.saved = false, l.beat.spent()
	l.gotOn.Store(true)
	return l.DB.Checkpoint(ctx, l.c, sealed)
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
