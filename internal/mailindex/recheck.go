package mailindex

import (
	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// Rechecked is a plan's messages at the moment of acting, each list in the plan's order.
type Rechecked struct {
	ToClean []sweep.MessageID
	Skipped map[sweep.Reason][]sweep.MessageID // already_gone, no_change, protected_since, no_longer_matches
}

// Recheck looks again at planned messages. The index must hold the history since the freeze. Ages stay as frozen, so the recent days
// are not asked again. A message whose match cannot be told anew without a listing still matches when nothing of it or its thread
// changed (o.Changed); otherwise it is skipped. A protection that cannot be told protects.
func (ix *Index) Recheck(spec sweep.CleanupSpec, o SelectOptions, planned []sweep.MessageID) Rechecked {
	spec.Protect.RecentDays = 0
	e := ix.evaluator(o.Listed)
	match := e.eval(spec.Criteria.Freeze(o.Now))
	still := match.Yes.Clone()
	if o.Changed != nil {
		still.Or(roaring.AndNot(match.Maybe, o.Changed))
	}
	protected := e.protectedNow(spec, o, ix.Rows(planned))
	return ix.sortOut(planned, flat(e.unchanged(spec, o)), flat(protected), flat(still))
}

// unchanged is what the action would leave as it is.
func (e *evaluator) unchanged(spec sweep.CleanupSpec, o SelectOptions) *roaring.Bitmap {
	if spec.Action == sweep.Trash {
		trashed, _ := e.dim(LabelDimension(sweep.LabelTrash))
		return trashed.Yes
	}
	return roaring.AndNot(e.selectable().possible(), e.eval(changed(spec, o)).possible())
}

// protectedNow is what may not be touched: protected, or moved to where nothing is ever cleaned.
func (e *evaluator) protectedNow(spec sweep.CleanupSpec, o SelectOptions, planned *roaring.Bitmap) *roaring.Bitmap {
	protected := roaring.AndNot(e.ix.live, e.selectable().Yes)
	protected.Or(e.ix.bare)
	for _, g := range e.guards(spec, o) {
		protected.Or(g.rows(planned))
	}
	return protected
}

func (ix *Index) sortOut(planned []sweep.MessageID, noChange, protected, still words) Rechecked {
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
		case !still.has(row):
			skip(sweep.NoLongerMatches, id)
		default:
			r.ToClean = append(r.ToClean, id)
		}
	}
	return r
}
