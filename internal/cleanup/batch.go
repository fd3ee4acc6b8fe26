package cleanup

import (
	"slices"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// batchSet is what one Gmail call changes, by the labels that it takes from the messages: what undo gives back.
type batchSet struct {
	Groups []group `json:"groups"`
}

// group is messages of which the call changes the same labels.
type group struct {
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
	Free    bool     `json:"free,omitempty"`  // changed and not charged: its undo gives no quota back
	Moved   bool     `json:"moved,omitempty"` // changed again by somebody else since: its undo leaves it alone
	IDs     ids      `json:"ids"`
}

// like says that two groups differ in their messages alone.
func (g group) like(h group) bool {
	return g.Free == h.Free && g.Moved == h.Moved && slices.Equal(g.Added, h.Added) && slices.Equal(g.Removed, h.Removed)
}

// put adds a message to the group like g.
func (b *batchSet) put(g group, id sweep.MessageID) {
	i := slices.IndexFunc(b.Groups, g.like)
	if i < 0 {
		i = len(b.Groups)
		g.IDs = nil
		b.Groups = append(b.Groups, g)
	}
	b.Groups[i].IDs = append(b.Groups[i].IDs, id)
}

func (b batchSet) ids() (all ids) {
	for _, g := range b.Groups {
		all = append(all, g.IDs...)
	}
	return all
}

func (b batchSet) size() (n int) {
	for _, g := range b.Groups {
		n += len(g.IDs)
	}
	return n
}

func (x *execution) sizeOf(n int) int {
	return min((n+1)*sweep.BatchSize, len(x.set)) - n*sweep.BatchSize
}

// compose says what batch n changes, and which of it has to be called for. A batch that was in flight when its worker died is asked again as
// it was, less what is protected or gone now, and what history shows to be changed already: that is ours, and not to be changed again.
func (x *execution) compose(n int) (set batchSet, call ids) {
	before, asked := x.asked[n]
	if !asked {
		room := x.room(n)
		for _, id := range x.set[n*sweep.BatchSize : n*sweep.BatchSize+x.sizeOf(n)] {
			if x.clean.at(id) && len(call) < room {
				call = append(call, id)
			}
		}
		return batchSet{Groups: x.byLabels(call)}, call
	}
	for _, g := range before.Groups {
		for _, id := range g.IDs {
			changed := x.proof.changed.at(id) != nil
			if reason, skipped := x.skipped[id]; skipped && reason != sweep.NoChange && !changed {
				continue
			}
			delete(x.skipped, id)
			set.put(g, id)
			if !changed {
				call = append(call, id)
			}
		}
	}
	return set, call
}

// room is how many messages the reservation still covers: less than the plan where only a part was reserved.
func (x *execution) room(n int) int {
	left := x.c.Reserved
	for m, set := range x.asked {
		if m != n {
			left -= set.size()
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
		groups = append(groups, group{Added: add, Removed: remove, IDs: have})
	}
	if len(lack) > 0 {
		groups = append(groups, group{Added: add, IDs: lack})
	}
	return groups
}

func (x *execution) doneCount() (n int) {
	for b, done := range x.done {
		if done {
			n += x.sizeOf(b)
		}
	}
	return n
}
