package mailindex

import (
	"testing"
	"time"

	"mailsweep/internal/sweep"
)

func labelled(l *letter, add, remove string) Change {
	c := Change{Kind: Labelled, ID: l.id, Thread: l.thread}
	if add != "" {
		c.Added = []string{add}
	}
	if remove != "" {
		c.Removed = []string{remove}
	}
	return c
}

func TestSweepAndSearchThatDisagreeProveNothing(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix := b.known()
	ix.Sweep("a@b.example", []sweep.MessageID{b.letters[0].id}, true)
	c := sweep.Criteria{Op: sweep.ByFrom, Text: "a@b.example"}
	v := ix.Evaluate(c, Listed{Key(c): ix.NewListing(nil, true)})
	if !v.Yes.IsEmpty() || v.Maybe.GetCardinality() != 1 {
		t.Fatalf("yes %s, maybe %s", ix.show(v.Yes), ix.show(v.Maybe))
	}
}

// A search for one address lists the mail of another that is the same words. As long as nobody has met that one, what a sweep gave to the first
// may be the other's: Gmail is asked, and what it lists stays open until it is read.
func TestASweepSaysNothingOfAnAddressThatNobodyHasMet(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix := b.known()
	ids := []sweep.MessageID{b.letters[0].id, b.letters[1].id, b.letters[2].id}
	ix.Sweep("a-b@c.example", ids, true)
	c := sweep.Criteria{Op: sweep.ByFrom, Text: "a.b@c.example"}
	open := func(listed Listed, want uint64, needs int) {
		t.Helper()
		v := ix.Evaluate(c, listed)
		if !v.Yes.IsEmpty() || v.Maybe.GetCardinality() != want || len(ix.Missing(c, listed)) != needs {
			t.Fatalf("yes %s, maybe %s, needs %v", ix.show(v.Yes), ix.show(v.Maybe), ix.Missing(c, listed))
		}
	}
	open(nil, 3, 1)
	open(Listed{Key(c): ix.NewListing(ids[:2], true)}, 2, 0)
	ix.Learn(ids[0], Header{Address: "a.b@c.example"})
	if v := ix.Evaluate(c, Listed{Key(c): ix.NewListing(ids[:2], true)}); v.Yes.GetCardinality() != 1 || v.Maybe.GetCardinality() != 1 {
		t.Fatalf("yes %s, maybe %s", ix.show(v.Yes), ix.show(v.Maybe))
	}
}

func TestDatesAreHalfOpen(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix := b.known()
	l := b.letters[1]
	ix.Learn(l.id, Header{Address: l.from, Date: l.date})
	row, _ := ix.Row(l.id)
	for _, c := range []struct {
		op      sweep.Op
		seconds int
		want    bool
	}{{sweep.Before, 0, false}, {sweep.Before, 1, true}, {sweep.After, 0, true}, {sweep.After, 1, false}} {
		leaf := sweep.Criteria{Op: c.op, Time: l.date.Add(time.Duration(c.seconds) * time.Second)}
		if got := ix.Evaluate(leaf, nil).Yes.Contains(row); got != c.want {
			t.Errorf("%s %d s: %v", c.op, c.seconds, got)
		}
	}
}

// A message whose match hangs on a listing that is not made anew stays only when nothing of it changed.
func TestRecheckDoesNotTrustAnOldListingOfAChangedMessage(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix, l := b.known(), b.letters[0]
	flag := func(subject string, other sweep.Criteria) sweep.Criteria {
		return all(sweep.Criteria{Op: sweep.BySubject, Text: subject}, other)
	}
	spec := sweep.CleanupSpec{Action: sweep.Trash, Criteria: sweep.Criteria{Op: sweep.Any, Kids: []sweep.Criteria{
		flag("sale", sweep.Criteria{Op: sweep.ByUnread, Flag: true}), flag("hello", sweep.Criteria{Op: sweep.ByLabel, Text: "starred"}),
	}}}
	o := SelectOptions{Now: modelNow, Listed: Listed{}}
	b.list(ix, ix.Needs(spec, o), o.Listed, func() bool { return true })
	planned := ix.IDs(ix.Select(spec, o).ToClean, OldestFirst)
	if len(planned) != 3 {
		t.Fatalf("%d planned", len(planned))
	}
	changes := []Change{labelled(l, sweep.LabelStarred, sweep.LabelUnread)}
	o.Listed, o.Changed = nil, ix.Changed(ix.Apply(changes))
	r := ix.Recheck(spec, o, planned)
	if len(r.ToClean) != 2 || len(r.Skipped[sweep.NoLongerMatches]) != 1 {
		t.Fatalf("to clean %v, skipped %v", r.ToClean, r.Skipped)
	}
	o.Changed = nil
	if r := ix.Recheck(spec, o, planned); len(r.ToClean) != 0 {
		t.Fatalf("without knowing what changed %v would be cleaned", r.ToClean)
	}
}

func TestLabelMadeSinceTheListingProtectsItsMessageOnly(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix := b.known()
	ix.Apply([]Change{labelled(b.letters[0], "Label_77", "")})
	spec := sweep.CleanupSpec{Action: sweep.Trash, Criteria: older(7), Protect: sweep.ProtectAll()}
	if s := ix.Select(spec, SelectOptions{Now: modelNow}); s.Counts().ByReason[sweep.KeptUserLabelled] != 1 || s.ToClean.GetCardinality() != 1 {
		t.Fatalf("%v", s.Counts())
	}
}

func TestLabelsOfAMessageThatComesBackAreUnknown(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix, l := b.known(), b.letters[0]
	ix.Apply([]Change{{Kind: Deleted, ID: l.id}, {Kind: Added, ID: l.id, Thread: l.thread}})
	v := ix.Evaluate(sweep.Criteria{Op: sweep.ByUnread, Flag: false}, nil)
	row, ok := ix.Row(l.id)
	if !ok || !v.Maybe.Contains(row) {
		t.Fatal("labels were made up")
	}
	s := ix.Select(sweep.CleanupSpec{Action: sweep.Trash, Criteria: older(7)}, SelectOptions{Now: modelNow})
	if s.ToClean.Contains(row) || s.Undetermined != 1 {
		t.Fatal("a message with unknown labels was selected")
	}
}

func TestSplitLeavesFreshMailFresh(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix := b.known()
	ix.Apply([]Change{{Kind: Added, ID: 1, Thread: 1, Labels: []string{}}})
	if err := ix.Split(day(35), []sweep.MessageID{b.letters[0].id}); err != nil {
		t.Fatal(err)
	}
	row, _ := ix.Row(1)
	if v := ix.Evaluate(sweep.Criteria{Op: sweep.Before, Time: day(35)}, nil); !v.Maybe.Contains(row) || v.Yes.GetCardinality() != 1 {
		t.Fatalf("yes %s, maybe %s", ix.show(v.Yes), ix.show(v.Maybe))
	}
	if err := ix.Split(day(-3), nil); err == nil {
		t.Fatal("a cut beyond the listed dates was made")
	}
}

// Listings leave trash out: what is listed while a message lies there says nothing of it.
func TestListingsDoNotSpeakOfTrash(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix, l := b.known(), b.letters[0]
	starred := LabelDimension(sweep.LabelStarred)
	ix.Apply([]Change{labelled(l, sweep.LabelStarred, ""), labelled(l, sweep.LabelTrash, "")})
	ix.SetDimension(starred, nil)
	ix.SetDimension(AttachmentDimension, nil)
	ix.SetDimension(AttachmentDimension, nil)
	ix.Apply([]Change{labelled(l, "", sweep.LabelTrash)})
	row, _ := ix.Row(l.id)
	if !ix.Dimension(starred).Contains(row) {
		t.Error("the star was lost")
	}
	if v := ix.Evaluate(sweep.Criteria{Op: sweep.HasAttachment, Flag: true}, nil); !v.Maybe.Contains(row) {
		t.Error("its attachments are not unknown")
	}
}

func TestRefiningSettlesFreshMail(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix := b.known()
	ix.SetDimension(AttachmentDimension, []sweep.MessageID{b.letters[0].id})
	ix.Apply([]Change{{Kind: Added, ID: 1, Thread: 1, Labels: []string{}}, {Kind: Added, ID: 2, Thread: 2, Labels: []string{}}})
	c := sweep.Criteria{Op: sweep.HasAttachment, Flag: true}
	if v := ix.Evaluate(c, nil); v.Maybe.GetCardinality() != 2 {
		t.Fatal("fresh mail was taken for known")
	}
	if ignored := ix.RefineDimension(AttachmentDimension, ix.Fresh(), []sweep.MessageID{2, 77}); ignored != 1 {
		t.Fatalf("%d ignored", ignored)
	}
	if v := ix.Evaluate(c, nil); !v.Maybe.IsEmpty() || v.Yes.GetCardinality() != 2 {
		t.Fatalf("yes %s, maybe %s", ix.show(v.Yes), ix.show(v.Maybe))
	}
}

func TestKeepListEntryThatWasSweptNeedsNoListing(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix := b.known()
	spec := sweep.CleanupSpec{Action: sweep.Trash, Criteria: older(7), Protect: sweep.ProtectAll()}
	o := SelectOptions{Now: modelNow, KeepList: []string{"Shop.example", "x.a@b.example"}}
	if needs := ix.Needs(spec, o); len(needs) != 2 || needs[0].Leaf.Text != "@shop.example" {
		t.Fatalf("%v", needs)
	}
	ix.SetDimension(FromDimension("shop.example"), nil)
	ix.SetDimension(FromDimension("x.a@b.example"), []sweep.MessageID{b.letters[1].id})
	if needs := ix.Needs(spec, o); len(needs) != 0 {
		t.Fatalf("%v", needs)
	}
	s := ix.Select(spec, o)
	if s.Counts().ByReason[sweep.KeptSenderUnknown] != 1 || s.ToClean.GetCardinality() != 1 {
		t.Fatalf("%v", s.Counts())
	}
}

func TestSweepNeverOverridesWhatWasRead(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix, id := b.known(), b.letters[0].id
	ix.Learn(id, Header{Address: "a@b.example"})
	// A display name may hold another address, so that its search lists the message.
	if gained, _ := ix.Sweep("x.a@b.example", []sweep.MessageID{id}, true); gained != 0 {
		t.Fatalf("%d gained", gained)
	}
	if m, _ := ix.Message(id); m.Sender != "a@b.example" {
		t.Fatalf("the sender became %s", m.Sender)
	}
}

func TestListingSaysNothingOfLaterMail(t *testing.T) {
	t.Parallel()
	ix := threeLetters().known()
	c := sweep.Criteria{Op: sweep.BySubject, Text: "sale"}
	listed := Listed{Key(c): ix.NewListing(nil, false)}
	ix.Apply([]Change{{Kind: Added, ID: 1, Thread: 1, Labels: []string{}}})
	not := sweep.Criteria{Op: sweep.Not, Kids: []sweep.Criteria{c}}
	if v := ix.Evaluate(not, listed); v.Yes.GetCardinality() != 3 || v.Maybe.GetCardinality() != 1 {
		t.Fatalf("yes %s, maybe %s", ix.show(v.Yes), ix.show(v.Maybe))
	}
}
