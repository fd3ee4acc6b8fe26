package cleanup

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// showEvery is how often an analysis at work shows what it has found, at most.
const showEvery = 5 * time.Second

// paint shows the counts that Gmail itself keeps, a second after the click and for a unit each: all but the listing knows better.
func (w *work) paint(ctx context.Context) error {
	counts, err := w.labelCounts(ctx)
	if err != nil {
		return err
	}
	profile, err := w.mbox.Profile(ctx)
	if err != nil {
		return err
	}
	spam, trash := counts[sweep.LabelSpam], counts[sweep.LabelTrash]
	a := sweep.Analysis{Stage: sweep.StageCounts, AsOf: w.c.Now, Messages: max(0, profile.Messages-spam.Messages-trash.Messages), Threads: profile.Threads,
		Unread: max(0, counts[sweep.LabelUnread].Messages-spam.Unread-trash.Unread), ByCategory: map[sweep.Category]sweep.Block{}}
	for _, c := range sweep.Categories() {
		if n := counts[c.CategoryLabel()]; n.Messages > 0 {
			a.ByCategory[c] = sweep.Block{Messages: n.Messages, Unread: n.Unread}
		}
	}
	return w.show(ctx, a)
}

// labelCounts asks side by side for what Gmail counts of the labels that a first picture shows.
func (w *work) labelCounts(ctx context.Context) (map[string]gmail.LabelCounts, error) {
	labels := []string{sweep.LabelUnread, sweep.LabelSpam, sweep.LabelTrash}
	for _, c := range sweep.Categories() {
		labels = append(labels, c.CategoryLabel())
	}
	var mu sync.Mutex
	counts := map[string]gmail.LabelCounts{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, label := range labels {
		g.Go(safely(func() error {
			n, err := w.mbox.LabelCounts(ctx, label)
			if errors.Is(err, gmail.ErrLabelGone) {
				return nil // without smart features there are no categories
			}
			mu.Lock()
			defer mu.Unlock()
			counts[label] = n
			return err
		}))
	}
	return counts, g.Wait()
}

// picture is what the index tells at a stage.
func (w *work) picture(ix *mailindex.Index, stage sweep.Stage) sweep.Analysis {
	a := ix.Analysis(mailindex.SelectOptions{Now: w.c.Now, KeepList: w.keep, OurLabels: w.target.LabelsMade})
	a.Stage = stage
	return a
}

// show gives the job the result of a stage while it goes on.
func (w *work) show(ctx context.Context, a sweep.Analysis) error {
	a.UnitsSpent = w.beat.spent()
	a.Whole()
	sealed, err := seal(w.box, a, jobPart(w.c.ID, "result"))
	if err != nil {
		return err
	}
	return w.DB.Fenced(ctx, w.c, func(tx *store.Tx) error { return tx.Show(w.c, sealed) })
}
