package mailindex

import (
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// Verdict is what criteria say of a mailbox: the messages that match, and those that may, for all that the index and the listings
// know. The rest do not match. Only Yes is ever acted on.
type Verdict struct{ Yes, Maybe *roaring.Bitmap }

// Listed is what Gmail listed for leaves that the index does not know, by Key.
type Listed map[string]Listing

// Listing is the answer to one leaf. Superset: Gmail's search may have listed more than the leaf means, so membership proves nothing,
// absence does. Rest: Rows are the messages of a divided slice that do not match, and perhaps some more.
type Listing struct {
	Rows     *roaring.Bitmap
	Superset bool
	Rest     bool
	rows     uint32 // how many rows the index had: of later ones the listing says nothing
}

// NewListing makes a listing of ids; those that the index does not hold are left out. It must be made before history is applied
// that is newer than the listing.
func (ix *Index) NewListing(ids []sweep.MessageID, superset bool) Listing {
	return Listing{Rows: ix.Rows(ids), Superset: superset, rows: uint32(len(ix.ids))}
}

// Key names a leaf in Listed.
func Key(leaf sweep.Criteria) string {
	b, err := leaf.MarshalJSON()
	if err != nil {
		return string(leaf.Op) + ":" + leaf.Text
	}
	return string(b)
}

// evaluator answers criteria for one call; it remembers leaves and what several leaves need.
type evaluator struct {
	ix      *Index
	listed  Listed
	leaves  map[string]answer
	perSend [][]uint32 // rows of each sender, made at first use
	swept   *roaring.Bitmap
	unknown *roaring.Bitmap // rows without a sender
}

// answer is a leaf's verdict, and the rows that a listing of the leaf would decide.
type answer struct {
	Verdict
	open *roaring.Bitmap
}

func (ix *Index) evaluator(listed Listed) *evaluator {
	return &evaluator{ix: ix, listed: listed, leaves: map[string]answer{}}
}

// Evaluate answers frozen criteria (ages as before and after). What neither the index nor listed knows is Maybe, also under not.
func (ix *Index) Evaluate(c sweep.Criteria, listed Listed) Verdict {
	v := ix.evaluator(listed).eval(c)
	return Verdict{Yes: v.Yes.Clone(), Maybe: v.Maybe.Clone()}
}

func (e *evaluator) eval(c sweep.Criteria) Verdict {
	switch c.Op {
	case sweep.All:
		v := Verdict{Yes: e.ix.live, Maybe: roaring.New()}
		for _, k := range c.Kids {
			v = v.and(e.eval(k))
		}
		return v
	case sweep.Any:
		v := Verdict{Yes: roaring.New(), Maybe: roaring.New()}
		for _, k := range c.Kids {
			v = v.or(e.eval(k))
		}
		return v
	case sweep.Not:
		return e.eval(c.Kids[0]).not(e.ix.live)
	}
	return e.leaf(c).Verdict
}

func (v Verdict) and(w Verdict) Verdict {
	yes := roaring.And(v.Yes, w.Yes)
	maybe := roaring.And(roaring.Or(v.Yes, v.Maybe), roaring.Or(w.Yes, w.Maybe))
	maybe.AndNot(yes)
	return Verdict{Yes: yes, Maybe: maybe}
}

func (v Verdict) or(w Verdict) Verdict {
	yes := roaring.Or(v.Yes, w.Yes)
	maybe := roaring.Or(v.Maybe, w.Maybe)
	maybe.AndNot(yes)
	return Verdict{Yes: yes, Maybe: maybe}
}

func (v Verdict) not(live *roaring.Bitmap) Verdict {
	no := roaring.AndNot(live, v.Yes)
	no.AndNot(v.Maybe)
	return Verdict{Yes: no, Maybe: v.Maybe}
}

func (v Verdict) possible() *roaring.Bitmap { return roaring.Or(v.Yes, v.Maybe) }

func (e *evaluator) leaf(c sweep.Criteria) answer {
	key := Key(c)
	a, ok := e.leaves[key]
	if !ok {
		a = e.answer(c, key)
		e.leaves[key] = a
	}
	return a
}

func (e *evaluator) answer(c sweep.Criteria, key string) answer {
	switch c.Op {
	case sweep.ByCategory:
		return e.category(c, key)
	case sweep.ByFrom:
		return e.from(c.Text, key)
	case sweep.Before, sweep.After:
		return e.date(c, key)
	case sweep.LargerThan:
		return e.larger(c.Number, key, false)
	case sweep.SmallerThan:
		return e.larger(c.Number-1, key, true)
	case sweep.ByUnread:
		return e.flag(LabelDimension(sweep.LabelUnread), c, key)
	case sweep.HasAttachment:
		return e.flag(AttachmentDimension, c, key)
	case sweep.ByLabel:
		return e.label(c.Text, key)
	case sweep.In:
		return e.place(c.Text, key)
	case sweep.Replied:
		return e.replied(c.Flag)
	}
	return e.asked(key)
}

// asked answers a leaf by its listing alone.
func (e *evaluator) asked(key string) answer {
	live := e.ix.live
	l, ok := e.listed[key]
	if !ok {
		return answer{Verdict{roaring.New(), live}, live}
	}
	in, late := roaring.And(l.Rows, live), e.late(l)
	if l.Superset {
		return answer{Verdict{roaring.New(), roaring.Or(in, late)}, late}
	}
	return answer{Verdict{in, late}, late}
}

// late is the messages of which a listing does not speak: those that joined after it was made, and spam and trash, which it leaves out.
func (e *evaluator) late(l Listing) *roaring.Bitmap {
	late := e.ix.live.Clone()
	late.RemoveRange(0, uint64(l.rows))
	late.Or(e.ix.hidden())
	return late
}

// dim gives a dimension's verdict; ok is false when it was never listed.
func (e *evaluator) dim(name string) (v Verdict, ok bool) {
	d := e.ix.dims[name]
	if d == nil {
		return Verdict{roaring.New(), e.ix.live}, false
	}
	return Verdict{roaring.And(d.yes, e.ix.live), roaring.And(d.unknown, e.ix.live)}, true
}

// known answers a leaf by a verdict of the index, and what that leaves open by the leaf's listing.
func (e *evaluator) known(v Verdict, key string) answer {
	l, ok := e.listed[key]
	if !ok || v.Maybe.IsEmpty() {
		return answer{v, v.Maybe}
	}
	late := roaring.And(e.late(l), v.Maybe)
	in := roaring.And(v.Maybe, l.Rows)
	if l.Superset {
		return answer{Verdict{v.Yes, roaring.Or(in, late)}, late}
	}
	return answer{Verdict{roaring.Or(v.Yes, in), late}, late}
}

func (e *evaluator) flag(name string, c sweep.Criteria, key string) answer {
	v, ok := e.dim(name)
	if !ok {
		return e.asked(key)
	}
	if !c.Flag {
		v = v.not(e.ix.live)
	}
	return e.known(v, key)
}

func (e *evaluator) label(name, key string) answer {
	id, ok := e.ix.LabelID(name)
	if !ok {
		return answer{Verdict{roaring.New(), roaring.New()}, roaring.New()}
	}
	v, ok := e.dim(LabelDimension(id))
	if !ok {
		return e.asked(key)
	}
	return e.known(v, key)
}

// without is what lies in v and in none of the labels; ok is false when one was never listed.
func (e *evaluator) without(v Verdict, labels ...string) (Verdict, bool) {
	for _, l := range labels {
		other, ok := e.dim(LabelDimension(l))
		if !ok {
			return v, false
		}
		v = v.and(other.not(e.ix.live))
	}
	return v, true
}

// category: primary is inbox mail in none of the other tabs, as Gmail's own category:primary is not to be relied on through the API.
func (e *evaluator) category(c sweep.Criteria, key string) answer {
	if !e.ix.Categories {
		return answer{Verdict{roaring.New(), e.ix.live}, roaring.New()}
	}
	cat := sweep.Category(c.Text)
	if cat != sweep.Primary {
		v, ok := e.dim(LabelDimension(cat.CategoryLabel()))
		if !ok {
			return e.asked(key)
		}
		return e.known(v, key)
	}
	v, ok := e.dim(LabelDimension(sweep.LabelInbox))
	if ok {
		v, ok = e.without(v, tabs()...)
	}
	if !ok {
		return e.asked(key)
	}
	return e.known(v, key)
}

// tabs is the labels of the four categories beside primary.
func tabs() (labels []string) {
	for _, c := range sweep.Categories()[1:] {
		labels = append(labels, c.CategoryLabel())
	}
	return labels
}

// place: archive is what is neither in the inbox nor sent, a draft, spam or trash.
func (e *evaluator) place(where, key string) answer {
	all := Verdict{e.ix.live, roaring.New()}
	v, ok := all, true
	switch strings.ToLower(where) {
	case "inbox":
		v, ok = e.dim(LabelDimension(sweep.LabelInbox))
	case "archive":
		v, ok = e.without(all, sweep.LabelInbox, sweep.LabelSent, sweep.LabelDraft, sweep.LabelSpam, sweep.LabelTrash)
	}
	if !ok {
		return e.asked(key)
	}
	return e.known(v, key)
}

// replied is the messages whose thread holds one that was sent. No search lists it, so nothing is left open for one.
func (e *evaluator) replied(want bool) answer {
	sent, _ := e.dim(LabelDimension(sweep.LabelSent))
	v := Verdict{Yes: e.ix.threadsOf(sent.Yes), Maybe: e.ix.threadsOf(sent.Maybe)}
	v.Maybe.AndNot(v.Yes)
	if !want {
		v = v.not(e.ix.live)
	}
	return answer{v, roaring.New()}
}
