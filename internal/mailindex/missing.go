package mailindex

import (
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// Need is a leaf that Gmail must list before the criteria can be answered whole. Of a date leaf only the part [After, Before) of one
// slice is to be listed; a zero After means since ever. Rest: it is the part that the leaf leaves out, as that is the smaller one.
type Need struct {
	Key    string
	Leaf   sweep.Criteria
	After  time.Time
	Before time.Time
	Rest   bool
}

// Missing says what would have to be listed to answer frozen criteria, beside listed, and nothing more: a leaf that cannot change the
// answer for any message that may be cleaned is left out. What stays Maybe without a need can only be settled by reading headers.
func (ix *Index) Missing(c sweep.Criteria, listed Listed) []Need {
	e := ix.evaluator(listed)
	n := needs{e: e, seen: map[string]bool{}}
	n.walk(c, e.selectable().possible())
	return n.list
}

// Needs is Missing for a whole cleanup: its criteria, what its action would change, the keep list and the cut of the recent days.
func (ix *Index) Needs(spec sweep.CleanupSpec, o SelectOptions) []Need {
	e := ix.evaluator(o.Listed)
	n := needs{e: e, seen: map[string]bool{}}
	whole := sweep.Criteria{Op: sweep.All, Kids: []sweep.Criteria{spec.Criteria.Freeze(o.Now), changed(spec, o)}}
	possible := e.selectable().possible()
	n.walk(whole, possible)
	possible = roaring.And(possible, e.eval(whole).possible())
	if spec.Protect.RecentDays > 0 {
		n.walk(recent(spec, o), possible)
	}
	if spec.Protect.KeepList {
		for _, entry := range o.KeepList {
			n.walk(keeps(entry), possible)
		}
	}
	return n.list
}

type needs struct {
	e    *evaluator
	list []Need
	seen map[string]bool
}

// walk looks below c for leaves that are open for a message of relevant: in an all those that no other kid rules out, in an any those
// that no other kid settles.
func (n *needs) walk(c sweep.Criteria, relevant *roaring.Bitmap) {
	switch c.Op {
	case sweep.All, sweep.Any:
		for i, k := range c.Kids {
			left := relevant.Clone()
			for j, other := range c.Kids {
				if v := n.e.eval(other); i != j && c.Op == sweep.All {
					left.And(v.possible())
				} else if i != j {
					left.AndNot(v.Yes)
				}
			}
			n.walk(k, left)
		}
	case sweep.Not:
		n.walk(c.Kids[0], relevant)
	default:
		if n.e.leaf(c).open.Intersects(relevant) {
			n.add(c)
		}
	}
}

func (n *needs) add(leaf sweep.Criteria) {
	key := Key(leaf)
	if n.seen[key] {
		return
	}
	n.seen[key] = true
	need := Need{Key: key, Leaf: leaf}
	if i, ok := n.e.ix.dividedBy(leaf.Time); ok && (leaf.Op == sweep.Before || leaf.Op == sweep.After) {
		older := n.e.ix.olderIsSmaller(i, leaf.Time)
		need.After, need.Before = leaf.Time, n.e.ix.bounds[i+1]
		if older {
			need.After, need.Before = n.e.ix.bounds[i], leaf.Time
		}
		need.Rest = older != (leaf.Op == sweep.Before)
	}
	n.list = append(n.list, need)
}

// olderIsSmaller guesses by the time that ids carry which part of a slice that t divides has fewer messages.
func (ix *Index) olderIsSmaller(slice int, t time.Time) bool {
	older, newer := 0, 0
	for row, s := range ix.slices {
		switch {
		case int(s) != slice:
		case ix.ids[row].Time().Before(t):
			older++
		default:
			newer++
		}
	}
	return older < newer
}
