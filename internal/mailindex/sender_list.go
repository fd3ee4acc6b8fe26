package mailindex

import (
	"cmp"
	"slices"

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
	people := make([]uint32, len(e.ix.people)-1)
	for i := range people {
		people[i] = uint32(i + 1)
	}
	out := slices.DeleteFunc(e.count(people, s), func(t sweep.Sender) bool { return t.Messages == 0 })
	slices.SortFunc(out, func(a, b sweep.Sender) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Address, b.Address))
	})
	return out
}

// count counts the mail of people, in their order.
func (e *evaluator) count(people []uint32, s sizing) []sweep.Sender {
	e.splitSenders()
	ix := e.ix
	counted, unread := flat(ix.counted()), flat(e.labelledYes(sweep.LabelUnread))
	unknown := roaring.And(e.unknown, ix.counted())
	complete, disputed := unknown.IsEmpty(), unknown.Intersects(ix.disputed)
	out := make([]sweep.Sender, len(people))
	for i, n := range people {
		p, t := ix.people[n], &out[i]
		*t = sweep.Sender{Address: p.address, Name: p.name, Domain: DomainOf(p.address), Unsubscribe: p.unsubscribe, Lists: p.lists}
		t.Exact = complete || !disputed && p.swept > unknown.Maximum()
		for _, row := range e.bySender()[n] {
			if counted.has(row) {
				read := ix.read.Contains(row)
				t.Exact = t.Exact && read
				if read {
					t.Verified++
				}
				ix.count(t, row, unread, s)
			}
		}
	}
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
