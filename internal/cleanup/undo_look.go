package cleanup

import (
	"context"
	"errors"
	"slices"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// look finds out which messages are still as the run left them: by history since the run's end (2 units per 500 changes), or by
// listing the labels concerned where there is no such history.
func (r *reversal) look(ctx context.Context) error {
	err := gmail.ErrHistoryGone
	if r.run.HistoryTo > 0 {
		err = r.lookByHistory(ctx)
	}
	if errors.Is(err, gmail.ErrHistoryGone) {
		return r.lookByListing(ctx)
	}
	return err
}

func (r *reversal) lookByHistory(ctx context.Context) error {
	member := map[sweep.MessageID]group{}
	for _, g := range r.groups {
		for _, id := range g.IDs {
			member[id] = group{Added: g.Added, Removed: g.Removed}
		}
	}
	has := map[sweep.MessageID]map[string]bool{}
	_, err := r.mbox.History(ctx, r.run.HistoryTo, func(changes []mailindex.Change) error {
		for _, c := range changes {
			if _, ours := member[c.ID]; !ours || r.mine[c.ID] {
				continue
			}
			if c.Kind == mailindex.Deleted {
				r.gone[c.ID] = true
				continue
			}
			if has[c.ID] == nil {
				has[c.ID] = map[string]bool{}
			}
			for _, l := range c.Added {
				has[c.ID][l] = true
			}
			for _, l := range c.Removed {
				has[c.ID][l] = false
			}
		}
		return nil
	})
	for id, labels := range has {
		if disturbed(member[id], labels) {
			r.moved[id] = true
		}
	}
	return err
}

// disturbed says of labels changed since the run, as they are now, that they are not as the run left them, or that the message was moved
// to Trash or Spam.
func disturbed(g group, now map[string]bool) bool {
	for label, on := range now {
		added := slices.Contains(g.Added, label)
		away := label == sweep.LabelSpam || label == sweep.LabelTrash
		if on && (away && !added || slices.Contains(g.Removed, label)) || !on && added {
			return true
		}
	}
	return false
}

func (r *reversal) lookByListing(ctx context.Context) error {
	trashed, err := r.labelled(ctx, sweep.LabelTrash)
	if err != nil {
		return err
	}
	spam, err := r.labelled(ctx, sweep.LabelSpam)
	if err != nil {
		return err
	}
	present := map[sweep.MessageID]bool{}
	all, err := r.collect(ctx, gmail.Search{})
	if err != nil {
		return err
	}
	for _, id := range all {
		present[id] = true
	}
	for _, g := range r.groups {
		if err := r.compare(ctx, g, present, trashed, spam); err != nil {
			return err
		}
	}
	return nil
}

func (r *reversal) labelled(ctx context.Context, label string) (map[sweep.MessageID]bool, error) {
	found, err := r.collect(ctx, gmail.WithLabel(label))
	if errors.Is(err, gmail.ErrLabelGone) {
		return map[sweep.MessageID]bool{}, nil
	}
	set := make(map[sweep.MessageID]bool, len(found))
	for _, id := range found {
		set[id] = true
	}
	return set, err
}

func (r *reversal) compare(ctx context.Context, g group, present, trashed, spam map[sweep.MessageID]bool) error {
	have := map[string]map[sweep.MessageID]bool{sweep.LabelTrash: trashed, sweep.LabelSpam: spam}
	for _, l := range append(slices.Clone(g.Added), g.Removed...) {
		if have[l] == nil {
			set, err := r.labelled(ctx, l)
			if err != nil {
				return err
			}
			have[l] = set
		}
	}
	ownTrash := slices.Contains(g.Added, sweep.LabelTrash)
	for _, id := range g.IDs {
		if r.mine[id] {
			continue
		}
		lacks := slices.ContainsFunc(g.Added, func(l string) bool { return !have[l][id] })
		again := slices.ContainsFunc(g.Removed, func(l string) bool { return have[l][id] })
		switch {
		case !present[id] && !trashed[id] && !spam[id]:
			r.gone[id] = true
		case lacks || again || spam[id] || trashed[id] && !ownTrash:
			r.moved[id] = true
		}
	}
	return nil
}
