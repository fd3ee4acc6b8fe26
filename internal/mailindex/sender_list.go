package mailindex

import (
	"cmp"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// counted is the messages that reports speak of: all but spam and trash.
func (ix *Index) counted() *roaring.Bitmap { return roaring.AndNot(ix.live, ix.hidden()) }

// hidden is what listings leave out.
func (ix *Index) hidden() *roaring.Bitmap {
	return roaring.Or(ix.dims[LabelDimension(sweep.LabelSpam)].yes, ix.dims[LabelDimension(sweep.LabelTrash)].yes)
}

// senderList counts the mail of every sender, most messages first, then by address.
func (e *evaluator) senderList(s sizing) []sweep.Sender {
	e.splitSenders()
	ix := e.ix
	counted, unread := flat(ix.counted()), flat(e.labelledYes(sweep.LabelUnread))
	unknown := roaring.And(e.unknown, ix.counted())
	complete, disputed := unknown.IsEmpty(), unknown.Intersects(ix.disputed)
	var out []sweep.Sender
	for n, rows := range e.bySender()[1:] {
		p := ix.people[n+1]
		t := sweep.Sender{Address: p.address, Name: p.name, Domain: DomainOf(p.address), Unsubscribe: p.unsubscribe, Lists: p.lists}
		t.Exact = complete || !disputed && p.swept > unknown.Maximum()
		for _, row := range rows {
			if counted.has(row) {
				read := ix.read.Contains(row)
				t.Exact = t.Exact && read
				if read {
					t.Verified++
				}
				ix.count(&t, row, unread, s)
			}
		}
		if t.Messages > 0 {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, orders()["messages"].less)
	return out
}

func (e *evaluator) labelledYes(label string) *roaring.Bitmap {
	v, _ := e.dim(LabelDimension(label))
	return v.Yes
}

func (ix *Index) count(t *sweep.Sender, row uint32, unread words, s sizing) {
	t.Messages++
	if unread.has(row) {
		t.Unread++
	}
	t.Bytes += s.of(row)
	at := ix.around(row)
	if t.First.IsZero() || at.Before(t.First) {
		t.First = at
	}
	if at.After(t.Last) {
		t.Last = at
	}
}

// domainList sums senders by registrable domain, most messages first.
func domainList(senders []sweep.Sender) []sweep.Domain {
	byName := map[string]*sweep.Domain{}
	for _, t := range senders {
		d := byName[t.Domain]
		if d == nil {
			d = &sweep.Domain{Domain: t.Domain, Exact: true}
			byName[t.Domain] = d
		}
		d.Senders++
		d.Messages += t.Messages
		d.Unread += t.Unread
		d.Bytes += t.Bytes
		d.Exact = d.Exact && t.Exact
	}
	out := make([]sweep.Domain, 0, len(byName))
	for _, d := range byName {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b sweep.Domain) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Domain, b.Domain))
	})
	return out
}

// SenderQuery asks for a page of senders. Sort is messages (the default), unread, bytes, last or address; Filter a part of address
// or name, without regard to case; Cursor what the page before gave as next; Limit at most 500, by default 50.
type SenderQuery struct {
	Sort   string
	Filter string
	Cursor string
	Limit  int
}

// order is one way to sort senders: by rank, largest first, then by address.
type order struct{ rank func(sweep.Sender) int64 }

func orders() map[string]order {
	return map[string]order{
		"messages": {func(s sweep.Sender) int64 { return int64(s.Messages) }},
		"unread":   {func(s sweep.Sender) int64 { return int64(s.Unread) }},
		"bytes":    {func(s sweep.Sender) int64 { return s.Bytes }},
		"last":     {func(s sweep.Sender) int64 { return s.Last.Unix() }},
		"address":  {func(sweep.Sender) int64 { return 0 }},
	}
}

func (o order) less(a, b sweep.Sender) int {
	return cmp.Or(cmp.Compare(o.rank(b), o.rank(a)), cmp.Compare(a.Address, b.Address))
}

// Senders gives one page of all senders and the cursor of the next page, "" at the end. An unknown sort or cursor is Invalid.
func (ix *Index) Senders(q SenderQuery) (page []sweep.Sender, next string, err error) {
	o, ok := orders()[cmp.Or(q.Sort, "messages")]
	if !ok {
		return nil, "", sweep.Errorf(sweep.Invalid, "no such order").At("sort", "must be messages, unread, bytes, last or address")
	}
	after, err := parseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	all := ix.evaluator(nil).senderList(ix.sizing())
	slices.SortFunc(all, o.less)
	filter := strings.ToLower(q.Filter)
	all = slices.DeleteFunc(all, func(s sweep.Sender) bool {
		return !strings.Contains(s.Address, filter) && !strings.Contains(strings.ToLower(s.Name), filter)
	})
	page, next = pageAfter(after, all, q.Limit, o.rank, func(s sweep.Sender) string { return s.Address })
	return page, next, nil
}

// AllSenders lists every sender, by address.
func (ix *Index) AllSenders() []sweep.Sender {
	all := ix.evaluator(nil).senderList(ix.sizing())
	slices.SortFunc(all, orders()["address"].less)
	return all
}
