package mailindex

import (
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

func drawSpec(t *rapid.T) sweep.CleanupSpec {
	flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
	return sweep.CleanupSpec{
		Action:   rapid.SampledFrom([]sweep.Action{sweep.Trash, sweep.Archive, sweep.MarkRead, sweep.AddLabel}).Draw(t, "action"),
		Criteria: drawCriteria(t, 2),
		Protect: sweep.Protect{
			Starred: flag("starred"), Important: flag("important"), Replied: flag("replied"), UserLabelled: flag("labelled"), KeepList: flag("keep"),
			RecentDays: rapid.SampledFrom([]int{0, 7, 20}).Draw(t, "recent"),
		},
		KeepNewestPerSender: rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "newest"),
	}
}

func drawOptions(t *rapid.T, spec sweep.CleanupSpec) SelectOptions {
	o := SelectOptions{Now: modelNow, Listed: Listed{}}
	o.KeepList = rapid.SliceOfDistinct(rapid.SampledFrom([]string{"shop.example", "@b.example", "deals@other.example"}), rapid.ID[string]).Draw(t, "keep list")
	if spec.Action == sweep.AddLabel && rapid.Bool().Draw(t, "label exists") {
		o.LabelID = "Label_2"
	}
	return o
}

// wouldChange is the plain meaning of an action's effect.
func (l *letter) wouldChange(spec sweep.CleanupSpec, o SelectOptions) bool {
	switch spec.Action {
	case sweep.Archive:
		return l.labels[sweep.LabelInbox]
	case sweep.MarkRead:
		return l.labels[sweep.LabelUnread]
	case sweep.AddLabel:
		return o.LabelID == "" || !l.labels[o.LabelID]
	}
	return true
}

// mayGo says whether the plain rules allow a message to be cleaned, keep_newest_per_sender left out.
func (b *box) mayGo(l *letter, spec sweep.CleanupSpec, o SelectOptions) bool {
	for _, hidden := range []string{sweep.LabelSent, sweep.LabelDraft, sweep.LabelSpam, sweep.LabelTrash} {
		if l.labels[hidden] {
			return false
		}
	}
	p, named := spec.Protect, spec.Criteria.Labels()
	userLabel := l.labels["Label_1"] && !slices.Contains(named, "keep") || l.labels["Label_9"]
	kept := slices.ContainsFunc(o.KeepList, func(entry string) bool { return senderMatches(foldPattern(entry), l.from) })
	return b.matches(spec.Criteria, l) && l.wouldChange(spec, o) &&
		!(p.Starred && b.threadHas(l.thread, sweep.LabelStarred)) && !(p.Replied && b.threadHas(l.thread, sweep.LabelSent)) &&
		!(p.Important && l.labels[sweep.LabelImportant]) && !(p.UserLabelled && userLabel) && !(p.KeepList && kept) &&
		!(p.RecentDays > 0 && !l.date.Before(day(p.RecentDays)))
}

func TestSelectionHoldsNothingProtectedAndItsCountsAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBox(t)
		ix := b.index(t)
		b.meet(t, ix)
		ix.Apply(b.drawChanges(t))
		spec := drawSpec(t)
		o := drawOptions(t, spec)
		b.list(ix, ix.Needs(spec, o), o.Listed, func() bool { return rapid.Bool().Draw(t, "listed") })
		s := ix.Select(spec, o)
		allowed := ix.Rows(b.ids(func(l *letter) bool { return b.mayGo(l, spec, o) }))
		if !subset(s.ToClean, allowed) {
			t.Fatalf("%+v would clean %s", spec, ix.show(roaring.AndNot(s.ToClean, allowed)))
		}
		union := s.ToClean.Clone()
		for reason, rows := range s.Protected {
			if rows.Intersects(union) || rows.IsEmpty() {
				t.Fatalf("%s: told twice or empty", reason)
			}
			union.Or(rows)
		}
		if s.Matched != s.Counts().Total+int(s.ToClean.GetCardinality()) || s.Matched != int(union.GetCardinality()) {
			t.Fatalf("matched %d, protected %d, to clean %d", s.Matched, s.Counts().Total, s.ToClean.GetCardinality())
		}
		b.checkNewest(t, ix, spec, o, s)
		b.checkRecheck(t, ix, spec, o, s)
	})
}

// checkNewest: of every sender at least N messages that the action would change stay, or none is cleaned.
func (b *box) checkNewest(t *rapid.T, ix *Index, spec sweep.CleanupSpec, o SelectOptions, s Selection) {
	if spec.KeepNewestPerSender == 0 {
		return
	}
	cleaned, left := map[string]int{}, map[string]int{}
	for _, l := range b.letters {
		row, ok := ix.Row(l.id)
		switch {
		case ok && s.ToClean.Contains(row):
			cleaned[l.from]++
		case ok && l.wouldChange(spec, o):
			left[l.from]++
		}
	}
	for from, n := range cleaned {
		if left[from] < spec.KeepNewestPerSender {
			t.Fatalf("%d of %s cleaned, only %d left of %d", n, from, left[from], spec.KeepNewestPerSender)
		}
	}
}

// checkRecheck: looked at again at once, a plan stands as it is.
func (b *box) checkRecheck(t *rapid.T, ix *Index, spec sweep.CleanupSpec, o SelectOptions, s Selection) {
	planned := ix.IDs(s.ToClean, OldestFirst)
	o.Changed = roaring.New()
	if r := ix.Recheck(spec, o, planned); !slices.Equal(r.ToClean, planned) || len(r.Skipped) > 0 {
		t.Fatalf("%d planned, %d rechecked, skipped %v", len(planned), len(r.ToClean), r.Skipped)
	}
}

// After changes a plan's messages are cleaned only if the plain rules still allow it, and each is told of once.
func TestRecheckActsOnNothingThatIsNowProtected(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBox(t)
		ix := b.index(t)
		b.meet(t, ix)
		spec := drawSpec(t)
		o := drawOptions(t, spec)
		b.list(ix, ix.Needs(spec, o), o.Listed, func() bool { return true })
		planned := ix.IDs(ix.Select(spec, o).ToClean, OldestFirst)
		o.Changed = ix.Changed(ix.Apply(b.drawChanges(t)))
		o.Listed = nil
		r := ix.Recheck(spec, o, planned)
		for _, id := range r.ToClean {
			i := slices.IndexFunc(b.letters, func(l *letter) bool { return l.id == id })
			if i < 0 || !b.mayGo(b.letters[i], spec, o) {
				t.Fatalf("%s is cleaned against the rules (%+v)", id, spec)
			}
		}
		told := len(r.ToClean)
		for _, ids := range r.Skipped {
			told += len(ids)
		}
		if told != len(planned) {
			t.Fatalf("%d planned, %d told of", len(planned), told)
		}
	})
}

func TestRecheckSaysWhy(t *testing.T) {
	t.Parallel()
	relabel := func(add, remove string) func(*Index, *letter) []Change {
		return func(_ *Index, l *letter) []Change {
			c := Change{Kind: Labelled, ID: l.id, Thread: l.thread}
			if add != "" {
				c.Added = []string{add}
			}
			if remove != "" {
				c.Removed = []string{remove}
			}
			return []Change{c}
		}
	}
	reply := func(_ *Index, l *letter) []Change {
		return []Change{{Kind: Added, ID: 99, Thread: l.thread, Labels: []string{sweep.LabelSent}}}
	}
	gone := func(_ *Index, l *letter) []Change { return []Change{{Kind: Deleted, ID: l.id}} }
	for _, c := range []struct {
		name   string
		action sweep.Action
		change func(*Index, *letter) []Change
		want   sweep.Reason
	}{
		{"starred since", sweep.Trash, relabel(sweep.LabelStarred, ""), sweep.ProtectedSince},
		{"labelled since", sweep.Trash, relabel("Label_1", ""), sweep.ProtectedSince},
		{"labelled since with a label made since", sweep.Trash, relabel("Label_77", ""), sweep.ProtectedSince},
		{"important since", sweep.Trash, relabel(sweep.LabelImportant, ""), sweep.ProtectedSince},
		{"answered since", sweep.Trash, reply, sweep.ProtectedSince},
		{"spam since", sweep.Trash, relabel(sweep.LabelSpam, ""), sweep.ProtectedSince},
		{"read since", sweep.Trash, relabel("", sweep.LabelUnread), sweep.NoLongerMatches},
		{"trashed since", sweep.Trash, relabel(sweep.LabelTrash, sweep.LabelInbox), sweep.NoChange},
		{"archived since", sweep.Archive, relabel("", sweep.LabelInbox), sweep.NoChange},
		{"deleted since", sweep.Trash, gone, sweep.AlreadyGone},
		{"left alone", sweep.Trash, func(*Index, *letter) []Change { return nil }, ""},
		{"our label", sweep.Trash, relabel("Label_2", ""), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := threeLetters()
			ix, l := b.known(), b.letters[0]
			spec := sweep.CleanupSpec{
				Action: c.action, Protect: sweep.ProtectAll(),
				Criteria: all(sweep.Criteria{Op: sweep.ByUnread, Flag: true}, older(30)),
			}
			o := SelectOptions{Now: modelNow}
			if got := ix.IDs(ix.Select(spec, o).ToClean, OldestFirst); len(got) != 1 || got[0] != l.id {
				t.Fatalf("planned %v", got)
			}
			o.Changed = ix.Changed(ix.Apply(c.change(ix, l)))
			r := ix.Recheck(spec, o, []sweep.MessageID{l.id})
			if cleaned := len(r.ToClean) == 1; cleaned != (c.want == "") || !cleaned && len(r.Skipped[c.want]) != 1 {
				t.Fatalf("to clean %v, skipped %v", r.ToClean, r.Skipped)
			}
		})
	}
}

func TestReasonsAreToldInOrderAndUnknownProtects(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	everything := sweep.CleanupSpec{Action: sweep.Trash, Criteria: sweep.Criteria{Op: sweep.In, Text: "anywhere"}, Protect: sweep.ProtectAll()}
	o := SelectOptions{Now: modelNow, KeepList: []string{"@b.example"}}
	ix := b.known()
	if got := ix.Select(everything, o).Counts().ByReason; got[sweep.KeptRecent] != 1 || got[sweep.KeptSenderUnknown] != 2 {
		t.Errorf("nothing read: %v", got)
	}
	ix.Learn(b.letters[0].id, Header{Address: b.letters[0].from})
	ix.Learn(b.letters[1].id, Header{Address: "other@c.example"})
	s := ix.Select(everything, o)
	if got := s.Counts().ByReason; got[sweep.KeptKeepList] != 1 || s.ToClean.GetCardinality() != 1 {
		t.Errorf("read: %v", got)
	}
	ix.SetDimension(LabelDimension(sweep.LabelStarred), []sweep.MessageID{b.letters[0].id})
	if got := ix.Select(everything, o).Counts().ByReason; got[sweep.KeptStarred] != 1 || got[sweep.KeptKeepList] != 0 {
		t.Errorf("starred goes before the keep list: %v", got)
	}
	delete(ix.dims, LabelDimension(sweep.LabelStarred))
	if got := ix.Select(everything, o).Counts().ByReason; got[sweep.KeptStarred] != 3 {
		t.Errorf("stars never listed: %v", got)
	}
	delete(ix.dims, LabelDimension(sweep.LabelSent))
	if s := ix.Select(everything, o); s.Matched != 0 || s.Undetermined != 3 {
		t.Errorf("sent mail never listed: matched %d, undetermined %d", s.Matched, s.Undetermined)
	}
}

func TestUserLabelsThatWereNotListedProtect(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	spec := sweep.CleanupSpec{Action: sweep.Trash, Criteria: older(7), Protect: sweep.ProtectAll()}
	ix := b.known()
	delete(ix.dims, LabelDimension("Label_1"))
	if s := ix.Select(spec, SelectOptions{Now: modelNow}); s.Counts().ByReason[sweep.KeptUserLabelled] != 2 {
		t.Fatalf("unlisted label: %v", s.Counts())
	}
	ix.SetDimension(UserLabelsDimension, []sweep.MessageID{b.letters[0].id})
	if s := ix.Select(spec, SelectOptions{Now: modelNow}); s.Counts().ByReason[sweep.KeptUserLabelled] != 1 || s.ToClean.GetCardinality() != 1 {
		t.Fatalf("has:userlabels stands in: %v", s.Counts())
	}
}
