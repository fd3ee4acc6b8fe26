package cleanup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// plansAsked is in how many of a customer's plans, the newest, a message is looked for.
const plansAsked = 200

// Why tells, for each plan of the transaction's customer that chose or kept back a message, newest first, why it did and what the run did
// with it. Plans whose content has expired are left out. NotFound when none concerned it.
func (s *Service) Why(tx *store.Tx, message sweep.MessageID) (list []sweep.Why, err error) {
	plans, err := tx.PlanIDs(plansAsked)
	if err != nil {
		return nil, err
	}
	for _, id := range plans {
		row, h, box, err := s.openPlan(tx, id)
		if sweep.CodeOf(err) == sweep.PlanExpired || err == nil && len(row.IDs) == 0 {
			continue
		}
		if err != nil {
			return nil, err
		}
		q := question{tx: tx, box: box, plan: row, head: h, message: message}
		w, concerned, err := q.answer()
		if err != nil {
			return nil, err
		}
		if concerned {
			list = append(list, w)
		}
	}
	if len(list) == 0 {
		return nil, sweep.Errorf(sweep.NotFound, "no cleanup plan of this customer (of the newest %d) concerned this message", plansAsked)
	}
	return list, nil
}

// question is about one message of one plan.
type question struct {
	tx      *store.Tx
	box     *secret.Box
	plan    store.PlanRow
	head    head
	message sweep.MessageID
	changed group // what the run asked of Gmail for the message
}

func (q *question) answer() (w sweep.Why, concerned bool, err error) {
	place, kept, err := q.find()
	if err != nil || place < 0 && kept == "" {
		return w, false, err
	}
	w = sweep.Why{Plan: sweep.PlanID.Show(q.plan.ID), Action: q.plan.Action, FrozenAt: q.head.frozenAt(), Criteria: q.head.Spec.Criteria,
		Chosen: place >= 0, KeptBack: kept, Protections: tested(q.head.Spec, kept)}
	if !q.plan.ConsumedBy.IsZero() && w.Chosen {
		if w.Run, err = q.run(place); err != nil {
			return w, true, err
		}
	}
	w.Leaves, err = q.leaves(w.Run != nil && w.Run.UndoneBy != "")
	return w, true, err
}

// find gives the message's place in the frozen set, -1 if it is not in it, and why it was kept back.
func (q *question) find() (place int, kept sweep.Reason, err error) {
	var set ids
	if err := unseal(q.box, q.plan.IDs, planPart(q.plan.ID, "ids"), &set); err != nil {
		return -1, "", err
	}
	if place = slices.Index(set, q.message); place >= 0 || len(q.plan.Kept) == 0 {
		return place, "", nil
	}
	members, err := planMembers(q.box, q.plan, true)
	for _, m := range members {
		if m.id == q.message {
			kept = m.reason
		}
	}
	return place, kept, err
}

// tested says what each protection said, in the order in which they are tested: the first that applies keeps a message back.
func tested(spec sweep.CleanupSpec, kept sweep.Reason) (list []sweep.WhyProtected) {
	p := spec.Protect
	result := "did not apply"
	for _, t := range []struct {
		name sweep.Reason
		on   bool
	}{{sweep.KeptStarred, p.Starred}, {sweep.KeptReplied, p.Replied}, {sweep.KeptImportant, p.Important}, {sweep.KeptUserLabelled, p.UserLabelled}, {sweep.KeptRecent, p.RecentDays > 0},
		{sweep.KeptKeepList, p.KeepList}, {sweep.KeptSenderUnknown, p.KeepList || spec.KeepNewestPerSender > 0}, {sweep.KeptNewest, spec.KeepNewestPerSender > 0}} {
		said := result
		switch {
		case !t.on:
			said = "switched off"
		case t.name == kept:
			said, result = "kept it back", "not reached: an earlier one kept it back"
		}
		list = append(list, sweep.WhyProtected{Name: t.name, Result: said})
	}
	return list
}

// run tells what the execute of the plan did with the message.
func (q *question) run(place int) (*sweep.WhyRun, error) {
	job := q.plan.ConsumedBy
	run, err := q.tx.Run(job)
	if err != nil {
		return nil, err
	}
	builds, err := q.tx.Builds(job)
	if err != nil {
		return nil, err
	}
	w := &sweep.WhyRun{Job: sweep.JobID.Show(job), State: run.State, Builds: builds, Batch: place / sweep.BatchSize, BatchSize: sweep.BatchSize, UndoUntil: &run.UndoUntil}
	if run.HistoryTo > 0 {
		w.Proof = &sweep.Proof{HistoryFrom: strconv.FormatUint(run.HistoryFrom, 10), HistoryTo: strconv.FormatUint(run.HistoryTo, 10), Confirmed: run.Confirmed}
	}
	if !run.UndoneBy.IsZero() {
		w.UndoneBy = sweep.JobID.Show(run.UndoneBy)
	}
	batches, err := q.tx.Batches(job)
	if err != nil {
		return nil, err
	}
	return w, q.inBatch(w, batches)
}

// inBatch finds the message in its batch. Once the run is settled a batch holds what Gmail's history shows changed, before that what was asked.
func (q *question) inBatch(w *sweep.WhyRun, batches []store.Batch) error {
	w.Did = "not begun: the run has not come to this batch"
	for _, b := range batches {
		if b.N != w.Batch {
			continue
		}
		var set batchSet
		if err := unseal(q.box, b.IDs, batchPart(q.plan.ConsumedBy, b.N), &set); err != nil {
			return err
		}
		w.Did = "left alone: not in its batch, because it was skipped when the run looked at it again or because Gmail's history shows no change of it"
		for _, g := range set.Groups {
			if slices.Contains(g.IDs, q.message) {
				q.changed, w.Added, w.Removed, w.Confirmed = g, g.Added, g.Removed, w.Proof != nil
				w.Did = "asked of Gmail"
				if !b.Done {
					w.Did = "asked of Gmail, not answered yet"
				}
			}
		}
	}
	return nil
}

// leaves answers each leaf of the criteria for the message as it was before the run's change, which the index follows unless it is undone.
func (q *question) leaves(undone bool) (list []sweep.WhyLeaf, err error) {
	ix, err := loadIndex(q.tx, q.box, q.plan.Mailbox)
	if err != nil {
		return nil, err
	}
	if _, known := indexed(ix, q.message); known && !undone {
		ix.Apply([]mailindex.Change{{Kind: mailindex.Labelled, ID: q.message, Added: q.changed.Removed, Removed: q.changed.Added}})
	}
	var walk func(c sweep.Criteria, above []string)
	walk = func(c sweep.Criteria, above []string) {
		for i, k := range c.Kids {
			walk(k, append(slices.Clone(above), fmt.Sprintf("%s[%d]", c.Op, i)))
		}
		if len(c.Kids) == 0 {
			list = append(list, sweep.WhyLeaf{Under: strings.Join(above, " › "), Leaf: mailindex.Key(c), Holds: q.holds(ix, c)})
		}
	}
	walk(q.head.Spec.Criteria, nil)
	return list, nil
}

func indexed(ix *mailindex.Index, message sweep.MessageID) (row uint32, known bool) {
	if ix == nil {
		return 0, false
	}
	return ix.Row(message)
}

func (q *question) holds(ix *mailindex.Index, leaf sweep.Criteria) sweep.Holding {
	row, known := indexed(ix, q.message)
	if !known {
		return sweep.Unknown
	}
	switch v := ix.Evaluate(leaf.Freeze(q.head.frozenAt()), nil); {
	case v.Yes.Contains(row):
		return sweep.Yes
	case v.Maybe.Contains(row):
		return sweep.Unknown
	}
	return sweep.No
}
