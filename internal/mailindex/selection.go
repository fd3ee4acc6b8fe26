package mailindex

import (
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// SelectOptions is what a selection needs beside the cleanup itself.
type SelectOptions struct {
	Now       time.Time       // of the freeze: ages count from it, to the second
	KeepList  []string        // addresses and @domains; a domain keeps its sub-domains too
	OurLabels []string        // ids or names of labels that we made
	LabelID   string          // of the label to add; "" when it does not exist yet
	Listed    Listed          // what Gmail listed for Needs
	Changed   *roaring.Bitmap // for Recheck: rows changed since the freeze (Index.Changed); nil: any may have
}

// Selection is what a cleanup would touch. Matched counts the messages that match, that exist outside sent mail, drafts, spam and trash
// and that the action would change; each of them is either protected, under its first reason, or to clean. Undetermined counts those
// of which the index and the listings do not know enough; they are left out.
type Selection struct {
	Matched      int
	Undetermined int
	Protected    map[sweep.Reason]*roaring.Bitmap
	ToClean      *roaring.Bitmap
	Unverified   *roaring.Bitmap // of ToClean: a sender rule chose them by Gmail's search alone; read a sample before acting
}

// LeaveUnverified leaves out, as undetermined, what is not to be acted on before a sample is read.
func (s *Selection) LeaveUnverified() {
	n := int(s.Unverified.GetCardinality())
	s.ToClean.AndNot(s.Unverified)
	s.Matched, s.Undetermined, s.Unverified = s.Matched-n, s.Undetermined+n, roaring.New()
}

// Counts is the protected messages by reason.
func (s Selection) Counts() sweep.Protected {
	p := sweep.Protected{ByReason: map[sweep.Reason]int{}}
	for reason, rows := range s.Protected {
		n := int(rows.GetCardinality())
		p.ByReason[reason] = n
		p.Total += n
	}
	return p
}

// Select applies a cleanup to what is known. It is pure: the same index and options give the same selection.
func (ix *Index) Select(spec sweep.CleanupSpec, o SelectOptions) Selection {
	e := ix.evaluator(o.Listed)
	match, change, may := e.eval(spec.Criteria.Freeze(o.Now)), e.eval(changed(spec, o)), e.selectable()
	all := match.and(change).and(may)
	s := Selection{Matched: int(all.Yes.GetCardinality()), Undetermined: int(all.Maybe.GetCardinality()), Protected: map[sweep.Reason]*roaring.Bitmap{}}
	left := all.Yes.Clone()
	for _, g := range e.guards(spec, o) {
		if left.IsEmpty() {
			break
		}
		kept := g.rows(left)
		if kept.And(left); !kept.IsEmpty() {
			s.Protected[g.reason] = kept
			left.AndNot(kept)
		}
	}
	s.ToClean, s.Unverified = left, roaring.New()
	if spec.Criteria.Uses(sweep.ByFrom) || spec.KeepNewestPerSender > 0 {
		s.Unverified = roaring.AndNot(left, ix.read)
	}
	return s
}

// changed is the criteria of the messages that the action would change.
func changed(spec sweep.CleanupSpec, o SelectOptions) sweep.Criteria {
	switch {
	case spec.Action == sweep.Archive:
		return sweep.Criteria{Op: sweep.In, Text: "inbox"}
	case spec.Action == sweep.MarkRead:
		return sweep.Criteria{Op: sweep.ByUnread, Flag: true}
	case spec.Action == sweep.AddLabel && o.LabelID != "":
		return sweep.Criteria{Op: sweep.Not, Kids: []sweep.Criteria{{Op: sweep.ByLabel, Text: o.LabelID}}}
	}
	return sweep.Criteria{Op: sweep.In, Text: "anywhere"}
}

// selectable is what may enter a selection at all.
func (e *evaluator) selectable() Verdict {
	v := Verdict{e.ix.live, roaring.New()}
	for _, l := range []string{sweep.LabelSent, sweep.LabelDraft, sweep.LabelSpam, sweep.LabelTrash} {
		d, _ := e.dim(LabelDimension(l))
		v = v.and(d.not(e.ix.live))
	}
	return v
}

// guard is one protection: which of the messages left it keeps back. The result is the caller's to change.
type guard struct {
	reason sweep.Reason
	rows   func(left *roaring.Bitmap) *roaring.Bitmap
}

// guards lists the protections that are on, in the order in which a message's reason is told. What is not known protects.
func (e *evaluator) guards(spec sweep.CleanupSpec, o SelectOptions) (out []guard) {
	p := spec.Protect
	on := func(yes bool, reason sweep.Reason, rows func(*roaring.Bitmap) *roaring.Bitmap) {
		if yes {
			out = append(out, guard{reason, rows})
		}
	}
	on(p.Starred, sweep.KeptStarred, func(*roaring.Bitmap) *roaring.Bitmap { return e.wholeThreads(sweep.LabelStarred) })
	on(p.Replied, sweep.KeptReplied, func(*roaring.Bitmap) *roaring.Bitmap { return e.wholeThreads(sweep.LabelSent) })
	on(p.Important, sweep.KeptImportant, func(*roaring.Bitmap) *roaring.Bitmap { return e.labelled(sweep.LabelImportant) })
	on(p.UserLabelled, sweep.KeptUserLabelled, func(*roaring.Bitmap) *roaring.Bitmap { return e.userLabelled(spec, o) })
	on(p.RecentDays > 0, sweep.KeptRecent, func(*roaring.Bitmap) *roaring.Bitmap { return e.eval(recent(spec, o)).possible() })
	keep := p.KeepList && len(o.KeepList) > 0
	on(keep, sweep.KeptKeepList, func(*roaring.Bitmap) *roaring.Bitmap { return e.kept(o.KeepList).Yes.Clone() })
	on(keep || spec.KeepNewestPerSender > 0, sweep.KeptSenderUnknown, func(left *roaring.Bitmap) *roaring.Bitmap {
		return e.senderCouldDecide(left, keep, spec, o)
	})
	on(spec.KeepNewestPerSender > 0, sweep.KeptNewest, func(left *roaring.Bitmap) *roaring.Bitmap {
		return e.newest(left, spec, o)
	})
	return out
}

func (e *evaluator) labelled(label string) *roaring.Bitmap {
	v, _ := e.dim(LabelDimension(label))
	return v.possible()
}

// wholeThreads is every message of the threads that hold a message with the label.
func (e *evaluator) wholeThreads(label string) *roaring.Bitmap {
	return e.ix.threadsOf(e.labelled(label))
}

// userLabelled is the messages with a label of the customer's own, but for labels that the criteria name and labels that we made.
func (e *evaluator) userLabelled(spec sweep.CleanupSpec, o SelectOptions) *roaring.Bitmap {
	exempt := map[string]bool{}
	for _, name := range slices.Concat(spec.Criteria.Labels(), o.OurLabels) {
		if id, ok := e.ix.LabelID(name); ok {
			exempt[id] = true
		}
	}
	kept, whole := roaring.New(), e.ix.labeled
	for _, l := range e.ix.labels {
		if !l.User || l.Ours || exempt[l.ID] {
			continue
		}
		v, ok := e.dim(LabelDimension(l.ID))
		if !ok {
			whole = false
			continue
		}
		kept.Or(v.possible())
	}
	if !whole {
		// Without the dimension this is every message: an unknown label protects.
		v, _ := e.dim(UserLabelsDimension)
		kept.Or(v.possible())
	}
	kept.Or(e.ix.bare)
	return kept
}

func recent(spec sweep.CleanupSpec, o SelectOptions) sweep.Criteria {
	return sweep.Criteria{Op: sweep.NewerThanDays, Number: int64(spec.Protect.RecentDays)}.Freeze(o.Now)
}

// keeps is a keep-list entry as criteria.
func keeps(entry string) sweep.Criteria {
	return sweep.Criteria{Op: sweep.ByFrom, Text: foldPattern(entry)}
}

func (e *evaluator) kept(list []string) Verdict {
	v := Verdict{roaring.New(), roaring.New()}
	for _, entry := range list {
		v = v.or(e.eval(keeps(entry)))
	}
	return v
}

func (e *evaluator) senderCouldDecide(left *roaring.Bitmap, keep bool, spec sweep.CleanupSpec, o SelectOptions) *roaring.Bitmap {
	kept := roaring.New()
	if keep {
		kept.Or(e.kept(o.KeepList).Maybe)
	}
	if spec.KeepNewestPerSender > 0 {
		e.splitSenders()
		kept.Or(e.unknown)
	}
	kept.And(left)
	return kept
}

// newest keeps the newest messages of each sender among all that exist and that the action would change, whether they match or not.
func (e *evaluator) newest(left *roaring.Bitmap, spec sweep.CleanupSpec, o SelectOptions) *roaring.Bitmap {
	exists := flat(e.selectable().and(e.eval(changed(spec, o))).Yes)
	senders := map[uint32]bool{}
	for it := left.Iterator(); it.HasNext(); {
		senders[e.ix.senders[it.Next()]] = true
	}
	kept := e.ix.words()
	for n := range senders {
		var rows []uint32
		for _, row := range e.bySender()[n] {
			if exists.has(row) {
				rows = append(rows, row)
			}
		}
		slices.SortFunc(rows, func(a, b uint32) int {
			if e.ix.older(a, b) {
				return 1
			}
			return -1
		})
		for _, row := range rows[:min(len(rows), spec.KeepNewestPerSender)] {
			kept.set(row)
		}
	}
	return kept.bitmap()
}
