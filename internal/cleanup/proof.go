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

// evidence is what Gmail's own history says about the messages that were asked for.
type evidence struct {
	ix      *mailindex.Index
	asked   map[sweep.MessageID]group
	add     []string
	remove  []string
	protect sweep.Protect
	changed map[sweep.MessageID]group // what really changed on each
	late    map[sweep.MessageID]bool  // protected before our change
	shield  map[sweep.MessageID]bool
	stuck   []group // late, and not put back
}

// note takes changes in the order in which they happened.
func (e *evidence) note(changes []mailindex.Change) error {
	for _, c := range changes {
		if _, ours := e.asked[c.ID]; !ours {
			continue
		}
		added, removed := common(c.Added, e.add), common(c.Removed, e.remove)
		if len(added) == 0 && len(removed) == 0 {
			if e.protect.Starred && slices.Contains(c.Added, sweep.LabelStarred) || e.protect.Important && slices.Contains(c.Added, sweep.LabelImportant) {
				e.shield[c.ID] = true
			}
			continue
		}
		if e.shield[c.ID] && len(e.changed[c.ID].Added)+len(e.changed[c.ID].Removed) == 0 {
			e.late[c.ID] = true
		}
		g := e.changed[c.ID]
		e.changed[c.ID] = group{Added: union(g.Added, added), Removed: union(g.Removed, removed)}
	}
	return nil
}

func common(a, b []string) (both []string) {
	for _, v := range a {
		if slices.Contains(b, v) {
			both = append(both, v)
		}
	}
	return both
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// prove reads the history of the run. Without it (consent gone, history expired, Gmail away) what was answered counts as asked: proven is
// false. An error means that the proof has to wait.
func (x *execution) prove(ctx context.Context) (e evidence, to uint64, proven bool, err error) {
	add, remove := x.plan.Action.Change(x.labelID)
	e = evidence{ix: x.ix, asked: map[sweep.MessageID]group{}, add: add, remove: remove, protect: x.head.Spec.Protect,
		changed: map[sweep.MessageID]group{}, late: map[sweep.MessageID]bool{}, shield: map[sweep.MessageID]bool{}}
	for _, set := range x.asked {
		for _, g := range set.Groups {
			for _, id := range g.IDs {
				e.asked[id] = group{Added: g.Added, Removed: g.Removed}
			}
		}
	}
	if len(e.asked) == 0 {
		return e, x.ix.HistoryID, true, nil
	}
	if x.unusable != nil {
		return e, 0, false, nil
	}
	gap := x.ix.HistoryID < x.run.HistoryFrom // of changes that a look cut short did not come to: the next to follow the index will
	to, err = x.mbox.History(ctx, x.run.HistoryFrom, func(c []mailindex.Change) error {
		x.ix.Apply(c)
		return e.note(c)
	})
	var wait *gmail.Wait
	if errors.As(err, &wait) || err != nil && ctx.Err() != nil {
		return e, 0, false, err
	}
	if err != nil {
		x.Log.WarnContext(ctx, "no proof by history", "error", err.Error())
		return e, 0, false, nil
	}
	if !gap {
		x.ix.HistoryID = max(x.ix.HistoryID, to)
	}
	return e, to, true, nil
}

// putBack reverses what was changed although it was protected before our change reached it. What Gmail refuses for good stays changed: not
// charged, told as protected_late, and with the run for its undo. An error means that another claim has to try again.
func (x *execution) putBack(ctx context.Context, e *evidence) (refused, err error) {
	byChange := map[string]group{}
	for id := range e.late {
		g := e.changed[id]
		key := fmt.Sprint(g.Added, g.Removed)
		byChange[key] = group{Added: g.Added, Removed: g.Removed, IDs: append(byChange[key].IDs, id)}
	}
	for _, g := range byChange {
		for part := range slices.Chunk(g.IDs, sweep.BatchSize) {
			err := x.mbox.Modify(ctx, part, g.Removed, g.Added)
			switch {
			case err == nil, errors.Is(err, gmail.ErrLabelGone): // whoever deleted the label took it from the messages
				continue
			case ctx.Err() != nil, errors.As(err, new(*gmail.Wait)), x.work.away(err):
				return nil, err
			}
			x.Log.ErrorContext(ctx, "protected messages were not put back", "messages", len(part), "error", err.Error())
			e.stuck = append(e.stuck, group{Added: g.Added, Removed: g.Removed, IDs: part, Free: true})
			refused = err
		}
	}
	for id := range e.late {
		delete(e.changed, id)
		x.skipped[id] = sweep.ProtectedLate
	}
	return refused, nil
}

// settle proves what was done, corrects the charge downwards, keeps what undo needs, freezes what is left and ends the job.
func (x *execution) settle(ctx context.Context, e store.Ending) error {
	proof, to, proven, err := x.prove(ctx)
	if err != nil {
		return err
	}
	if proven {
		refused, err := x.putBack(ctx, &proof)
		if err != nil {
			return err
		}
		if refused != nil && e.State == sweep.Succeeded {
			e = failure(refused)
		}
	}
	x.sortUnanswered(&proof, proven)
	if err := x.settleInFlight(ctx); err != nil {
		return err
	}
	left := x.left()
	res := x.outcome(proof, to, proven)
	if e.State == sweep.Succeeded && x.c.Reserved == 0 && len(left) == len(x.set) && len(x.set) > 0 {
		e = store.Ending{State: sweep.Failed, Code: sweep.QuotaExceeded, Detail: "nothing was reserved for this run"}
	}
	return x.finish(ctx, &res, e, func(tx *store.Tx) error { return x.write(tx, &res, &e, proof, to, left) })
}

// sortUnanswered decides about batches whose call nobody answered: proven ones count, the others were not asked. Without a proof what was
// answered counts as asked, and what was not stays with the run for its undo, which looks at each message.
func (x *execution) sortUnanswered(proof *evidence, proven bool) {
	for n, set := range x.asked {
		hit := proven && slices.ContainsFunc(set.ids(), func(id sweep.MessageID) bool { _, ok := proof.changed[id]; return ok })
		if !x.done[n] && !hit {
			x.unsure[n] = set
			delete(x.asked, n)
			continue
		}
		for _, id := range set.ids() {
			if !proven {
				proof.changed[id] = proof.asked[id]
			}
		}
	}
	if !proven {
		return
	}
	for n := range x.unsure {
		x.asked[n] = batchSet{}
	}
}

// settleInFlight charges batches whose call was answered by nobody but had an effect.
func (x *execution) settleInFlight(ctx context.Context) error {
	for n, set := range x.asked {
		if all := set.ids(); !x.done[n] && len(all) > 0 {
			if err := x.DB.SettleBatch(ctx, x.c, n, len(all), "settle", x.c.Now); err != nil {
				return err
			}
		}
	}
	return nil
}

// left is what the run neither asked for nor had a reason to skip.
func (x *execution) left() (left ids) {
	asked := map[sweep.MessageID]bool{}
	for _, set := range x.asked {
		for _, id := range set.ids() {
			asked[id] = true
		}
	}
	for _, id := range x.set {
		if _, skipped := x.skipped[id]; !asked[id] && !skipped {
			left = append(left, id)
		}
	}
	return left
}

func (x *execution) outcome(proof evidence, to uint64, proven bool) sweep.ExecuteResult {
	res := sweep.ExecuteResult{CleanupPlanID: sweep.PlanID.Show(x.plan.ID), Planned: len(x.set), Cleaned: len(proof.changed),
		Skipped: sweep.Skipped{ByReason: map[sweep.Reason]int{}}, UndoUntil: x.run.UndoUntil,
		Proof: sweep.Proof{HistoryFrom: fmt.Sprint(x.run.HistoryFrom), HistoryTo: fmt.Sprint(to)}, UnitsSpent: x.beat.spent()}
	if proven {
		res.Proof.Confirmed = len(proof.changed)
	}
	for id, reason := range x.skipped {
		if _, changed := proof.changed[id]; changed {
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
			_, changed := proof.changed[id]
			if _, skipped := x.skipped[id]; !changed && !skipped {
				res.AlreadyGone++ // asked, but Gmail's history shows no change: it was gone, or as wanted
			}
		}
	}
	res.Bytes = x.ix.Summary(x.ix.Rows(keys(proof.changed)), x.c.Now).Bytes.Estimate
	return res
}

func keys(m map[sweep.MessageID]group) []sweep.MessageID {
	out := make([]sweep.MessageID, 0, len(m))
	for id := range m {
		out = append(out, id)
	}
	return out
}

// write is the last transaction of a run: everything a later undo, history page or bill will read.
func (x *execution) write(tx *store.Tx, res *sweep.ExecuteResult, e *store.Ending, proof evidence, to uint64, left ids) error {
	settled, err := tx.SettledOf(x.c.ID)
	if err != nil {
		return err
	}
	if err := tx.Correct(x.c, res.Cleaned-settled); err != nil {
		return err
	}
	if err := x.keepForUndo(tx, proof); err != nil {
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
	if err := x.standingAfter(tx, res); err != nil {
		return err
	}
	return saveIndex(tx, x.box, x.target.Mailbox, x.ix)
}

// keepForUndo rewrites each batch with what really changed.
func (x *execution) keepForUndo(tx *store.Tx, proof evidence) error {
	stuck := map[sweep.MessageID]group{}
	for _, g := range proof.stuck {
		for _, id := range g.IDs {
			stuck[id] = g
		}
	}
	for n, set := range x.asked {
		var kept batchSet
		for _, id := range set.ids() {
			if g, changed := proof.changed[id]; changed {
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
