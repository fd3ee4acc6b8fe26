package cleanup

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// reversal is one undo at work.
type reversal struct {
	*work
	run    store.RunRow
	period bool // the run was charged to the period that is running: the quota comes back
	groups []group
	whole  bool // all that is to be restored is in asked
	set    int
	order  ids // all that the run changed
	gone   table[bool]
	moved  table[bool] // changed since: somebody else decided, we leave it
	mine   table[bool] // in a batch of an earlier claim of this undo
	booked table[bool] // charged by the run: what was changed and never charged gives no quota back
	asked  map[int]group
	mu     sync.Mutex
	done   map[int]bool
}

// undo reverses the labels that a run changed, on messages that are still as the run left them.
func (w *work) undo(ctx, hear context.Context) error {
	r := &reversal{work: w, asked: map[int]group{}, done: map[int]bool{}}
	if err := r.load(ctx); err != nil {
		return err
	}
	err := r.reverse(hear)
	switch cause := w.beat.reason(); {
	case errors.Is(cause, errCanceled) && errors.Is(err, context.Canceled) && len(r.asked) > 0:
		return r.settle(ctx)
	case err != nil:
		return err
	case cause != nil && !errors.Is(cause, errCanceled):
		return cause // not over: another claim goes on
	}
	return r.settle(ctx)
}

func (r *reversal) reverse(ctx context.Context) error {
	if err := r.look(ctx); err != nil {
		return err
	}
	r.plan()
	return r.restoreAll(ctx)
}

// load reads the run, what it changed, and what an earlier claim of this undo restored.
func (r *reversal) load(ctx context.Context) error {
	var of, own []store.Batch
	err := r.DB.Tenant(ctx, r.c.CustomerID, func(tx *store.Tx) (err error) {
		if r.run, err = tx.Run(r.c.UndoOf); err != nil {
			return err
		}
		charged, err := tx.Job(r.c.UndoOf)
		if err != nil {
			return err
		}
		r.period = sweep.PeriodAt(charged.CreatedAt) == sweep.PeriodAt(r.c.Period)
		if of, err = tx.Batches(r.c.UndoOf); err != nil {
			return err
		}
		own, err = tx.Batches(r.c.ID)
		return err
	})
	if err != nil {
		return err
	}
	sets := make([]batchSet, len(of))
	for i, b := range of {
		if err := unseal(r.box, b.IDs, batchPart(r.c.UndoOf, b.N), &sets[i]); err != nil {
			return err
		}
		of[i].IDs = nil
		r.order = append(r.order, sets[i].ids()...)
	}
	slices.Sort(r.order)
	r.order = slices.Compact(r.order)
	r.gone, r.moved, r.mine, r.booked = over[bool](r.order), over[bool](r.order), over[bool](r.order), over[bool](r.order)
	for i, set := range sets {
		r.take(set, of[i].Done)
	}
	slices.SortFunc(r.groups, func(a, b group) int { return len(b.IDs) - len(a.IDs) })
	return r.resume(own)
}

// take adds what a batch of the run has changed, and what of it was charged.
func (r *reversal) take(set batchSet, charged bool) {
	for _, g := range set.Groups {
		if g.Moved {
			r.leave(g)
		}
		like := group{Added: g.Added, Removed: g.Removed}
		i := slices.IndexFunc(r.groups, like.like)
		if i < 0 {
			i = len(r.groups)
			r.groups = append(r.groups, like)
		}
		r.groups[i].IDs = append(r.groups[i].IDs, g.IDs...)
		for _, id := range g.IDs {
			if charged && !g.Free {
				r.booked.put(id, true)
			}
		}
	}
}

// resume reads the batches of an earlier claim: they are what this undo asks for, also now.
func (r *reversal) resume(own []store.Batch) error {
	for _, b := range own {
		var g group
		if err := unseal(r.box, b.IDs, batchPart(r.c.ID, b.N), &g); err != nil {
			return err
		}
		r.asked[b.N], r.done[b.N] = g, b.Done
		for _, id := range g.IDs {
			r.mine.put(id, true)
		}
	}
	for _, g := range r.groups {
		r.set += len(g.IDs)
	}
	return nil
}

// restoreAll gives the labels back in batches of one group each: undo is split by what each message lost.
func (r *reversal) restoreAll(ctx context.Context) error {
	r.beat.phase("restoring", r.set)
	g, failed := errgroup.WithContext(ctx)
	g.SetLimit(inFlight)
	before := maps.Clone(r.done)
	for _, n := range slices.Sorted(maps.Keys(r.asked)) {
		batch := r.asked[n]
		if before[n] {
			r.beat.advance(len(batch.IDs))
			continue
		}
		g.Go(safely(func() error {
			if failed.Err() != nil || r.beat.reason() != nil {
				return nil
			}
			return r.restore(ctx, n, batch)
		}))
	}
	return g.Wait()
}

// plan cuts what is to be restored, beside the batches of an earlier claim, into batches.
func (r *reversal) plan() {
	n := 0
	for taken := range r.asked {
		n = max(n, taken+1)
	}
	for _, g := range r.groups {
		keep := slices.DeleteFunc(slices.Clone(g.IDs), func(id sweep.MessageID) bool { return r.gone.at(id) || r.moved.at(id) || r.mine.at(id) })
		for part := range slices.Chunk(keep, sweep.BatchSize) {
			r.asked[n] = group{Added: g.Added, Removed: g.Removed, IDs: slices.Clone(part)}
			n++
		}
	}
	r.whole = true
}

func (r *reversal) restore(ctx context.Context, n int, g group) (err error) {
	defer r.batched(time.Now(), &err)
	sealed, err := seal(r.box, g, batchPart(r.c.ID, n))
	if err != nil {
		return err
	}
	if err := r.DB.BeginBatch(ctx, r.c, n, sealed, len(g.IDs), r.c.Now); err != nil {
		return err
	}
	back := 0
	err = r.mbox.Modify(ctx, g.IDs, g.Removed, g.Added)
	switch {
	case errors.Is(err, gmail.ErrLabelGone): // whoever deleted the label took it from the messages
		r.leave(g)
	case err != nil:
		return err
	case r.period:
		for _, id := range g.IDs {
			if r.booked.at(id) {
				back++
			}
		}
	}
	r.mu.Lock()
	r.done[n] = true
	r.mu.Unlock()
	r.beat.advance(len(g.IDs))
	return r.DB.GiveBack(context.WithoutCancel(ctx), r.c, n, back, r.c.Now)
}

func (r *reversal) leave(g group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range g.IDs {
		r.moved.put(id, true)
	}
}

// settle proves what came back and ends the job.
func (r *reversal) settle(ctx context.Context) error {
	asked := over[*group](r.order)
	whole := r.whole
	for n, g := range r.asked {
		whole = whole && r.done[n]
		for _, id := range g.IDs {
			if r.done[n] && !r.moved.at(id) {
				asked.put(id, &g)
			}
		}
	}
	ix, restored, err := r.confirmed(ctx, &asked)
	if err != nil {
		return err
	}
	res := sweep.UndoResult{Restored: restored, ChangedSince: r.moved.n, AlreadyGone: r.gone.n + asked.n - restored}
	if err := r.dropLabel(ctx); err != nil {
		return err
	}
	res.UnitsSpent = r.beat.spent()
	e := store.Ending{State: sweep.Succeeded}
	if !whole {
		e.State = sweep.Canceled // what is left can be undone by another undo
	}
	return r.finish(ctx, res, e, func(tx *store.Tx) error {
		if ix != nil {
			if err := saveIndex(tx, r.box, r.target.Mailbox, ix); err != nil {
				return err
			}
		}
		if err := r.audit(tx, "job.undone", map[string]any{"state": e.State, "restored": res.Restored, "already_gone": res.AlreadyGone, "changed_since": res.ChangedSince}); err != nil {
			return err
		}
		if !whole || r.gone.n == r.set {
			return nil // an undo that finds nothing may have looked at the wrong time: the run can be undone again
		}
		return tx.Undone(r.run.Job, r.c.ID, res)
	})
}

// confirmed counts the messages that Gmail's history shows restored; all of them where there is no such history. The index follows
// the same history, so that senders and counts show the mailbox as it is again; nil when it cannot.
func (r *reversal) confirmed(ctx context.Context, asked *table[*group]) (ix *mailindex.Index, restored int, err error) {
	if r.run.HistoryTo == 0 {
		return nil, asked.n, nil
	}
	err = r.DB.Tenant(ctx, r.c.CustomerID, func(tx *store.Tx) (err error) {
		ix, err = loadIndex(tx, r.box, r.target.Mailbox)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	if ix != nil && ix.HistoryID < r.run.HistoryTo {
		ix = nil // it would miss what came in between; the next job follows from where it stands
	}
	back := over[bool](r.order)
	end, err := r.mbox.History(ctx, r.run.HistoryTo, func(changes []mailindex.Change) error {
		for _, c := range changes {
			if g := asked.at(c.ID); g != nil && len(common(c.Added, g.Removed))+len(common(c.Removed, g.Added)) > 0 {
				back.put(c.ID, true)
			}
		}
		if ix != nil {
			ix.Apply(changes)
		}
		return nil
	})
	if errors.Is(err, gmail.ErrHistoryGone) {
		return nil, asked.n, nil
	}
	if ix != nil {
		ix.HistoryID = max(ix.HistoryID, end)
	}
	return ix, back.n, err
}

// dropLabel removes a label that the run made, once nothing carries it.
func (r *reversal) dropLabel(ctx context.Context) error {
	if !r.run.LabelMade || r.run.LabelID == "" {
		return nil
	}
	counts, err := r.mbox.LabelCounts(ctx, r.run.LabelID)
	if err != nil || counts.Messages > 0 {
		return nil // gone already, or in use: both are fine
	}
	return r.mbox.DeleteLabel(ctx, r.run.LabelID)
}
