package cleanup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// loadIndex opens a mailbox's index; nil if it was never analyzed, or by a program whose form of an index this one does not know.
func loadIndex(tx *store.Tx, box *secret.Box, mailbox sweep.ID) (*mailindex.Index, error) {
	ix, _, err := readIndex(tx, box, mailbox)
	return ix, err
}

// readIndex also gives the version of what is stored, be it readable or not; 0: nothing is.
func readIndex(tx *store.Tx, box *secret.Box, mailbox sweep.ID) (ix *mailindex.Index, version int64, err error) {
	ix, err = mailindex.Decode(func(yield func(mailindex.Segment, error) bool) {
		for sealed, err := range tx.Index(mailbox) {
			s := mailindex.Segment{Name: sealed.Name}
			if err == nil {
				version = sealed.Version
				s.Data, err = box.Open(sealed.Sealed, mailboxPart(mailbox, "index|"+s.Name))
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	})
	if errors.Is(err, mailindex.ErrCorrupt) {
		return nil, version, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read index: %w", err)
	}
	ix.Version = version
	return ix, version, nil
}

// saveIndex seals and writes a mailbox's index. Where another job saved one since this was read, what both know is saved: labels as of the
// newer history, senders of both.
func saveIndex(tx *store.Tx, box *secret.Box, mailbox sweep.ID, ix *mailindex.Index) error {
	saved, err := writeIndex(tx, box, mailbox, ix)
	if err != nil || saved {
		return err
	}
	theirs, version, err := readIndex(tx, box, mailbox)
	if err != nil {
		return err
	}
	if theirs == nil && version == 0 {
		return nil // the mailbox's knowledge was deleted meanwhile, and is not to come back
	}
	if theirs == nil {
		ix.Version = version
		_, err = writeIndex(tx, box, mailbox, ix)
		return err
	}
	if theirs.HistoryID > ix.HistoryID {
		theirs.Inherit(ix)
		_, err = writeIndex(tx, box, mailbox, theirs) // ix stays at its version: it misses history, and is merged again
		return err
	}
	ix.Inherit(theirs)
	ix.Version = theirs.Version
	_, err = writeIndex(tx, box, mailbox, ix)
	return err
}

// writeIndex saves an index in the place of the version from which it was made.
func writeIndex(tx *store.Tx, box *secret.Box, mailbox sweep.ID, ix *mailindex.Index) (saved bool, err error) {
	version := max(tx.Now.UnixNano(), ix.Version+1)
	if saved, err = tx.SaveIndex(mailbox, sealedSegments(box, mailbox, ix), ix.Version, version, ix.AsOf); saved {
		ix.Version = version
	}
	return saved, err
}

// sealedSegments seals an index segment by segment: that of a large mailbox is not held whole.
func sealedSegments(box *secret.Box, mailbox sweep.ID, ix *mailindex.Index) iter.Seq2[store.SealedSegment, error] {
	return func(yield func(store.SealedSegment, error) bool) {
		for s, err := range ix.Encode() {
			sealed := store.SealedSegment{Name: s.Name}
			if err == nil {
				sealed.Sealed, err = box.Seal(s.Data, mailboxPart(mailbox, "index|"+s.Name))
			}
			if err != nil {
				yield(store.SealedSegment{}, fmt.Errorf("seal index: %w", err))
				return
			}
			if !yield(sealed, nil) {
				return
			}
		}
	}
}

// withIndex hands f the decoded index of a mailbox that was analyzed; NotFound before.
func (s *Service) withIndex(ctx context.Context, customer, mailbox sweep.ID, f func(*store.Tx, store.Target, *mailindex.Index) error) error {
	return s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		target, err := tx.Target(mailbox)
		if err != nil {
			return err
		}
		box, err := s.box(tx)
		if err != nil {
			return err
		}
		ix, err := loadIndex(tx, box, target.Mailbox)
		if err != nil {
			return err
		}
		if ix == nil {
			return sweep.Errorf(sweep.NotFound, "this mailbox has not been analyzed yet").OfOwn()
		}
		return f(tx, target, ix)
	})
}

// Analysis gives the latest result of a mailbox; NotFound before the first.
func (s *Service) Analysis(ctx context.Context, customer, mailbox sweep.ID) (a sweep.Analysis, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		target, err := tx.Target(mailbox)
		if err != nil {
			return err
		}
		if target.Analysis == nil {
			return sweep.Errorf(sweep.NotFound, "this mailbox has not been analyzed yet").OfOwn()
		}
		box, err := s.box(tx)
		if err != nil {
			return err
		}
		return unseal(box, target.Analysis, mailboxPart(target.Mailbox, "analysis"), &a)
	})
	return a, err
}

// Senders pages through all senders of a mailbox.
func (s *Service) Senders(ctx context.Context, customer, mailbox sweep.ID, q SenderQuery) (senders []sweep.Sender, next string, err error) {
	err = s.withIndex(ctx, customer, mailbox, func(tx *store.Tx, t store.Target, ix *mailindex.Index) error {
		keep, err := tx.Keep()
		if err != nil {
			return err
		}
		senders, next, err = ix.Senders(q, mailindex.SelectOptions{KeepList: keep, OurLabels: t.LabelsMade})
		return err
	})
	return senders, next, err
}

// Domains pages through all domains of a mailbox's senders.
func (s *Service) Domains(ctx context.Context, customer, mailbox sweep.ID, cursor string, limit int) (page sweep.DomainPage, err error) {
	err = s.withIndex(ctx, customer, mailbox, func(_ *store.Tx, _ store.Target, ix *mailindex.Index) (err error) {
		page, err = ix.Domains(cursor, limit)
		return err
	})
	return page, err
}

// Lists pages through all mailing lists that a mailbox's mail names.
func (s *Service) Lists(ctx context.Context, customer, mailbox sweep.ID, cursor string, limit int) (page sweep.MailingListPage, err error) {
	err = s.withIndex(ctx, customer, mailbox, func(_ *store.Tx, _ store.Target, ix *mailindex.Index) (err error) {
		page, err = ix.Lists(cursor, limit)
		return err
	})
	return page, err
}

// Largest lists the mailbox's n largest messages as far as sizes are known.
func (s *Service) Largest(ctx context.Context, customer, mailbox sweep.ID, n int) (list []sweep.LargeMessage, err error) {
	err = s.withIndex(ctx, customer, mailbox, func(_ *store.Tx, _ store.Target, ix *mailindex.Index) error {
		list = ix.Largest(n)
		return nil
	})
	return list, err
}

// Count tells how many messages of the index match, at no unit of Gmail's quota.
func (s *Service) Count(ctx context.Context, customer sweep.ID, t Target, c sweep.Criteria) (r CountResult, err error) {
	err = s.withIndex(ctx, customer, t.Mailbox, func(tx *store.Tx, _ store.Target, ix *mailindex.Index) error {
		if err := categoriesKnown(ix, c); err != nil {
			return err
		}
		verdict := ix.Evaluate(plannable(c.Freeze(tx.Now)), nil)
		r = CountResult{Matched: int(verdict.Yes.GetCardinality()), Undetermined: int(verdict.Maybe.GetCardinality()), AsOf: ix.AsOf}
		r.Exact = r.Undetermined == 0
		return nil
	})
	return r, err
}

// plannable leaves out what never enters a plan, so that a live count is the plan's before protections.
func plannable(c sweep.Criteria) sweep.Criteria {
	all := []sweep.Criteria{c}
	for _, label := range []string{sweep.LabelTrash, sweep.LabelSpam, sweep.LabelSent, sweep.LabelDraft} {
		all = append(all, sweep.Criteria{Op: sweep.Not, Kids: []sweep.Criteria{{Op: sweep.ByLabel, Text: label}}})
	}
	return sweep.Criteria{Op: sweep.All, Kids: all}
}

// categoriesKnown refuses category leaves for a mailbox without categories, also under not.
func categoriesKnown(ix *mailindex.Index, c sweep.Criteria) error {
	if !ix.Categories && c.Uses(sweep.ByCategory) {
		return sweep.Errorf(sweep.CategoriesUnavailable, "this mailbox has no categories: Gmail's smart features are switched off").At("body.criteria", "uses a category")
	}
	return nil
}

const pageOfMessages = 100

// PlanMessages pages through the frozen set, and with protected through what was kept back. Sender and size come from the index.
func (s *Service) PlanMessages(ctx context.Context, customer, plan sweep.ID, sender, cursor string, protected bool) (page []sweep.PlanMessage, next string, err error) {
	start := 0
	if cursor != "" {
		if start, err = strconv.Atoi(cursor); err != nil || start < 0 {
			return nil, "", sweep.Errorf(sweep.Invalid, "this cursor is not one of ours").At("query.cursor", "is not a cursor of this list")
		}
	}
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		row, _, box, err := s.openPlan(tx, plan)
		if err != nil {
			return err
		}
		members, err := planMembers(box, row, protected)
		if err != nil {
			return err
		}
		ix, err := loadIndex(tx, box, row.Mailbox)
		if err != nil {
			return err
		}
		page, next = describe(ix, members, sender, start)
		return nil
	})
	return page, next, err
}

// member is a message of a plan, or one kept back and why.
type member struct {
	id     sweep.MessageID
	reason sweep.Reason
}

func planMembers(box *secret.Box, row store.PlanRow, protected bool) (list []member, err error) {
	if !protected {
		var set ids
		err = unseal(box, row.IDs, planPart(row.ID, "ids"), &set)
		for _, id := range set {
			list = append(list, member{id: id})
		}
		return list, err
	}
	var kept map[sweep.Reason]ids
	err = unseal(box, row.Kept, planPart(row.ID, "kept"), &kept)
	for reason, set := range kept {
		for _, id := range set {
			list = append(list, member{id, reason})
		}
	}
	slices.SortFunc(list, func(a, b member) int { return int(int64(a.id>>1) - int64(b.id>>1)) })
	return list, err
}

// describe fills one page from position start; the cursor is a position in the immutable set.
func describe(ix *mailindex.Index, members []member, sender string, start int) (page []sweep.PlanMessage, next string) {
	known := knowledge(ix, members[min(start, len(members)):])
	for i := start; i < len(members); i++ {
		if len(page) == pageOfMessages {
			return page, strconv.Itoa(i)
		}
		m := sweep.PlanMessage{ID: members[i].id.String(), Date: members[i].id.Time(), Protected: members[i].reason}
		if k, ok := known[members[i].id]; ok {
			m.Sender, m.Date, m.Size = k.Sender, k.Date, k.Size
		}
		if sender == "" || m.Sender == sender {
			page = append(page, m)
		}
	}
	return page, ""
}

// knowledge is what the index has of the members.
func knowledge(ix *mailindex.Index, members []member) map[sweep.MessageID]mailindex.Message {
	if ix == nil {
		return nil
	}
	list := make([]sweep.MessageID, 0, len(members))
	for _, m := range members {
		list = append(list, m.id)
	}
	known := make(map[sweep.MessageID]mailindex.Message, len(list))
	for _, m := range ix.Messages(ix.Rows(list), mailindex.OldestFirst) {
		known[m.ID] = m
	}
	return known
}

// frozenAt is the instant from which a plan's ages count.
func (h head) frozenAt() time.Time { return time.UnixMilli(h.FrozenAt).UTC() }
