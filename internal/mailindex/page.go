package mailindex

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"mailsweep/internal/sweep"
)

// A page has pageSize entries where nothing else is asked for, and at most maxPage.
const (
	pageSize = 50
	maxPage  = 500
)

// Domains gives one page of the senders' registrable domains, those of most messages first. An unknown cursor is Invalid.
func (ix *Index) Domains(cursor string, limit int) (p sweep.DomainPage, err error) {
	after, err := parseCursor(cursor)
	if err != nil {
		return p, err
	}
	r := ix.report(ix.counted(), ix.AsOf)
	all := domainList(r.e.senderList(r.size))
	p.AsOf, p.Total = ix.AsOf, len(all)
	p.Exact = r.allAttributed() && !slices.ContainsFunc(all, func(d sweep.Domain) bool { return !d.Exact })
	p.Items, p.Next = pageAfter(after, all, limit, func(d sweep.Domain) int64 { return int64(d.Messages) }, func(d sweep.Domain) string { return d.Domain })
	return p, nil
}

// Lists gives one page of the lists that mail names, those whose senders have most mail first. An unknown cursor is Invalid.
func (ix *Index) Lists(cursor string, limit int) (p sweep.MailingListPage, err error) {
	after, err := parseCursor(cursor)
	if err != nil {
		return p, err
	}
	all := listsOf(ix.evaluator(nil).senderList(ix.sizing()))
	p.AsOf, p.Total = ix.AsOf, len(all)
	p.Items, p.Next = pageAfter(after, all, limit, func(l sweep.MailingListGroup) int64 { return int64(l.SenderMessages) }, func(l sweep.MailingListGroup) string { return l.ID })
	return p, nil
}

// pageAfter cuts a page out of what is sorted by rank, the highest first, then by name; next is the cursor of the page behind it, "" at the end.
func pageAfter[T any](after cursor, all []T, limit int, rank func(T) int64, name func(T) string) (page []T, next string) {
	if limit <= 0 {
		limit = pageSize
	}
	limit = min(limit, maxPage)
	for _, one := range all {
		if !after.before(rank(one), name(one)) {
			continue
		}
		if len(page) == limit {
			last := page[limit-1]
			return page, cursor{rank(last), name(last), true}.String()
		}
		page = append(page, one)
	}
	return page, ""
}

// cursor is the place in an order after which the next page begins; it stays good when counts change in between.
type cursor struct {
	rank int64
	name string
	set  bool
}

func (c cursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(c.rank, 36) + " " + c.name))
}

// before says whether what has this rank and name comes later.
func (c cursor) before(rank int64, name string) bool {
	return !c.set || rank < c.rank || rank == c.rank && name > c.name
}

func parseCursor(s string) (cursor, error) {
	if s == "" {
		return cursor{}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	rank, name, ok := strings.Cut(string(b), " ")
	n, numErr := strconv.ParseInt(rank, 36, 64)
	if err != nil || !ok || numErr != nil {
		return cursor{}, sweep.Errorf(sweep.Invalid, "the cursor is not valid").At("cursor", "must be one that a page gave")
	}
	return cursor{n, name, true}, nil
}
