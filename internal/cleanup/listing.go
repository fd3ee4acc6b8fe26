package cleanup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// parallel is how many listings run side by side; the Gmail adapter lowers what is in flight when Google objects.
const parallel = 8

// maxUserLabels is how many user labels are listed one by one; beyond, has:userlabels stands in for the rest.
const maxUserLabels = 100

// listTries is how often a listing begins anew because Gmail forgot how far it was, or what has happened since it began.
const listTries = 3

// listAll lists a search, beginning anew where Gmail no longer knows the next page. It hands on how many messages each page adds, and
// page's error, which ends it with what was found so far.
func (w *work) listAll(ctx context.Context, s gmail.Search, page func(added int) error) (found refs, err error) {
	most := 0
	for range listTries {
		found = found[:0]
		err = w.mbox.ListAll(ctx, s, func(refs []mailindex.Ref) error {
			found = append(found, refs...)
			added := max(0, len(found)-most)
			most += added
			return page(added)
		})
		if !errors.Is(err, gmail.ErrPageGone) {
			break
		}
	}
	return found, err
}

// collect lists all ids of a search.
func (w *work) collect(ctx context.Context, s gmail.Search) ([]sweep.MessageID, error) {
	found, err := w.listAll(ctx, s, func(int) error { return nil })
	return found.ids(), err
}

// sliceBounds cuts time into the ranges that are listed side by side: the ages of the report, then years back to Gmail's
// beginning, then everything before.
func sliceBounds(now time.Time) []time.Time {
	now = now.UTC().Truncate(time.Second)
	bounds := []time.Time{{}}
	oldest := now.AddDate(0, 0, -365)
	for year := 2004; year < oldest.Year(); year++ {
		bounds = append(bounds, time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	if start := time.Date(oldest.Year(), 1, 1, 0, 0, 0, 0, time.UTC); start.Before(oldest) {
		bounds = append(bounds, start)
	}
	cuts := mailindex.AgeCuts()
	for i := len(cuts) - 1; i >= 0; i-- {
		bounds = append(bounds, now.AddDate(0, 0, -cuts[i]))
	}
	// mail dated in the future exists: the last slice is open towards it, and cut where a later listing begins
	return append(bounds, now, now.AddDate(100, 0, 0))
}

// build lists the mailbox anew: every id by date range, then each dimension. What it does not list stays unknown. Unavailable, and
// gmail.ErrHistoryGone, when Gmail's history holds for no listing.
func (w *work) build(ctx context.Context) (*mailindex.Index, error) {
	for range listTries {
		ix, err := w.buildOnce(ctx)
		if !errors.Is(err, gmail.ErrHistoryGone) {
			return ix, err
		}
	}
	return nil, fmt.Errorf("%w: %w", sweep.Errorf(sweep.Unavailable, "Gmail's history does not reach back to the beginning of a listing"), gmail.ErrHistoryGone)
}

// buildOnce lists what an earlier claim of the job has not listed: history tells what became of the rest.
func (w *work) buildOnce(ctx context.Context) (*mailindex.Index, error) {
	profile, err := w.mbox.Profile(ctx)
	if err != nil {
		return nil, err
	}
	labels, err := w.mbox.Labels(ctx)
	if err != nil {
		return nil, err
	}
	l, resumed := w.listing(profile.HistoryID)
	ix, err := l.settled(ctx, profile.Messages, labels)
	if err == nil && resumed {
		_, err = w.follow(ctx, ix, ix.HistoryID)
	}
	if errors.Is(err, gmail.ErrHistoryGone) {
		return nil, err // what is kept is worth nothing without it
	}
	if err != nil {
		l.leave(ctx)
		return nil, err
	}
	w.listed = true
	return ix, nil
}

// index is the messages that were listed, of which nothing more is known yet.
func (l *listing) index(ctx context.Context, messages int) (*mailindex.Index, error) {
	l.beat.phase("listing messages", messages)
	b := mailindex.NewBuilder(l.kept.Bounds)
	if err := l.ranges(ctx, b); err != nil {
		return nil, err
	}
	ix := b.Finish(l.kept.At, l.kept.HistoryID)
	l.onRows(ix.RowsID())
	return ix, l.readAll(ctx, ix, sample(b.Torn(), maxEdges))
}

// label puts them into sets.
func (l *listing) label(ctx context.Context, ix *mailindex.Index, labels []gmail.Label) error {
	ix.SetLabels(l.known(labels))
	if err := l.sets(ctx, ix, l.dimensions(labels)); err != nil {
		return err
	}
	ix.Categories = ix.Len() == 0 || hasCategories(ix)
	if ix.Categories {
		return nil
	}
	personal, err := l.mbox.LabelCounts(ctx, sweep.Primary.CategoryLabel())
	ix.Categories = personal.Messages > 0
	if errors.Is(err, gmail.ErrLabelGone) {
		err = nil
	}
	return err
}

// hasCategories says whether any message carries a category that is listed: without Gmail's smart features none does.
func hasCategories(ix *mailindex.Index) bool {
	return slices.ContainsFunc(sweep.Categories()[1:], func(c sweep.Category) bool {
		carries := ix.Dimension(mailindex.LabelDimension(c.CategoryLabel()))
		return carries != nil && !carries.IsEmpty()
	})
}

// known marks the labels that we made.
func (w *work) known(labels []gmail.Label) []mailindex.Label {
	ours := map[string]bool{}
	for _, id := range w.target.LabelsMade {
		ours[id] = true
	}
	out := make([]mailindex.Label, 0, len(labels))
	for _, l := range labels {
		out = append(out, mailindex.Label{ID: l.ID, Name: l.Name, User: !l.System, Ours: ours[l.ID]})
	}
	return out
}

// sweep lists parts side by side, gives page what each finds, one page at a time, and tells take of each that is whole.
func (w *work) sweep(ctx context.Context, parts []gmail.Part, oldest time.Time, page func(part int, found []mailindex.Ref), take func(part int) error) error {
	var mu sync.Mutex
	s := &gmail.Sweep{Mailbox: w.mbox, Parts: parts, Oldest: oldest, Whole: take,
		Page: func(part int, found []mailindex.Ref) error {
			mu.Lock()
			defer mu.Unlock()
			page(part, found)
			return nil
		}}
	g, ctx := errgroup.WithContext(ctx)
	for range parallel {
		g.Go(safely(func() error { return s.Work(ctx) }))
	}
	return g.Wait()
}

// ranges lists the date ranges side by side. They are handed over oldest first: the early end of each is a second wide of its
// bound, and a message that two ranges show belongs to the older one.
func (l *listing) ranges(ctx context.Context, b *mailindex.Builder) error {
	n := len(l.kept.Bounds) - 1
	missing := l.missing(n)
	parts := make([]gmail.Part, len(missing))
	for p, i := range missing {
		parts[p] = gmail.Part{From: l.kept.Bounds[i], To: l.kept.Bounds[i+1]}
		if i == n-1 {
			parts[p].To = time.Time{}
		}
	}
	found := make([]mailindex.Packed, len(parts))
	page := func(p int, more []mailindex.Ref) {
		found[p].Append(more...)
		l.beat.advance(len(more))
	}
	err := l.sweep(ctx, parts, time.Time{}, page, func(p int) error {
		whole := found[p].Sorted()
		found[p] = mailindex.Packed{}
		return l.keep(ctx, entry{Range: missing[p], Found: &whole})
	})
	if err != nil {
		return err
	}
	l.paged = false
	for i := range n {
		found := l.kept.ranges[i]
		if err := b.AddPacked(i, found); err != nil {
			return err
		}
		if found.Len() >= gmail.PageSize {
			l.paged = true
			delete(l.kept.ranges, i) // it may be large, and the index has it now
		}
	}
	return nil
}

// dimension is one set to list. The larger side is listed too: what decides about acting is never told by its complement.
type dimension struct {
	name   string
	search gmail.Search
	holds  string // another dimension, all of which is in this one: the search lists the rest
}

func (w *work) dimensions(labels []gmail.Label) []dimension {
	wanted := map[string]bool{sweep.LabelInbox: true, sweep.LabelUnread: true, sweep.LabelStarred: true, sweep.LabelImportant: true, sweep.LabelSent: true, sweep.LabelDraft: true}
	for _, c := range sweep.Categories()[1:] { // primary is told by these and the inbox
		wanted[c.CategoryLabel()] = true
	}
	var dims []dimension
	users := 0
	for _, l := range labels {
		if l.System && !wanted[l.ID] || !l.System && users >= maxUserLabels {
			continue
		}
		if !l.System {
			users++
		}
		dims = append(dims, dimension{name: mailindex.LabelDimension(l.ID), search: gmail.Search{LabelIDs: []string{l.ID}}})
		delete(wanted, l.ID)
	}
	for id := range wanted { // a label that this mailbox does not have is a set that is known to be empty
		dims = append(dims, dimension{name: mailindex.LabelDimension(id)})
	}
	if users >= maxUserLabels {
		dims = append(dims, dimension{name: mailindex.UserLabelsDimension, search: gmail.Search{Q: "has:userlabels"}})
	}
	return append(dims, sizeDimensions()...)
}

// sizeDimensions are what is never told by history. Of the ladder each message is listed once, between its steps.
func sizeDimensions() []dimension {
	attachment, _ := gmail.SearchOf(sweep.Criteria{Op: sweep.HasAttachment, Flag: true})
	dims := []dimension{{name: mailindex.AttachmentDimension, search: attachment}}
	steps := mailindex.Ladder()
	for i, step := range steps {
		d := dimension{name: mailindex.LargerDimension(step), search: larger(step)}
		if i+1 < len(steps) {
			d.search.Q += " -" + larger(steps[i+1]).Q
			d.holds = mailindex.LargerDimension(steps[i+1])
		}
		dims = append(dims, d)
	}
	return append(dims, dimension{name: mailindex.EdgeDimension, search: edges(steps)})
}

func larger(step int64) gmail.Search {
	return mustSearch(sweep.Criteria{Op: sweep.LargerThan, Number: step})
}

// edges finds what two searches of neighbouring bytes tell apart at a step, whichever side Gmail counts it to.
func edges(steps []int64) gmail.Search {
	var either []string
	for _, step := range steps {
		either = append(either, "("+larger(step-1).Q+" -"+larger(step).Q+")")
	}
	return gmail.Search{Q: "{" + strings.Join(either, " ") + "}"}
}

// whole is what a dimension holds by the listings of it and of those within it.
func whole(d dimension, dims []dimension, found map[string]*mailindex.Found) *mailindex.Found {
	all := mailindex.NewFound()
	all.Join(found[d.name])
	for d.holds != "" {
		d = dims[slices.IndexFunc(dims, func(o dimension) bool { return o.name == d.holds })]
		all.Join(found[d.name])
	}
	return all
}

// sets lists what of the dimensions is not kept, and gives the index all of them.
func (l *listing) sets(ctx context.Context, ix *mailindex.Index, dims []dimension) error {
	var missing []dimension
	for _, d := range dims {
		if l.kept.dimensions[d.name] == nil {
			missing = append(missing, d)
		}
	}
	err := l.listSets(ctx, ix, missing, ix.Begins(), func(name string, found *mailindex.Found) error {
		return l.keep(ctx, entry{Name: name, Set: found})
	})
	if err != nil {
		return err
	}
	for _, d := range dims {
		ix.SetFound(d.name, whole(d, dims, l.kept.dimensions))
	}
	return nil
}

// listDimensions hands what it finds of the index's messages to take, one after the other.
func (w *work) listDimensions(ctx context.Context, ix *mailindex.Index, dims []dimension, take func(name string, found *mailindex.Found) error) error {
	return w.listSets(ctx, ix, dims, time.Time{}, take)
}

// listSets does so for mail of which hardly any is older than oldest, if that is known.
func (w *work) listSets(ctx context.Context, ix *mailindex.Index, dims []dimension, oldest time.Time, take func(name string, found *mailindex.Found) error) error {
	w.beat.phase("sorting by label and size", len(dims))
	var mu sync.Mutex
	one := func(name string, found *mailindex.Found) error {
		mu.Lock()
		defer mu.Unlock()
		w.beat.advance(1)
		return take(name, found)
	}
	var parts []gmail.Part
	var asked []string
	var found []*mailindex.Found
	for _, d := range dims {
		if d.search.Q == "" && len(d.search.LabelIDs) == 0 {
			if err := one(d.name, mailindex.NewFound()); err != nil {
				return err
			}
			continue
		}
		parts, asked, found = append(parts, gmail.Part{Search: d.search}), append(asked, d.name), append(found, mailindex.NewFound())
	}
	page := func(p int, more []mailindex.Ref) { found[p].Add(ix, more) }
	return w.sweep(ctx, parts, oldest, page, func(p int) error { return one(asked[p], found[p]) })
}
