package cleanup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// prove reads the rest of the run's history. Without it (consent gone, history expired, Gmail away) what was answered counts as asked: proven
// is false. An error means that the proof has to wait.
func (x *execution) prove(ctx context.Context) (to uint64, proven bool, err error) {
	if x.proof.asked.n == 0 {
		return x.ix.HistoryID, true, nil
	}
	if x.unusable != nil {
		return 0, false, nil
	}
	if x.look.reader == nil { // the claim was stopped before it looked
		x.look.reader = x.mbox.Reader(min(x.run.HistoryFrom, x.ix.HistoryID))
	}
	err = x.catchUp(ctx)
	switch {
	case ctx.Err() != nil && err != nil, errors.As(err, new(*gmail.Wait)):
		return 0, false, err
	case err != nil:
		x.Log.WarnContext(ctx, "no proof by history", "error", err.Error())
		return 0, false, nil
	case x.look.broken:
		return 0, false, nil
	}
	return x.look.reader.At(), true, nil
}

// putBack reverses what was changed although it was protected before our change reached it. What Gmail refuses for good stays changed: not
// charged, told as protected_late, and with the run for its undo. An error means that another claim has to try again.
func (x *execution) putBack(ctx context.Context) (refused, err error) {
	var back batchSet
	for id := range x.proof.late {
		if !x.proof.disturbed(id) {
			back.put(x.reversed(id), id)
		}
	}
	for _, g := range back.Groups {
		for part := range slices.Chunk(g.IDs, sweep.BatchSize) {
			err := x.unusable
			if err == nil {
				err = x.mbox.Modify(ctx, part, g.Added, g.Removed)
			}
			switch {
			case err == nil, errors.Is(err, gmail.ErrLabelGone): // whoever deleted the label took it from the messages
				continue
			case ctx.Err() != nil, errors.As(err, new(*gmail.Wait)), x.work.away(err):
				return nil, err
			}
			x.Log.ErrorContext(ctx, "protected messages were not put back", "messages", len(part), "error", err.Error())
			x.proof.stuck = append(x.proof.stuck, group{Added: g.Removed, Removed: g.Added, IDs: part, Free: true})
			refused = err
		}
	}
	for id := range x.proof.late {
		x.proof.changed.put(id, nil)
		x.skipped[id] = sweep.ProtectedLate
	}
	return refused, nil
}

// reversed is the change that puts a message back. One that somebody has moved to Trash or Spam is not put into the inbox.
func (x *execution) reversed(id sweep.MessageID) group {
	g := x.proof.change(id)
	back := group{Added: g.Removed, Removed: g.Added}
	for _, label := range []string{sweep.LabelSpam, sweep.LabelTrash} {
		if !slices.Contains(g.Added, label) && x.ix.Holds(mailindex.LabelDimension(label), id) {
			back.Added = slices.DeleteFunc(slices.Clone(back.Added), func(l string) bool { return l == sweep.LabelInbox })
		}
	}
	return back
}

// settle proves what was done, corrects the charge downwards, keeps what undo needs, freezes what is left and ends the job.
func (x *execution) settle(ctx context.Context, e store.Ending) error {
	to, proven, err := x.prove(ctx)
	if err != nil {
		return err
	}
	refused, err := x.putBack(ctx)
	if err != nil {
		return err
	}
	if refused != nil && e.State == sweep.Succeeded {
		e = failure(refused)
	}
	x.sortUnanswered(proven)
	if err := x.settleInFlight(ctx); err != nil {
		return err
	}
	left := x.left()
	res := x.outcome(to, proven)
	if e.State == sweep.Succeeded && x.c.Reserved == 0 && len(left) == len(x.set) && len(x.set) > 0 {
		e = store.Ending{State: sweep.Failed, Code: sweep.QuotaExceeded, Detail: "nothing was reserved for this run"}
	}
	return x.finish(ctx, &res, e, func(tx *store.Tx) error { return x.write(tx, &res, &e, to, left) })
}

// sortUnanswered decides about batches whose call nobody answered: what is proven counts, the rest was not asked. Without a proof what was
// answered counts as asked, and what was not stays with the run for its undo, which looks at each message.
func (x *execution) sortUnanswered(proven bool) {
	for n, set := range x.asked {
		switch {
		case x.done[n] && !proven:
			x.believe(set)
		case x.done[n]:
		case proven:
			x.asked[n] = x.effectOf(set)
		default:
			x.unsure[n] = set
			delete(x.asked, n)
		}
	}
}

// believe counts a batch as changed that was answered and cannot be proven.
func (x *execution) believe(set batchSet) {
	for _, id := range set.ids() {
		if !x.proof.late[id] {
			x.proof.changed.put(id, x.proof.asked.at(id))
		}
	}
}

// effectOf is what an unanswered call did, by the proof. Of the rest, what is gone is skipped for that, and the others are left.
func (x *execution) effectOf(set batchSet) (effect batchSet) {
	for _, g := range set.Groups {
		for _, id := range g.IDs {
			if x.proof.changed.at(id) != nil || x.proof.late[id] {
				effect.put(g, id)
			} else if _, exists := x.ix.Row(id); !exists {
				x.skipped[id] = x.whereabouts(id, sweep.AlreadyGone)
			}
		}
	}
	return effect
}

// settleInFlight charges batches whose call was answered by nobody but had an effect.
func (x *execution) settleInFlight(ctx context.Context) error {
	for n, set := range x.asked {
		if all := set.ids(); !x.done[n] && len(all) > 0 {
			if err := x.DB.SettleBatch(ctx, x.c, n, len(all), x.c.Now); err != nil {
				return err
			}
		}
	}
	return nil
}

// left is what the run neither asked for nor had a reason to skip.
func (x *execution) left() (left ids) {
	asked := over[bool](x.order)
	for _, set := range x.asked {
		for _, id := range set.ids() {
			asked.put(id, true)
		}
	}
	for _, id := range x.set {
		if _, skipped := x.skipped[id]; !asked.at(id) && !skipped {
			left = append(left, id)
		}
	}
	return left
}

func (x *execution) outcome(to uint64, proven bool) sweep.ExecuteResult {
	res := sweep.ExecuteResult{CleanupPlanID: sweep.PlanID.Show(x.plan.ID), Planned: len(x.set), Cleaned: x.proof.changed.n,
		Skipped: sweep.Skipped{ByReason: map[sweep.Reason]int{}}, UndoUntil: x.run.UndoUntil,
		Proof: sweep.Proof{HistoryFrom: fmt.Sprint(x.run.HistoryFrom), HistoryTo: fmt.Sprint(to)}, UnitsSpent: x.beat.spent()}
	if proven {
		res.Proof.Confirmed = x.proof.changed.n
	}
	for id, reason := range x.skipped {
		if x.proof.changed.at(id) != nil {
			continue
		}
		if reason == sweep.AlreadyGone {
			res.AlreadyGone++
			continue
		}
		res.Skipped.ByReason[reason]++
	}
	for _, set := range x.asked {
		for _, id := range set.ids() {
			if _, skipped := x.skipped[id]; x.proof.changed.at(id) == nil && !skipped {
				res.AlreadyGone++ // asked, but Gmail's history shows no change: it was gone, or as wanted
			}
		}
	}
	res.Bytes = x.ix.Summary(x.ix.Rows(slices.Collect(x.proof.changed.all())), x.c.Now).Bytes.Estimate
	return res
}

// write is the last transaction of a run: everything a later undo, history page or bill will read.
func (x *execution) write(tx *store.Tx, res *sweep.ExecuteResult, e *store.Ending, to uint64, left ids) error {
	settled, err := tx.SettledOf(x.c.ID)
	if err != nil {
		return err
	}
	if err := tx.Correct(x.c, res.Cleaned-settled); err != nil {
		return err
	}
	if err := x.keepForUndo(tx); err != nil {
		return err
	}
	remainder, err := x.freezeLeft(tx, res.Cleaned > 0, left)
	if err != nil {
		return err
	}
	if !remainder.IsZero() {
		res.RemainderPlanID = sweep.PlanID.Show(remainder)
	}
	if e.Code == sweep.MailboxNeedsReconnect {
		if err := x.lostConsent(tx); err != nil {
			return err
		}
	}
	run := x.run
	run.State, run.Cleaned, run.Skipped, run.AlreadyGone, run.Bytes = e.State, res.Cleaned, res.Skipped.ByReason, res.AlreadyGone, res.Bytes
	run.HistoryTo, run.Confirmed, run.Remainder = to, res.Proof.Confirmed, remainder
	run.UndoUntil = tx.Now.Add(sweep.UndoWindow(run.Action))
	res.UndoUntil = run.UndoUntil
	if err := tx.EndRun(run); err != nil {
		return err
	}
	if err := x.audit(tx, "job.executed", map[string]any{"state": run.State, "cleaned": run.Cleaned, "already_gone": run.AlreadyGone, "skipped": res.Skipped.ByReason, "confirmed": run.Confirmed}); err != nil {
		return err
	}
	if err := x.tellOwner(tx, run); err != nil {
		return err
	}
	if err := x.standingAfter(tx, res); err != nil {
		return err
	}
	return saveIndex(tx, x.box, x.target.Mailbox, x.ix)
}

// keepForUndo rewrites each batch with what really changed.
func (x *execution) keepForUndo(tx *store.Tx) error {
	stuck := map[sweep.MessageID]group{}
	for _, g := range x.proof.stuck {
		for _, id := range g.IDs {
			stuck[id] = g
		}
	}
	for n, set := range x.asked {
		var kept batchSet
		for _, id := range set.ids() {
			if x.proof.changed.at(id) != nil {
				g := x.proof.change(id)
				g.Moved = x.proof.disturbed(id)
				kept.put(g, id)
			} else if g, late := stuck[id]; late {
				kept.put(g, id)
			}
		}
		sealed, err := seal(x.box, kept, batchPart(x.c.ID, n))
		if err != nil {
			return err
		}
		if err := tx.RewriteBatch(x.c.ID, n, sealed); err != nil {
			return err
		}
	}
	return nil
}

// freezeLeft makes what is left a new frozen plan under the old expiry; a run that changed nothing gives its plan back instead.
func (x *execution) freezeLeft(tx *store.Tx, changed bool, left ids) (sweep.ID, error) {
	if !changed {
		return sweep.ID{}, tx.Unconsume(x.plan.ID, x.c.ID)
	}
	if len(left) == 0 || !tx.Now.Before(x.plan.ExpiresAt) {
		return sweep.ID{}, nil
	}
	id, err := sweep.NewID(tx.Now, rand.Reader)
	if err != nil {
		return id, fmt.Errorf("make id: %w", err)
	}
	rows := x.ix.Rows(left)
	sum := x.ix.Summary(rows, x.head.frozenAt())
	p := frozen{row: x.plan, head: x.head, set: left}
	p.row.ID, p.row.Messages, p.row.Bytes, p.row.MadeAt, p.row.MadeBy, p.row.ConsumedBy = id, len(left), sum.Bytes.Estimate, tx.Now, x.c.ID, sweep.ID{}
	p.head.Preview.CleanupPlanID, p.head.Preview.ToClean, p.head.Preview.Bytes = sweep.PlanID.Show(id), len(left), sum.Bytes.Estimate
	p.head.Preview.Matched = len(left) + p.head.Preview.Protected.Total
	p.head.Preview.ByCategory, p.head.Preview.BySender, p.head.Preview.ByAge = sum.ByCategory, sum.BySender, sum.ByAge
	p.head.Preview.Samples = samples(x.ix, left)
	var kept map[sweep.Reason]ids
	if err := unseal(x.box, x.plan.Kept, planPart(x.plan.ID, "kept"), &kept); err != nil {
		return id, err
	}
	if err := x.sealPlan(&p, kept); err != nil {
		return id, err
	}
	return id, tx.InsertPlan(p.row)
}
