package mailindex

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// Rechecked is a plan's messages at the moment of acting, each list in the plan's order. Of Open it cannot be told whether they may be touched.
type Rechecked struct {
	ToClean []sweep.MessageID
	Skipped map[sweep.Reason][]sweep.MessageID // already_gone, no_change, protected_since, no_longer_matches
	Open    []sweep.MessageID                  // only where any message may have changed
}

// Recheck looks again at planned messages. The index must hold the history since the freeze. Ages stay as frozen, so the recent days
// are not asked again. A message whose match cannot be told anew without a listing still matches when nothing of it or its thread
// changed (o.Changed), or when all that cannot be told is what never changes of a message: it matched at the freeze. Otherwise it is open
// where any message may have changed, else skipped. A protection that cannot be told protects.
func (ix *Index) Recheck(spec sweep.CleanupSpec, o SelectOptions, planned []sweep.MessageID) Rechecked {
	spec.Protect.RecentDays = 0
	e := ix.evaluator(o.Listed)
	frozen := spec.Criteria.Freeze(o.Now)
	match := e.eval(frozen)
	still := roaring.Or(match.Yes, roaring.And(match.Maybe, e.eval(changing(frozen)).Yes))
	protected, open := e.protectedNow(spec, o, ix.Rows(planned))
	if o.Changed != nil {
		still.Or(roaring.AndNot(match.Maybe, o.Changed))
	} else {
		open.Or(roaring.AndNot(match.Maybe, still))
	}
	return ix.sortOut(planned, flat(e.unchanged(spec, o)), flat(protected), flat(open), flat(still))
}

// changing is what of frozen criteria may be answered otherwise later. What all of a plan's messages met, and what never changes, is met
// for good.
func changing(c sweep.Criteria) sweep.Criteria {
	switch {
	case lasting(c):
		return sweep.Criteria{Op: sweep.All}
	case c.Op != sweep.All:
		return c
	}
	left := sweep.Criteria{Op: sweep.All}
	for _, k := range c.Kids {
		left.Kids = append(left.Kids, changing(k))
	}
	return left
}

// lasting says that criteria ask about nothing but what never changes of a message.
func lasting(c sweep.Criteria) bool {
	return !slices.ContainsFunc([]sweep.Op{sweep.ByCategory, sweep.ByUnread, sweep.ByLabel, sweep.In, sweep.Replied, sweep.ByQuery}, c.Uses)
}

// unchanged is what the action would leave as it is.
func (e *evaluator) unchanged(spec sweep.CleanupSpec, o SelectOptions) *roaring.Bitmap {
	if spec.Action == sweep.Trash {
		trashed, _ := e.dim(LabelDimension(sweep.LabelTrash))
		return trashed.Yes
	}
	return roaring.AndNot(e.selectable().possible(), e.eval(changed(spec, o)).possible())
}

// protectedNow is what may not be touched: protected, or moved to where nothing is ever cleaned. Which are a sender's newest is open, where
// any message may have changed, for those without a sender.
func (e *evaluator) protectedNow(spec sweep.CleanupSpec, o SelectOptions, planned *roaring.Bitmap) (protected, open *roaring.Bitmap) {
	protected, open = roaring.AndNot(e.ix.live, e.selectable().Yes), roaring.New()
	protected.Or(e.ix.bare)
	for _, g := range e.guards(spec, o) {
		if g.reason == sweep.KeptSenderUnknown && spec.KeepNewestPerSender > 0 && o.Changed == nil {
			open.Or(g.rows(planned))
			continue
		}
		protected.Or(g.rows(planned))
	}
	return protected, open
}

func (ix *Index) sortOut(planned []sweep.MessageID, noChange, protected, open, still words) Rechecked {
	r := Rechecked{Skipped: map[sweep.Reason][]sweep.MessageID{}}
	skip := func(reason sweep.Reason, id sweep.MessageID) { r.Skipped[reason] = append(r.Skipped[reason], id) }
	for _, id := range planned {
		row, ok := ix.Row(id)
		switch {
		case !ok:
			skip(sweep.AlreadyGone, id)
		case noChange.has(row):
			skip(sweep.NoChange, id)
		case protected.has(row):
			skip(sweep.ProtectedSince, id)
		case open.has(row):
			r.Open = append(r.Open, id)
		case !still.has(row):
			skip(sweep.NoLongerMatches, id)
		default:
			r.ToClean = append(r.ToClean, id)
		}
	}
	return r
}
