package mailindex

import (
	"cmp"
	"slices"
	"strings"

	"mailsweep/internal/sweep"
)

// SenderQuery asks for a page of senders. Sort is messages (the default), unread, bytes, last or address; Filter a part of address
// or name, without regard to case; Safety a grade, "" for any; Cursor what the page before gave as next; Limit at most 500, by default 50.
type SenderQuery struct {
	Sort   string
	Filter string
	Safety sweep.Grade
	Cursor string
	Limit  int
}

// ranking adds a message to the rank of its sender: senders of the highest rank come first, those of one rank by address.
type ranking func(rank *int64, row uint32)

// rankings are the ways to sort senders.
func (e *evaluator) rankings(size sizing) map[string]ranking {
	unread := flat(e.labelledYes(sweep.LabelUnread))
	return map[string]ranking{
		"messages": func(rank *int64, _ uint32) { *rank++ },
		"unread": func(rank *int64, row uint32) {
			if unread.has(row) {
				*rank++
			}
		},
		"bytes":   func(rank *int64, row uint32) { *rank += size.of(row) },
		"last":    func(rank *int64, row uint32) { *rank = max(*rank, e.ix.around(row).Unix()) },
		"address": func(*int64, uint32) {},
	}
}

// ranked is a sender and its place in an order.
type ranked struct {
	person uint32
	rank   int64
}

// rank gives the rank of every sender that has mail.
func (e *evaluator) rank(by ranking) (list []ranked) {
	counted := flat(e.ix.counted())
	ranks, has := make([]int64, len(e.ix.people)), make([]bool, len(e.ix.people))
	for row, n := range e.ix.senders {
		if counted.has(uint32(row)) {
			has[n] = true
			by(&ranks[n], uint32(row))
		}
	}
	for n := 1; n < len(ranks); n++ {
		if has[n] {
			list = append(list, ranked{uint32(n), ranks[n]})
		}
	}
	return list
}

// Senders gives one page of all senders and the cursor of the next page, "" at the end. An unknown sort, grade or cursor is Invalid. The
// keep list and our labels in o count for how safe a sender is. Only the page's senders are counted whole: what all of fifty thousand need
// is what they are sorted and filtered by.
func (ix *Index) Senders(q SenderQuery, o SelectOptions) (page []sweep.Sender, next string, err error) {
	e, size := ix.evaluator(nil), ix.sizing()
	by, after, err := order(q, e.rankings(size))
	if err != nil {
		return nil, "", err
	}
	address := func(r ranked) string { return ix.people[r.person].address }
	all := slices.DeleteFunc(e.rank(by), func(r ranked) bool { return !after.before(r.rank, address(r)) })
	all = e.filtered(all, q, o)
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(address(a), address(b)))
	})
	chosen, next := pageAfter(after, all, q.Limit, func(r ranked) int64 { return r.rank }, address)
	people := make([]uint32, len(chosen))
	for i, r := range chosen {
		people[i] = r.person
	}
	page = e.count(people, size)
	e.grade(page, o)
	return page, next, nil
}

// order reads how a query wants senders sorted, and after which place.
func order(q SenderQuery, rankings map[string]ranking) (by ranking, after cursor, err error) {
	by, ok := rankings[cmp.Or(q.Sort, "messages")]
	if !ok {
		return nil, after, sweep.Errorf(sweep.Invalid, "no such order").At("sort", "must be messages, unread, bytes, last or address")
	}
	if !slices.Contains([]sweep.Grade{"", sweep.GradeSafe, sweep.GradeCareful, sweep.GradeKeep}, q.Safety) {
		return nil, after, sweep.Errorf(sweep.Invalid, "no such grade").At("safety", "must be safe, careful or keep")
	}
	after, err = parseCursor(q.Cursor)
	return by, after, err
}

// filtered leaves those that a query asks for.
func (e *evaluator) filtered(all []ranked, q SenderQuery, o SelectOptions) []ranked {
	if filter := strings.ToLower(q.Filter); filter != "" {
		all = slices.DeleteFunc(all, func(r ranked) bool {
			p := e.ix.people[r.person]
			return !strings.Contains(p.address, filter) && !strings.Contains(strings.ToLower(p.name), filter)
		})
	}
	if q.Safety != "" {
		g := e.grader(o)
		all = slices.DeleteFunc(all, func(r ranked) bool { return g.of(r.person).Grade() != q.Safety })
	}
	return all
}

// AllSenders lists every sender, by address. The keep list and our labels in o count for how safe each is.
func (ix *Index) AllSenders(o SelectOptions) []sweep.Sender {
	e := ix.evaluator(nil)
	all := e.senderList(ix.sizing())
	e.grade(all, o)
	slices.SortFunc(all, func(a, b sweep.Sender) int { return cmp.Compare(a.Address, b.Address) })
	return all
}
