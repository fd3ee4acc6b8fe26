package mailindex

import (
	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// grader is how the mailbox's messages were taken, as far as a sender's safety rests on it. What is not known is protected, as in Select.
type grader struct {
	e    *evaluator
	keep sweep.KeepList

	replied, starred, labelled, important, protected, bulk, unread, counted words
}

func (e *evaluator) grader(o SelectOptions) grader {
	replied, starred := e.wholeThreads(sweep.LabelSent), e.wholeThreads(sweep.LabelStarred)
	labelled, important := e.userLabelled(sweep.CleanupSpec{}, o), e.labelled(sweep.LabelImportant)
	bulk := roaring.New()
	for _, c := range []sweep.Category{sweep.Promotions, sweep.Social, sweep.Forums} {
		bulk.Or(e.labelledYes(c.CategoryLabel()))
	}
	return grader{
		e: e, keep: sweep.NewKeepList(o.KeepList),
		replied: flat(replied), starred: flat(starred), labelled: flat(labelled), important: flat(important), bulk: flat(bulk),
		protected: flat(roaring.FastOr(replied, starred, labelled, important)), unread: flat(e.labelledYes(sweep.LabelUnread)), counted: flat(e.ix.counted()),
	}
}

// of is the signs of somebody's mail.
func (g grader) of(person uint32) sweep.Signs {
	p := g.e.ix.people[person]
	s := sweep.Signs{OnKeepList: g.keep.Holds(p.address), MailingList: len(p.lists) > 0 || p.unsubscribe != sweep.NoWay}
	count := func(n *int, in words, row uint32) {
		if in.has(row) {
			*n++
		}
	}
	for _, row := range g.e.bySender()[person] {
		if !g.counted.has(row) {
			continue
		}
		s.Messages++
		count(&s.Unread, g.unread, row)
		count(&s.Replied, g.replied, row)
		count(&s.Starred, g.starred, row)
		count(&s.UserLabelled, g.labelled, row)
		count(&s.Important, g.important, row)
		count(&s.Protected, g.protected, row)
		count(&s.BulkTab, g.bulk, row)
	}
	return s
}

// grade fills in how safe it is to clean up what each of the senders sent.
func (e *evaluator) grade(senders []sweep.Sender, o SelectOptions) {
	g := e.grader(o)
	for i, t := range senders {
		senders[i].Safety = g.of(e.ix.byAddr[t.Address]).Safety()
	}
}
