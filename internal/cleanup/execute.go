package cleanup

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// execution is one execute at work on its frozen plan.
type execution struct {
	*work
	ix      *mailindex.Index
	plan    store.PlanRow
	head    head
	set     ids // the frozen set; batch n is its n-th thousand
	order   ids // the same in the order of the ids
	labelID string
	run     store.RunRow
	asked   map[int]batchSet // per batch, what was, is or is about to be asked of Gmail
	done    map[int]bool
	skipped map[sweep.MessageID]sweep.Reason
	away    map[sweep.MessageID]string // in Trash or Spam by a listing, which the index of a new listing does not hold
	unsure  map[int]batchSet           // neither answered nor proven: perhaps not even begun
	look    look
	proof   evidence
	open    bool             // of some messages it cannot be told what they are now: they are left
	anyMay  bool             // history did not reach back to the freeze: every message may have changed
	clean   table[bool]      // of what is left of the plan, as of checked; of no list: nothing is known
	checked int              // what was news by then
	listed  mailindex.Listed // leaves that the index does not know
}

// execute does what the plan shows, or less: protections and criteria are looked at again, each skip has its reason. What hears ends when
// the claim is to stop; the settlement does not.
func (w *work) execute(ctx, hear context.Context) error {
	x := &execution{work: w, asked: map[int]batchSet{}, done: map[int]bool{}, unsure: map[int]batchSet{}, skipped: map[sweep.MessageID]sweep.Reason{}}
	err := x.prepare(ctx, hear)
	if err != nil && (len(x.asked) == 0 || x.ix == nil) {
		return err // nothing was asked of Gmail, by no claim of this job: the plan stays as it is
	}
	if err == nil {
		err = x.sweepAll(hear)
	}
	var wait *gmail.Wait
	switch cause := w.beat.reason(); {
	case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrAway), errors.As(err, &wait), errors.As(err, new(*broken)), w.away(err) && cause == nil, unfinished(cause):
		return cmp.Or(err, cause) // not over: another claim goes on
	case errors.Is(cause, errCanceled):
		return x.settle(ctx, store.Ending{State: sweep.Canceled})
	case err == nil && x.open:
		return x.settle(ctx, failure(sweep.Errorf(sweep.PlanExpired, "what is known of this mailbox does not tell any more which messages are meant: what is left is to be previewed again")))
	case err == nil:
		return x.settle(ctx, store.Ending{State: sweep.Succeeded})
	}
	w.Log.ErrorContext(ctx, "execute failed", "reason", string(sweep.CodeOf(err)), "error", err.Error())
	return x.settle(ctx, failure(err))
}

func (x *execution) prepare(ctx, hear context.Context) error {
	if x.c.CleanupPlan.IsZero() {
		if x.unusable != nil {
			return x.unusable
		}
		if err := x.planNow(hear); err != nil {
			return err
		}
	}
	if err := x.load(ctx); err != nil {
		return err
	}
	if x.unusable != nil {
		return x.unusable
	}
	if n := x.plan.Messages; x.params.MaxMessages > 0 && n > x.params.MaxMessages && !x.params.Partial {
		return sweep.Errorf(sweep.Conflict, "the criteria match %d messages, more than max_messages: look at cleanup plan %s and execute that", n, sweep.PlanID.Show(x.plan.ID))
	}
	if x.ix == nil && len(x.asked) > 0 {
		hear = ctx // to the end, even after a cancel: without an index nothing is settled
	}
	if err := x.lookFirst(hear); err != nil {
		return err
	}
	if err := x.ensureLabel(hear); err != nil {
		return err
	}
	return x.begin(hear)
}

// planNow freezes and stores the plan of an execute that came without one.
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
		if err := tx.AttachPlan(x.c.ID, p.row.ID); err != nil {
			return err
		}
		x.gotOn.Store(true)
		return tx.GotOn(x.c)
	})
	if err != nil {
		return err
	}
	x.c.CleanupPlan = p.row.ID
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
		if batches, err = tx.Batches(x.c.ID); err != nil {
			return err
		}
		x.ix, err = loadIndex(tx, x.box, x.target.Mailbox)
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
	x.order = inOrder(x.set)
	for _, b := range batches {
		var set batchSet
		if err := unseal(x.box, b.IDs, batchPart(x.c.ID, b.N), &set); err != nil {
			return err
		}
		x.asked[b.N], x.done[b.N] = set, b.Done
	}
	x.labelID = x.run.LabelID
	add, remove := x.plan.Action.Change(x.labelID)
	x.proof = newEvidence(x.order, x.run.HistoryFrom, add, remove)
	for _, set := range x.asked {
		x.proof.ask(set)
	}
	return nil
}

// ensureLabel finds or makes the label that the action adds. One that the customer made since the freeze is the customer's.
func (x *execution) ensureLabel(ctx context.Context) error {
	if x.head.Spec.Action != sweep.AddLabel || x.labelID != "" {
		return nil
	}
	labels, err := x.mbox.Labels(ctx)
	if err != nil {
		return err
	}
	for _, l := range labels {
		if strings.EqualFold(l.Name, x.head.Spec.Label) {
			x.labelID, x.run.LabelMade = l.ID, slices.Contains(x.target.LabelsMade, l.ID)
			return nil
		}
	}
	l, err := x.mbox.CreateLabel(ctx, x.head.Spec.Label)
	if err != nil {
		return err
	}
	x.labelID, x.run.LabelMade = l.ID, true
	return x.DB.Fenced(context.WithoutCancel(ctx), x.c, func(tx *store.Tx) error { return tx.NoteLabel(x.target.Mailbox, l.ID) })
}

// begin writes the run's row once; its history id is the proof's start, whatever claim goes on later.
func (x *execution) begin(ctx context.Context) error {
	if !x.run.Job.IsZero() {
		return nil
	}
	made := x.run.LabelMade
	add, remove := x.plan.Action.Change(x.labelID)
	x.proof = newEvidence(x.order, x.ix.HistoryID, add, remove)
	x.run = store.RunRow{Job: x.c.ID, Plan: x.plan.ID, Mailbox: x.target.Mailbox, Action: x.plan.Action, Planned: len(x.set), HistoryFrom: x.ix.HistoryID,
		LabelID: x.labelID, LabelMade: made, Actor: x.c.Actor, Why: "requested", UndoUntil: x.c.Now.Add(sweep.UndoWindow(x.plan.Action))}
	return x.DB.Fenced(ctx, x.c, func(tx *store.Tx) error { return tx.StartRun(x.run) })
}

// options are the selection's as of the freeze: ages count from then, protections and the keep list are today's.
func (x *execution) options() mailindex.SelectOptions {
	o := mailindex.SelectOptions{Now: x.head.frozenAt(), KeepList: x.keep, OurLabels: append(x.target.LabelsMade, x.labelID), LabelID: x.labelID}
	if !x.anyMay {
		o.Changed = x.ix.Changed(x.look.foreign)
	}
	return o
}

// recheck looks again at what is left of the plan from batch n on, if there is news.
func (x *execution) recheck(ctx context.Context, n int) error {
	if x.clean.of != nil && x.checked == x.look.news {
		return nil
	}
	if err := x.knowKeepList(ctx, x.ix, x.head.Spec, x.toTheEnd); err != nil {
		return err
	}
	rest := x.set[n*sweep.BatchSize:]
	o, err := x.withLeaves(ctx, x.options(), rest)
	if err != nil {
		return err
	}
	rc := x.ix.Recheck(x.head.Spec, o, rest)
	x.clean, x.checked = over[bool](x.order), x.look.news
	for _, id := range rc.ToClean {
		x.clean.put(id, true)
		delete(x.skipped, id)
	}
	x.open = x.open || len(rc.Open) > 0
	for reason, list := range rc.Skipped {
		for _, id := range list {
			x.skipped[id] = x.whereabouts(id, reason)
		}
	}
	return nil
}

// withLeaves adds what the index does not know of the leaves: listed once, and again when somebody has touched what is left of the plan since.
func (x *execution) withLeaves(ctx context.Context, o mailindex.SelectOptions, rest ids) (mailindex.SelectOptions, error) {
	rows := x.ix.Rows(rest)
	open := o.Changed == nil || rows.Intersects(o.Changed)
	if open && (x.listed == nil || rows.Intersects(x.ix.Changed(x.look.recent))) {
		listed, err := x.ask(ctx, x.ix, x.ix.Needs(x.head.Spec, o), x.toTheEnd)
		if err != nil {
			return o, err
		}
		x.listed, x.look.recent = listed, mailindex.Touched{}
	}
	o.Listed = x.listed
	return o, nil
}

// whereabouts corrects the reason of a message that the index misses because it lies where listings do not look.
func (x *execution) whereabouts(id sweep.MessageID, reason sweep.Reason) sweep.Reason {
	switch label := x.away[id]; {
	case reason != sweep.AlreadyGone || label == "":
		return reason
	case label == sweep.LabelTrash && x.plan.Action == sweep.Trash:
		return sweep.NoChange
	}
	return sweep.ProtectedSince
}
