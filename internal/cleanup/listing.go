package cleanup

import (
	"context"
	"slices"
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

// collect lists all ids of a search.
func (w *work) collect(ctx context.Context, s gmail.Search) (found []sweep.MessageID, err error) {
	err = w.mbox.ListAll(ctx, s, func(refs []mailindex.Ref) error {
		for _, r := range refs {
			found = append(found, r.ID)
		}
		return nil
	})
	return found, err
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

// build lists the mailbox anew: every id by date range, then each dimension. What it does not list stays unknown.
func (w *work) build(ctx context.Context) (*mailindex.Index, error) {
	profile, err := w.mbox.Profile(ctx)
	if err != nil {
		return nil, err
	}
	labels, err := w.mbox.Labels(ctx)
	if err != nil {
		return nil, err
	}
	w.beat.phase("listing messages", profile.Messages)
	bounds := sliceBounds(w.c.Now)
	b := mailindex.NewBuilder(bounds)
	if err := w.listSlices(ctx, b, bounds); err != nil {
		return nil, err
	}
	ix := b.Finish(w.c.Now, profile.HistoryID)
	ix.SetLabels(w.known(labels))
	if err := w.listDimensions(ctx, ix, w.dimensions(labels)); err != nil {
		return nil, err
	}
	ix.Categories = ix.Len() == 0 || hasCategories(ix)
	return ix, nil
}

// hasCategories says whether any message carries a category: without Gmail's smart features none does.
func hasCategories(ix *mailindex.Index) bool {
	return slices.ContainsFunc(sweep.Categories(), func(c sweep.Category) bool {
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

// listSlices lists the date ranges side by side. They are handed over oldest first: the early end of each is a second wide of its
// bound, and a message that two ranges show belongs to the older one.
func (w *work) listSlices(ctx context.Context, b *mailindex.Builder, bounds []time.Time) error {
	found := make([][]mailindex.Ref, len(bounds)-1)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range found {
		to := bounds[i+1]
		if i == len(found)-1 {
			to = time.Time{}
		}
		g.Go(safely(func() error {
			return w.mbox.ListAll(ctx, gmail.During(bounds[i], to), func(refs []mailindex.Ref) error {
				w.beat.advance(len(refs))
				found[i] = append(found[i], refs...)
				return nil
			})
		}))
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, refs := range found {
		if err := b.AddSlice(i, refs); err != nil {
			return err
		}
	}
	return nil
}

// dimension is one set to list. The larger side is listed too: what decides about acting is never told by its complement.
type dimension struct {
	name   string
	search gmail.Search
}

func (w *work) dimensions(labels []gmail.Label) []dimension {
	wanted := map[string]bool{sweep.LabelInbox: true, sweep.LabelUnread: true, sweep.LabelStarred: true, sweep.LabelImportant: true, sweep.LabelSent: true, sweep.LabelDraft: true}
	for _, c := range sweep.Categories() {
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

func sizeDimensions() []dimension {
	attachment, _ := gmail.SearchOf(sweep.Criteria{Op: sweep.HasAttachment, Flag: true})
	dims := []dimension{{name: mailindex.AttachmentDimension, search: attachment}}
	for _, step := range mailindex.Ladder() {
		larger, _ := gmail.SearchOf(sweep.Criteria{Op: sweep.LargerThan, Number: step})
		dims = append(dims, dimension{name: mailindex.LargerDimension(step), search: larger})
	}
	return dims
}

func (w *work) listDimensions(ctx context.Context, ix *mailindex.Index, dims []dimension) error {
	w.beat.phase("sorting by label and size", len(dims))
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, d := range dims {
		g.Go(safely(func() (err error) {
			var found []sweep.MessageID
			if d.search.Q != "" || len(d.search.LabelIDs) > 0 {
				if found, err = w.collect(ctx, d.search); err != nil {
					return err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			ix.SetDimension(d.name, found)
			w.beat.advance(1)
			return nil
		}))
	}
	return g.Wait()
}
