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
	member := over[*group](r.order)
	for i, g := range r.groups {
		for _, id := range g.IDs {
			member.put(id, &r.groups[i])
		}
	}
	has := map[sweep.MessageID]map[string]bool{}
	_, err := r.mbox.History(ctx, r.run.HistoryTo, func(changes []mailindex.Change) error {
		for _, c := range changes {
			if member.at(c.ID) == nil || r.mine.at(c.ID) {
				continue
			}
			if c.Kind == mailindex.Deleted {
				r.gone.put(c.ID, true)
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
		if disturbed(*member.at(id), labels) {
			r.moved.put(id, true)
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
	all, err := r.collect(ctx, gmail.Search{})
	if err != nil {
		return err
	}
	present := r.among(all)
	for _, g := range r.groups {
		if err := r.compare(ctx, g, present, trashed, spam); err != nil {
			return err
		}
	}
	return nil
}

// labelled are the messages of the run that have a label: none where there is no such label.
func (r *reversal) labelled(ctx context.Context, label string) (*table[bool], error) {
	found, err := r.collect(ctx, gmail.WithLabel(label))
	if errors.Is(err, gmail.ErrLabelGone) {
		return r.among(nil), nil
	}
	return r.among(found), err
}

// among are those of the run's messages that were found.
func (r *reversal) among(found []sweep.MessageID) *table[bool] {
	set := over[bool](r.order)
	for _, id := range found {
		set.put(id, true)
	}
	return &set
}

func (r *reversal) compare(ctx context.Context, g group, present, trashed, spam *table[bool]) error {
	have := map[string]*table[bool]{sweep.LabelTrash: trashed, sweep.LabelSpam: spam}
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
		if r.mine.at(id) {
			continue
		}
		lacks := slices.ContainsFunc(g.Added, func(l string) bool { return !have[l].at(id) })
		again := slices.ContainsFunc(g.Removed, func(l string) bool { return have[l].at(id) })
		switch {
		case !present.at(id) && !trashed.at(id) && !spam.at(id):
			r.gone.put(id, true)
		case lacks || again || spam.at(id) || trashed.at(id) && !ownTrash:
			r.moved.put(id, true)
		}
	}
	return nil
}
