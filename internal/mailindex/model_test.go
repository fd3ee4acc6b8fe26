package mailindex

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

// letter is one message as it truly is; the index under test knows less.
type letter struct {
	id         sweep.MessageID
	thread     sweep.ThreadID
	labels     map[string]bool
	from       string
	date       time.Time
	size       int64
	attachment bool
	subject    string
}

// box is the true mailbox behind an index.
type box struct {
	letters []*letter
	labels  []Label
	now     time.Time
	bounds  []time.Time
}

var (
	modelNow     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	modelSenders = []string{
		"a@b.example", "x.a@b.example", "a@b.example.net", "news@shop.example", "news@mail.shop.example", "deals@other.example", "me@home.example", "",
	}
	modelLabels = []Label{{ID: "Label_1", Name: "Keep", User: true}, {ID: "Label_2", Name: "Mailsweep", User: true, Ours: true}}
	systemNames = []string{
		sweep.LabelInbox, sweep.LabelUnread, sweep.LabelStarred, sweep.LabelImportant, sweep.LabelSent, sweep.LabelDraft,
		"CATEGORY_SOCIAL", "CATEGORY_PROMOTIONS", "CATEGORY_UPDATES", "CATEGORY_FORUMS", "CATEGORY_PERSONAL",
	}
)

func day(n int) time.Time { return modelNow.Add(-time.Duration(n) * 24 * time.Hour) }

func drawLetter(t *rapid.T, n int) *letter {
	date := modelNow.Add(-time.Duration(rapid.IntRange(0, 500*24).Draw(t, "hours")) * time.Hour)
	stamp := date
	if rapid.IntRange(0, 9).Draw(t, "imported") == 0 {
		stamp = modelNow
	}
	l := &letter{
		id:   sweep.MessageID(uint64(stamp.UnixMilli())<<20 | uint64(n)),
		from: rapid.SampledFrom(modelSenders).Draw(t, "from"), date: date, labels: map[string]bool{},
		size:       rapid.SampledFrom([]int64{900, 20_000, 60_000, 2_000_000, 11 << 20}).Draw(t, "size") + int64(rapid.IntRange(0, 50).Draw(t, "more")),
		attachment: rapid.Bool().Draw(t, "attachment"), subject: rapid.SampledFrom([]string{"sale", "hello"}).Draw(t, "subject"),
	}
	l.thread = sweep.ThreadID(l.id)
	for _, name := range slices.Concat(systemNames, []string{"Label_1", "Label_2"}) {
		odds := 7
		if name == sweep.LabelInbox || name == sweep.LabelUnread {
			odds = 1
		}
		if rapid.IntRange(0, odds).Draw(t, name) == 0 {
			l.labels[name] = true
		}
	}
	return l
}

func drawBox(t *rapid.T) *box {
	b := &box{now: modelNow, labels: modelLabels, bounds: []time.Time{{}}}
	for _, d := range []int{365, 90, 30, 7} {
		if rapid.Bool().Draw(t, "bound") {
			b.bounds = append(b.bounds, day(d))
		}
	}
	b.bounds = append(b.bounds, day(-1))
	for n := range rapid.IntRange(0, 40).Draw(t, "messages") {
		b.join(t, drawLetter(t, n))
	}
	return b
}

// join puts a letter into the box, sometimes into an older letter's thread.
func (b *box) join(t *rapid.T, l *letter) {
	if len(b.letters) > 0 && rapid.IntRange(0, 2).Draw(t, "reply") == 0 {
		l.thread = b.letters[rapid.IntRange(0, len(b.letters)-1).Draw(t, "to")].thread
	}
	b.letters = append(b.letters, l)
}

func (b *box) ids(f func(*letter) bool) (ids []sweep.MessageID) {
	for _, l := range b.letters {
		if f(l) {
			ids = append(ids, l.id)
		}
	}
	return ids
}

// search is what Gmail would list.
func (b *box) search(c sweep.Criteria) []sweep.MessageID {
	return b.ids(func(l *letter) bool {
		if l.labels[sweep.LabelSpam] || l.labels[sweep.LabelTrash] {
			return false
		}
		if c.Op == sweep.ByFrom {
			return holdsRun(tokens(l.from), tokens(c.Text))
		}
		return b.matches(c, l)
	})
}

// matches is the plain two-valued meaning of criteria.
func (b *box) matches(c sweep.Criteria, l *letter) bool {
	has := func(k sweep.Criteria) bool { return b.matches(k, l) }
	switch c.Op {
	case sweep.All:
		return !slices.ContainsFunc(c.Kids, func(k sweep.Criteria) bool { return !has(k) })
	case sweep.Any:
		return slices.ContainsFunc(c.Kids, has)
	case sweep.Not:
		return !has(c.Kids[0])
	case sweep.ByCategory:
		return l.inTab(sweep.Category(c.Text))
	case sweep.ByFrom:
		return senderMatches(c.Text, l.from)
	case sweep.BySubject:
		return c.Text == l.subject
	case sweep.Before:
		return l.date.Before(c.Time)
	case sweep.After:
		return !l.date.Before(c.Time)
	case sweep.LargerThan:
		return l.size > c.Number
	case sweep.SmallerThan:
		return l.size < c.Number
	case sweep.ByUnread:
		return l.labels[sweep.LabelUnread] == c.Flag
	case sweep.HasAttachment:
		return l.attachment == c.Flag
	case sweep.ByLabel:
		return l.labels[map[string]string{"keep": "Label_1", "Mailsweep": "Label_2", "starred": sweep.LabelStarred}[c.Text]]
	case sweep.Replied:
		return b.threadHas(l.thread, sweep.LabelSent) == c.Flag
	case sweep.In:
		return l.in(c.Text)
	}
	panic("the model does not know " + string(c.Op))
}

func senderMatches(pattern, from string) bool {
	local, domain, _ := strings.Cut(from, "@")
	if d, ok := strings.CutPrefix(pattern, "@"); ok {
		return domain == d || strings.HasSuffix(domain, "."+d)
	}
	return local+"@"+domain == pattern
}

func (l *letter) inTab(c sweep.Category) bool {
	if c != sweep.Primary {
		return l.labels[c.CategoryLabel()]
	}
	return l.labels[sweep.LabelInbox] && !slices.ContainsFunc(tabs(), func(t string) bool { return l.labels[t] })
}

func (l *letter) in(where string) bool {
	hidden := l.labels[sweep.LabelSpam] || l.labels[sweep.LabelTrash] || l.labels[sweep.LabelSent] || l.labels[sweep.LabelDraft]
	switch where {
	case "inbox":
		return l.labels[sweep.LabelInbox]
	case "archive":
		return !l.labels[sweep.LabelInbox] && !hidden
	}
	return true
}

func (b *box) threadHas(thread sweep.ThreadID, label string) bool {
	return slices.ContainsFunc(b.letters, func(l *letter) bool { return l.thread == thread && l.labels[label] })
}

// index lists the box as the product does: all labels, and of the rest what chance leaves known.
func (b *box) index(t *rapid.T) *Index {
	builder := NewBuilder(b.bounds)
	for i := range len(b.bounds) - 1 {
		var refs []Ref
		for _, l := range b.letters {
			if !l.date.Before(b.bounds[i]) && l.date.Before(b.bounds[i+1]) {
				refs = append(refs, Ref{l.id, l.thread})
			}
		}
		if err := builder.AddSlice(i, refs); err != nil {
			t.Fatal(err)
		}
	}
	ix := builder.Finish(b.now, 7)
	b.listLabels(ix)
	if rapid.Bool().Draw(t, "attachments known") {
		ix.SetDimension(AttachmentDimension, b.ids(func(l *letter) bool { return l.attachment }))
	}
	for _, step := range []int64{1_000, 20_010, 1 << 20, bigMail} {
		if rapid.Bool().Draw(t, "step") {
			ix.SetDimension(LargerDimension(step), b.ids(func(l *letter) bool { return l.size > step }))
		}
	}
	ix.SetDimension(EdgeDimension, b.ids(func(l *letter) bool {
		return slices.ContainsFunc(ix.ladder(), func(step int64) bool { return l.size == step || l.size == step+1 })
	}))
	return ix
}

func (b *box) listLabels(ix *Index) {
	for _, name := range slices.Concat(systemNames, []string{"Label_1", "Label_2"}) {
		ix.SetDimension(LabelDimension(name), b.ids(func(l *letter) bool { return l.labels[name] }))
	}
	ix.SetLabels(b.labels)
}

// sweep lists the search for an address, after those for the strangers in it; false when it is not believed.
func (b *box) sweep(ix *Index, address string, under ...string) bool {
	if address == "" || slices.Contains(under, address) {
		return false
	}
	found := b.search(sweep.Criteria{Op: sweep.ByFrom, Text: address})
	_, strangers := ix.Sweep(address, found, true)
	for _, s := range strangers {
		if !b.sweep(ix, s, append(under, address)...) {
			return false
		}
	}
	if len(strangers) > 0 {
		_, strangers = ix.Sweep(address, found, true)
	}
	return len(strangers) == 0
}

// meet reads some headers, then sweeps some senders with all whose address holds the same words: what samples would tell is known.
func (b *box) meet(t *rapid.T, ix *Index) {
	for _, l := range b.letters {
		if rapid.IntRange(0, 3).Draw(t, "read") == 0 {
			h := Header{Address: l.from, Size: l.size, Unsubscribe: sweep.NoWay}
			if rapid.Bool().Draw(t, "dated") {
				h.Date = l.date
			}
			ix.Learn(l.id, h)
		}
	}
	for _, address := range rapid.SliceOfDistinct(rapid.SampledFrom(modelSenders[:7]), rapid.ID[string]).Draw(t, "swept") {
		for _, l := range b.letters {
			if l.from != address && holdsRun(tokens(l.from), tokens(address)) && !slices.ContainsFunc(b.letters, func(o *letter) bool { return o.from == l.from && ix.reads(o.id) }) {
				ix.Learn(l.id, Header{Address: l.from})
			}
		}
		b.sweep(ix, address)
	}
}

func drawCriteria(t *rapid.T, depth int) sweep.Criteria {
	if depth > 0 && rapid.IntRange(0, 2).Draw(t, "group") > 0 {
		op := rapid.SampledFrom([]sweep.Op{sweep.All, sweep.Any, sweep.Not}).Draw(t, "op")
		n := 1
		if op != sweep.Not {
			n = rapid.IntRange(1, 3).Draw(t, "kids")
		}
		c := sweep.Criteria{Op: op}
		for range n {
			c.Kids = append(c.Kids, drawCriteria(t, depth-1))
		}
		return c
	}
	return drawLeaf(t)
}

func drawLeaf(t *rapid.T) sweep.Criteria {
	text := func(op sweep.Op, values ...string) sweep.Criteria {
		return sweep.Criteria{Op: op, Text: rapid.SampledFrom(values).Draw(t, "text")}
	}
	switch rapid.IntRange(0, 11).Draw(t, "leaf") {
	case 0:
		return text(sweep.ByCategory, "primary", "social", "promotions", "updates", "forums")
	case 1:
		return text(sweep.ByFrom, "a@b.example", "@shop.example", "@b.example", "nobody@b.example", "x.a@b.example")
	case 2:
		return text(sweep.BySubject, "sale", "hello")
	case 3:
		return sweep.Criteria{Op: sweep.Before, Time: day(rapid.SampledFrom([]int{7, 30, 45, 90, 365}).Draw(t, "days"))}
	case 4:
		return sweep.Criteria{Op: sweep.After, Time: day(rapid.SampledFrom([]int{7, 10, 90, 200}).Draw(t, "days"))}
	case 5:
		return sweep.Criteria{Op: sweep.LargerThan, Number: rapid.SampledFrom([]int64{1_000, 20_010, 30_000, bigMail}).Draw(t, "bytes")}
	case 6:
		return sweep.Criteria{Op: sweep.SmallerThan, Number: rapid.SampledFrom([]int64{1_001, 20_011, 30_000}).Draw(t, "bytes")}
	case 7:
		return sweep.Criteria{Op: sweep.ByUnread, Flag: rapid.Bool().Draw(t, "flag")}
	case 8:
		return sweep.Criteria{Op: sweep.HasAttachment, Flag: rapid.Bool().Draw(t, "flag")}
	case 9:
		return text(sweep.ByLabel, "keep", "Mailsweep", "starred", "no such label")
	case 10:
		return text(sweep.In, "inbox", "archive", "anywhere")
	}
	return sweep.Criteria{Op: sweep.Replied, Flag: rapid.Bool().Draw(t, "flag")}
}

// drawChanges lets the box live on and tells its history.
func (b *box) drawChanges(t *rapid.T) (changes []Change) {
	for n := range rapid.IntRange(0, 15).Draw(t, "changes") {
		kind := rapid.IntRange(0, 4).Draw(t, "kind")
		switch {
		case kind == 0 || len(b.letters) == 0:
			l := drawLetter(t, 1_000+n)
			if rapid.IntRange(0, 4).Draw(t, "spam") == 0 {
				l.labels = map[string]bool{sweep.LabelSpam: true}
			}
			b.join(t, l)
			changes = append(changes, Change{Kind: Added, ID: l.id, Thread: l.thread, Labels: l.labelList()})
		case kind == 1:
			i := rapid.IntRange(0, len(b.letters)-1).Draw(t, "deleted")
			changes = append(changes, Change{Kind: Deleted, ID: b.letters[i].id, Thread: b.letters[i].thread})
			b.letters = slices.Delete(b.letters, i, i+1)
		default:
			changes = append(changes, b.letters[rapid.IntRange(0, len(b.letters)-1).Draw(t, "labelled")].relabel(t, b))
		}
	}
	return changes
}

func (l *letter) labelList() []string {
	out := []string{}
	for name := range l.labels {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (l *letter) relabel(t *rapid.T, b *box) Change {
	name := rapid.SampledFrom([]string{
		sweep.LabelInbox, sweep.LabelUnread, sweep.LabelStarred, sweep.LabelSpam, sweep.LabelTrash, "Label_1", "Label_9", "CATEGORY_SOCIAL",
	}).Draw(t, "label")
	if name == "Label_9" && !slices.ContainsFunc(b.labels, func(l Label) bool { return l.ID == name }) {
		b.labels = append(slices.Clone(b.labels), Label{ID: name, Name: "New", User: true})
	}
	c := Change{Kind: Labelled, ID: l.id, Thread: l.thread}
	if l.labels[name] {
		delete(l.labels, name)
		c.Removed = []string{name}
	} else {
		l.labels[name] = true
		c.Added = []string{name}
	}
	if rapid.Bool().Draw(t, "full set") {
		c.Labels = l.labelList()
	}
	return c
}

func (ix *Index) show(rows *roaring.Bitmap) string {
	var out []string
	for _, id := range ix.IDs(rows, OldestFirst) {
		out = append(out, strconv.FormatUint(uint64(id)&0xfffff, 10))
	}
	return fmt.Sprint(out)
}

func (ix *Index) reads(id sweep.MessageID) bool {
	row, ok := ix.Row(id)
	return ok && ix.read.Contains(row)
}
