package cleanup

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// A protection counts as of the last look at Gmail's history: one at the start, one after so many batches (10,000 messages) or so long.
const (
	batchesPerLook = 10
	timePerLook    = 10 * time.Second
	inFlight       = 3
)

// execution is one execute at work on its frozen plan.
type execution struct {
	*work
	ix      *mailindex.Index
	plan    store.PlanRow
	head    head
	set     ids // the frozen set; batch n is its n-th thousand
	labelID string
	run     store.RunRow
	asked   map[int]batchSet // per batch, what was or is being asked of Gmail
	done    map[int]bool
	skipped map[sweep.MessageID]sweep.Reason
	touched mailindex.Touched
	looked  bool // history was followed from the freeze on
	anyMay  bool // history did not reach back to the freeze: every message may have changed
}

// batchSet is what one Gmail call changes, by the labels that it takes from the messages: what undo gives back.
type batchSet struct {
	Groups []group `json:"groups"`
}

// group is messages of which the call changes the same labels.
type group struct {
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
	IDs     ids      `json:"ids"`
}

func (b batchSet) ids() (all ids) {
	for _, g := range b.Groups {
		all = append(all, g.IDs...)
	}
	return all
}

// execute does what the plan shows, or less: protections and criteria are looked at again, each skip has its reason.
func (w *work) execute(ctx context.Context) error {
	x, err := w.prepareExecution(ctx)
	if err != nil && (x.ix == nil || x.run.Job.IsZero()) {
		return err // nothing was begun
	}
	if err == nil {
		err = x.sweepAll(ctx)
	}
	var wait *gmail.Wait
	switch cause := w.beat.reason(); {
	case errors.Is(err, store.ErrFenced), errors.As(err, &wait), errors.Is(cause, context.Canceled), errors.Is(cause, errHalted), errors.Is(cause, store.ErrFenced):
		if err == nil {
			err = cause
		}
		return err // not over: another claim goes on
	case err == nil && errors.Is(cause, errCanceled):
		return x.settle(ctx, store.Ending{State: sweep.Canceled})
	case err == nil:
		return x.settle(ctx, store.Ending{State: sweep.Succeeded})
	}
	e := store.Ending{State: sweep.Failed, Code: sweep.CodeOf(err), Detail: "something went wrong on our side"}
	var known *sweep.Error
	if errors.As(err, &known) {
		e.Detail = known.Detail
	}
	w.Log.ErrorContext(ctx, "execute failed", "reason", string(e.Code), "error", err.Error())
	return x.settle(ctx, e)
}

// prepareExecution brings an execution to where batches can be changed. It is returned beside an error too: what an earlier claim began
// has to be settled even when this one gets no further.
func (w *work) prepareExecution(ctx context.Context) (*execution, error) {
	x := &execution{work: w, asked: map[int]batchSet{}, done: map[int]bool{}, skipped: map[sweep.MessageID]sweep.Reason{}}
	if w.c.CleanupPlan.IsZero() {
		if err := x.planNow(ctx); err != nil {
			return x, err
		}
	}
	for _, step := range []func(context.Context) error{x.load, x.look, x.ensureLabel, x.begin} {
		if err := step(ctx); err != nil {
			return x, err
		}
	}
	return x, nil
}

// planNow freezes and stores the plan of an execute that came without one, and refuses to go on if it is larger than was allowed.
func (x *execution) planNow(ctx context.Context) error {
	ix, err := x.current(ctx)
	if err != nil {
		return err
	}
	p, err := x.freeze(ctx, ix, x.params.Spec)
	if err != nil {
		return err
	}
	err = x.DB.Fenced(ctx, x.c, func(tx *store.Tx) error {
		if err := saveIndex(tx, x.box, x.target.Mailbox, ix); err != nil {
			return err
		}
		if err := tx.InsertPlan(p.row); err != nil {
			return err
		}
		return tx.AttachPlan(x.c.ID, p.row.ID)
	})
	if err != nil {
		return err
	}
	x.c.CleanupPlan = p.row.ID
	if p.row.Messages > x.params.MaxMessages && !x.params.Partial {
		return sweep.Errorf(sweep.Conflict, "the criteria match %d messages, more than max_messages: look at cleanup plan %s and execute that", p.row.Messages, sweep.PlanID.Show(p.row.ID))
	}
	return nil
}

// load reads the plan and what an earlier claim of this job did.
func (x *execution) load(ctx context.Context) error {
	var batches []store.Batch
	err := x.DB.Tenant(ctx, x.c.CustomerID, func(tx *store.Tx) (err error) {
		if x.plan, err = tx.Plan(x.c.CleanupPlan); err != nil {
			return err
		}
		if x.run, err = tx.Run(x.c.ID); err != nil && sweep.CodeOf(err) != sweep.NotFound {
			return err
		}
		batches, err = tx.Batches(x.c.ID)
		return err
	})
	if err != nil {
		return err
	}
	if len(x.plan.IDs) == 0 {
		return sweep.Errorf(sweep.PlanExpired, "this cleanup plan expired and its content was deleted")
	}
	if err := unseal(x.box, x.plan.Head, planPart(x.plan.ID, "head"), &x.head); err != nil {
		return err
	}
	if err := unseal(x.box, x.plan.IDs, planPart(x.plan.ID, "ids"), &x.set); err != nil {
		return err
	}
	for _, b := range batches {
		var set batchSet
		if err := unseal(x.box, b.IDs, batchPart(x.c.ID, b.N), &set); err != nil {
			return err
		}
		x.asked[b.N], x.done[b.N] = set, b.Done
	}
	x.labelID = x.run.LabelID
	return nil
}

// look follows Gmail's history since the freeze, or lists the mailbox anew where history does not reach back: never act on a stale
// protection. If that cannot be done the job fails.
func (x *execution) look(ctx context.Context) (err error) {
	if x.ix == nil {
		err = x.DB.Tenant(ctx, x.c.CustomerID, func(tx *store.Tx) (err error) {
			x.ix, err = loadIndex(tx, x.box, x.target.Mailbox)
			return err
		})
		if err != nil {
			return err
		}
	}
	if x.ix != nil {
		since := x.ix.HistoryID // of the last look: only what came since is new
		if !x.looked {
			since = min(x.plan.HistoryID, x.ix.HistoryID)
		}
		x.looked = true
		var t mailindex.Touched
		t, err = x.follow(ctx, x.ix, since)
		x.touched.IDs, x.touched.Threads = append(x.touched.IDs, t.IDs...), append(x.touched.Threads, t.Threads...)
	}
	if x.ix == nil || errors.Is(err, gmail.ErrHistoryGone) {
		x.anyMay = true
		x.ix, err = x.build(ctx)
	}
	return err
}

// ensureLabel finds or makes the label that the action adds.
func (x *execution) ensureLabel(ctx context.Context) error {
	if x.head.Spec.Action != sweep.AddLabel || x.labelID != "" {
		return nil
	}
	if id, ok := x.ix.LabelID(x.head.Spec.Label); ok {
		x.labelID = id
		return nil
	}
	l, err := x.mbox.CreateLabel(ctx, x.head.Spec.Label)
	if err != nil {
		return err
	}
	x.labelID, x.run.LabelMade = l.ID, true
	return x.DB.Fenced(ctx, x.c, func(tx *store.Tx) error { return tx.NoteLabel(x.target.Mailbox, l.ID) })
}

// begin writes the run's row once; its history id is the proof's start, whatever claim goes on later.
func (x *execution) begin(ctx context.Context) error {
	if !x.run.Job.IsZero() {
		return nil
	}
	made := x.run.LabelMade
	x.run = store.RunRow{Job: x.c.ID, Plan: x.plan.ID, Mailbox: x.target.Mailbox, Action: x.plan.Action, Planned: len(x.set), HistoryFrom: x.ix.HistoryID,
		LabelID: x.labelID, LabelMade: made, Actor: x.c.Actor, Why: "requested", UndoUntil: x.c.Now.Add(sweep.UndoWindow(x.plan.Action))}
	return x.DB.Fenced(ctx, x.c, func(tx *store.Tx) error { return tx.StartRun(x.run) })
}

// options are the selection's as of the freeze: ages count from then, protections and the keep list are today's.
func (x *execution) options() mailindex.SelectOptions {
	o := mailindex.SelectOptions{Now: x.head.frozenAt(), KeepList: x.keep, OurLabels: append(x.target.LabelsMade, x.labelID), LabelID: x.labelID}
	if !x.anyMay {
		o.Changed = x.ix.Changed(x.touched)
	}
	return o
}

// recheck looks again at messages of the plan and returns those that are still to be cleaned.
func (x *execution) recheck(ctx context.Context, planned []sweep.MessageID) (map[sweep.MessageID]bool, error) {
	if err := x.knowKeepList(ctx, x.ix, x.head.Spec); err != nil {
		return nil, err
	}
	o := x.options()
	if o.Changed == nil || x.ix.Rows(planned).Intersects(o.Changed) {
		listed, err := x.ask(ctx, x.ix, x.ix.Needs(x.head.Spec, o))
		if err != nil {
			return nil, err
		}
		o.Listed = listed
	}
	rc := x.ix.Recheck(x.head.Spec, o, planned)
	clean := make(map[sweep.MessageID]bool, len(rc.ToClean))
	for _, id := range rc.ToClean {
		clean[id] = true
		delete(x.skipped, id)
	}
	for reason, list := range rc.Skipped {
		for _, id := range list {
			x.skipped[id] = reason
		}
	}
	return clean, nil
}

// sweepAll changes what is left of the plan, some batches at a time with a fresh look before each wave.
func (x *execution) sweepAll(ctx context.Context) error {
	x.beat.phase("cleaning", len(x.set))
	x.beat.advance(x.doneCount())
	looked := time.Now()
	for n := 0; n*sweep.BatchSize < len(x.set); n += batchesPerLook {
		if x.beat.reason() != nil {
			return nil
		}
		if n > 0 || time.Since(looked) > timePerLook {
			if err := x.look(ctx); err != nil {
				return err
			}
			looked = time.Now()
		}
		if err := x.wave(ctx, n, min(n+batchesPerLook, (len(x.set)+sweep.BatchSize-1)/sweep.BatchSize)); err != nil {
			return err
		}
	}
	return nil
}

// wave changes batches from..to-1, three in flight.
func (x *execution) wave(ctx context.Context, from, to int) error {
	members := x.set[from*sweep.BatchSize : min(to*sweep.BatchSize, len(x.set))]
	clean, err := x.recheck(ctx, members)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(inFlight)
	for n := from; n < to; n++ {
		if x.done[n] {
			continue
		}
		set := x.compose(n, clean)
		if len(set.Groups) == 0 {
			x.beat.advance(x.sizeOf(n))
			continue
		}
		x.asked[n] = set
		g.Go(func() error { return x.change(ctx, n, set) })
	}
	return g.Wait()
}

func (x *execution) sizeOf(n int) int {
	return min((n+1)*sweep.BatchSize, len(x.set)) - n*sweep.BatchSize
}

// compose says what the call of batch n changes. A batch that was in flight when its worker died is asked again as it was, less what
// is protected or gone now: what has our change already is ours.
func (x *execution) compose(n int, clean map[sweep.MessageID]bool) (set batchSet) {
	if before, inFlight := x.asked[n]; inFlight {
		for _, g := range before.Groups {
			var keep ids
			for _, id := range g.IDs {
				reason, skipped := x.skipped[id]
				if !skipped || reason == sweep.NoChange {
					keep = append(keep, id)
					delete(x.skipped, id)
				}
			}
			if len(keep) > 0 {
				set.Groups = append(set.Groups, group{g.Added, g.Removed, keep})
			}
		}
		return set
	}
	room := x.room(n)
	var chosen ids
	for _, id := range x.set[n*sweep.BatchSize : n*sweep.BatchSize+x.sizeOf(n)] {
		if clean[id] && len(chosen) < room {
			chosen = append(chosen, id)
		}
	}
	return batchSet{Groups: x.byLabels(chosen)}
}

// room is how many messages the reservation still covers: less than the plan where only a part was reserved.
func (x *execution) room(n int) int {
	left := x.c.Reserved
	for m, set := range x.asked {
		if m != n {
			left -= len(set.ids())
		}
	}
	return max(0, left)
}

// byLabels splits messages by the labels that the action really changes on each.
func (x *execution) byLabels(chosen ids) (groups []group) {
	add, remove := x.plan.Action.Change(x.labelID)
	var have, lack ids
	for _, id := range chosen {
		if len(remove) == 0 || x.ix.Holds(mailindex.LabelDimension(remove[0]), id) {
			have = append(have, id)
		} else {
			lack = append(lack, id)
		}
	}
	if len(have) > 0 {
		groups = append(groups, group{add, remove, have})
	}
	if len(lack) > 0 {
		groups = append(groups, group{add, nil, lack})
	}
	return groups
}

// change is one batch: ids in flight are written, one Gmail call, then progress and ledger together.
func (x *execution) change(ctx context.Context, n int, set batchSet) error {
	if x.beat.reason() != nil {
		return nil
	}
	all := set.ids()
	sealed, err := seal(x.box, set, batchPart(x.c.ID, n))
	if err != nil {
		return err
	}
	if err := x.DB.BeginBatch(ctx, x.c, n, sealed, len(all), x.c.Now); err != nil {
		return err
	}
	add, remove := x.plan.Action.Change(x.labelID)
	if err := x.mbox.Modify(ctx, all, add, remove); err != nil {
		return err
	}
	x.beat.advance(x.sizeOf(n))
	return x.DB.SettleBatch(ctx, x.c, n, len(all), "settle", x.beat.done(), x.c.Now)
}

func (x *execution) doneCount() (n int) {
	for b, done := range x.done {
		if done {
			n += x.sizeOf(b)
		}
	}
	return n
}
