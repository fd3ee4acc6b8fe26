package cleanup

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

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
	Free    bool     `json:"free,omitempty"` // changed and not charged: its undo gives no quota back
	IDs     ids      `json:"ids"`
}

// like says that two groups differ in their messages alone.
func (g group) like(h group) bool {
	return g.Free == h.Free && slices.Equal(g.Added, h.Added) && slices.Equal(g.Removed, h.Removed)
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

// wave changes batches from..to-1, three in flight. After a failure no further call is made; those in flight are awaited, because a
// change that nobody awaits is one whose effect is unknown.
func (x *execution) wave(ctx context.Context, from, to int) error {
	members := x.set[from*sweep.BatchSize : min(to*sweep.BatchSize, len(x.set))]
	clean, err := x.recheck(ctx, members)
	if err != nil {
		return err
	}
	answered := make([]bool, to-from)
	g, failed := errgroup.WithContext(ctx)
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
		g.Go(safely(func() error {
			if failed.Err() != nil || x.beat.reason() != nil {
				return nil
			}
			return x.change(ctx, n, set, &answered[n-from])
		}))
	}
	err = g.Wait()
	for i, yes := range answered {
		x.done[from+i] = x.done[from+i] || yes
	}
	return err
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
				set.Groups = append(set.Groups, group{Added: g.Added, Removed: g.Removed, IDs: keep})
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
		groups = append(groups, group{Added: add, Removed: remove, IDs: have})
	}
	if len(lack) > 0 {
		groups = append(groups, group{Added: add, IDs: lack})
	}
	return groups
}

// change is one batch: ids in flight are written, one Gmail call, then progress and ledger together. What was answered is settled, whatever
// the claim is told meanwhile.
func (x *execution) change(ctx context.Context, n int, set batchSet, answered *bool) (err error) {
	defer x.batched(time.Now(), &err)
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
	err = x.DB.SettleBatch(context.WithoutCancel(ctx), x.c, n, len(all), "settle", x.c.Now)
	*answered = err == nil // what is not in the ledger is for the proof to charge
	return err
}

func (x *execution) doneCount() (n int) {
	for b, done := range x.done {
		if done {
			n += x.sizeOf(b)
		}
	}
	return n
}
