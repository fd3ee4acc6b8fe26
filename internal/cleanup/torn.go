package cleanup

import (
	"context"
	"slices"
	"strings"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// settled is the listing once nothing that it lists over several pages has lost a message meanwhile: where Gmail counts pages anew, each
// message that leaves a result lets the listing pass over another. What loses messages all the time stays in doubt.
func (l *listing) settled(ctx context.Context, messages int, labels []gmail.Label) (*mailindex.Index, error) {
	since, gone := l.kept.HistoryID, []mailindex.Change(nil)
	var ix *mailindex.Index
	for try := 1; ; try++ {
		if ix == nil {
			var err error
			if ix, err = l.index(ctx, messages); err != nil {
				return nil, err
			}
		}
		if err := l.label(ctx, ix, labels); err != nil {
			return nil, err
		}
		lost, end, err := l.lost(ctx, since)
		if err != nil {
			return nil, err
		}
		gone = append(gone, lost.gone...)
		ix.Apply(gone) // the labels that they had were perhaps not listed any more: nothing protects them
		torn := l.forget(lost)
		if torn == nil {
			return ix, nil
		}
		if try == listTries {
			ix.Doubt(torn)
			return ix, nil
		}
		if since = end; slices.Contains(torn, allMail) {
			ix = nil
		}
	}
}

// losses are the labels that messages lost, whether one left all listings, and what was deleted.
type losses struct {
	labels map[string]bool
	all    bool
	gone   []mailindex.Change
}

func (w *work) lost(ctx context.Context, since uint64) (lost losses, end uint64, err error) {
	lost.labels = map[string]bool{}
	end, err = w.mbox.History(ctx, since, func(changes []mailindex.Change) error {
		for _, c := range changes {
			lost.all = lost.all || c.Kind == mailindex.Deleted || slices.Contains(c.Added, sweep.LabelTrash) || slices.Contains(c.Added, sweep.LabelSpam)
			if c.Kind == mailindex.Deleted {
				lost.gone = append(lost.gone, c)
			}
			for _, label := range c.Removed {
				lost.labels[label] = true
			}
		}
		return nil
	})
	return lost, end, err
}

// of says whether a set may have lost messages.
func (lost losses) of(name string) bool {
	if lost.all || name == mailindex.UserLabelsDimension && len(lost.labels) > 0 {
		return true
	}
	label, isLabel := strings.CutPrefix(name, mailindex.LabelDimension(""))
	return isLabel && lost.labels[label]
}

// allMail is torn when a date range of more than a page is: all such are listed again.
const allMail = ""

// forget drops from what is kept the listings of more than a page that may have passed over messages, and names them; nil when there are none.
func (l *listing) forget(lost losses) (torn []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lost.all && l.paged {
		torn = append(torn, allMail)
	}
	for name, found := range l.kept.dimensions {
		if lost.of(name) && found.Listed() >= gmail.PageSize {
			delete(l.kept.dimensions, name)
			torn = append(torn, name)
		}
	}
	return torn
}
