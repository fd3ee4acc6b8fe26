package cleanup

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// follow brings the index up to date by Gmail's history (2 units per 500 changes) and returns what was touched since the given
// history id, which may be older than the index: replaying converges. gmail.ErrHistoryGone when history does not reach back.
func (w *work) follow(ctx context.Context, ix *mailindex.Index, since uint64) (mailindex.Touched, error) {
	var touched mailindex.Touched
	end, err := w.mbox.History(ctx, since, func(changes []mailindex.Change) error {
		t := ix.Apply(changes)
		touched.IDs = append(touched.IDs, t.IDs...)
		touched.Threads = append(touched.Threads, t.Threads...)
		return nil
	})
	if err != nil {
		return touched, err
	}
	ix.HistoryID = max(ix.HistoryID, end)
	ix.Categories = ix.Categories || hasCategories(ix)
	return touched, nil
}

// current is the mailbox's index as of now.
func (w *work) current(ctx context.Context) (*mailindex.Index, error) {
	ix, err := w.stored(ctx)
	if err != nil {
		return nil, err
	}
	return w.refreshed(ctx, ix)
}

// stored is the mailbox's index as it was saved; nil if it was never analyzed.
func (w *work) stored(ctx context.Context) (ix *mailindex.Index, err error) {
	err = w.DB.Tenant(ctx, w.c.CustomerID, func(tx *store.Tx) (err error) {
		ix, err = loadIndex(tx, w.box, w.target.Mailbox)
		return err
	})
	return ix, err
}

// refreshed follows history up to now; it lists the mailbox anew where there is no index or history does not reach back.
func (w *work) refreshed(ctx context.Context, ix *mailindex.Index) (*mailindex.Index, error) {
	if ix == nil {
		return w.build(ctx)
	}
	labels, err := w.mbox.Labels(ctx)
	if err != nil {
		return nil, err
	}
	ix.SetLabels(w.known(labels))
	if err := w.newLabels(ctx, ix, labels); err != nil {
		return nil, err
	}
	return w.catchUp(ctx, ix)
}

// catchUp follows history up to now, or lists the mailbox anew where history does not reach back.
func (w *work) catchUp(ctx context.Context, ix *mailindex.Index) (*mailindex.Index, error) {
	_, err := w.follow(ctx, ix, ix.HistoryID)
	if errors.Is(err, gmail.ErrHistoryGone) {
		return w.rebuild(ctx, ix)
	}
	return ix, err
}

// rebuild lists the mailbox anew. What an older index knows of its messages and never changes need not be found out again.
func (w *work) rebuild(ctx context.Context, old *mailindex.Index) (*mailindex.Index, error) {
	ix, err := w.build(ctx)
	if err == nil && old != nil {
		ix.Inherit(old)
		ix.Version = old.Version
	}
	return ix, err
}

// newLabels lists the user labels that came after the index was made: an unlisted protection would keep every message back.
func (w *work) newLabels(ctx context.Context, ix *mailindex.Index, labels []gmail.Label) error {
	var missing []dimension
	for _, l := range labels {
		name := mailindex.LabelDimension(l.ID)
		if !l.System && !ix.HasDimension(name) && len(missing) < maxUserLabels {
			missing = append(missing, dimension{name: name, search: gmail.Search{LabelIDs: []string{l.ID}}})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return w.listDimensions(ctx, ix, missing, func(name string, found *mailindex.Found) error {
		ix.SetFound(name, found)
		return nil
	})
}

// place learns date, size and attachments of the mail that history brought since the last listing, and moves the age bounds to now.
func (w *work) place(ctx context.Context, ix *mailindex.Index) error {
	now := w.c.Now.UTC().Truncate(time.Second)
	if err := w.ladder(ctx, ix); err != nil {
		return err
	}
	if err := w.placeFresh(ctx, ix, now); err != nil {
		return err
	}
	for cuts := ages(now); len(cuts) > 0; {
		var err error
		if cuts, err = w.cut(ctx, ix, cuts); err != nil {
			return err
		}
	}
	listed, _ := sliceStart(ix.Bounds(), now) // where the next listing of new mail begins
	ix.Merge(append(sliceBounds(now), listed))
	ix.AsOf = w.c.Now
	return w.readAll(ctx, ix, sample(ix.OnEdge(), maxEdges))
}

// ages are the cuts that reports ask about.
func ages(now time.Time) (cuts []time.Time) {
	for _, days := range mailindex.AgeCuts() {
		cuts = append(cuts, now.AddDate(0, 0, -days))
	}
	return cuts
}

// cut makes bounds of cuts. One search lists the parts before them, as it shows by its slice to which cut a message belongs; of cuts in the
// same slice all but the first are left for another time.
func (w *work) cut(ctx context.Context, ix *mailindex.Index, cuts []time.Time) (left []time.Time, err error) {
	var parts []time.Time
	var either []string
	from := map[time.Time]bool{}
	for _, c := range cuts {
		start, known := sliceStart(ix.Bounds(), c)
		switch {
		case known:
		case from[start]:
			left = append(left, c)
		default:
			from[start], parts = true, append(parts, c)
			either = append(either, "("+gmail.During(start, c).Q+")")
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	older, err := w.collect(ctx, gmail.Search{Q: "{" + strings.Join(either, " ") + "}"})
	if err != nil {
		return nil, err
	}
	for _, c := range parts {
		if err := w.readAll(ctx, ix, near(c, older)); err != nil {
			return nil, err
		}
		if err := ix.Split(c, older); err != nil {
			return nil, err
		}
	}
	return left, nil
}

func (w *work) placeFresh(ctx context.Context, ix *mailindex.Index, now time.Time) error {
	fresh := ix.Fresh()
	if fresh.IsEmpty() {
		return nil
	}
	from, _ := sliceStart(ix.Bounds(), now)
	since := gmail.During(from, now)
	recent, err := w.listAll(ctx, since, func(int) error { return nil })
	if err != nil {
		return err
	}
	if _, err := ix.Extend(now, recent); err != nil {
		return err
	}
	// mail that was imported under another date, or came back from spam or trash, is in no listing of what is new
	if err := w.readAll(ctx, ix, sample(ix.IDs(ix.Fresh(), mailindex.OldestFirst), maxEdges)); err != nil {
		return err
	}
	fresh.AndNot(ix.Fresh())
	return w.sizes(ctx, ix, since, func(name string, found *mailindex.Found) { ix.RefineFound(name, fresh, found) })
}

// sizes lists what is never told by history, of the mail that within finds.
func (w *work) sizes(ctx context.Context, ix *mailindex.Index, within gmail.Search, take func(name string, found *mailindex.Found)) error {
	dims, found := sizeDimensions(), map[string]*mailindex.Found{}
	for i := range dims {
		dims[i].search = dims[i].search.And(within)
	}
	err := w.listDimensions(ctx, ix, dims, func(name string, list *mailindex.Found) error {
		found[name] = list
		return nil
	})
	if err != nil {
		return err
	}
	for _, d := range dims {
		take(d.name, whole(d, dims, found))
	}
	return nil
}

// ladder lists the sizes anew where the index has other steps than are asked for today.
func (w *work) ladder(ctx context.Context, ix *mailindex.Index) error {
	ix.KeepLadder(mailindex.Ladder())
	if !slices.ContainsFunc(sizeDimensions(), func(d dimension) bool { return !ix.HasDimension(d.name) }) {
		return nil
	}
	return w.sizes(ctx, ix, gmail.Search{}, ix.SetFound)
}

// maxEdges is how many messages are read at most to tell on which side of a step or a bound they are.
const maxEdges = 50

// near gives the messages that arrived within two seconds of t: whether Gmail counts a bound's own second is not documented.
func near(t time.Time, list []sweep.MessageID) (close []sweep.MessageID) {
	for _, id := range list {
		if d := id.Time().Sub(t).Abs(); d <= 2*time.Second {
			close = append(close, id)
		}
	}
	return close
}

// sliceStart is the bound below cut, and whether cut is a bound itself.
func sliceStart(bounds []time.Time, cut time.Time) (from time.Time, known bool) {
	for _, b := range bounds {
		if b.Equal(cut) {
			return b, true
		}
		if b.After(cut) {
			break
		}
		from = b
	}
	return from, false
}

// lister lists a search; whole: to its end.
type lister func(context.Context, gmail.Search) (found []sweep.MessageID, whole bool, err error)

// toTheEnd is the lister that has no budget.
func (w *work) toTheEnd(ctx context.Context, s gmail.Search) (found []sweep.MessageID, whole bool, err error) {
	found, err = w.collect(ctx, s)
	return found, err == nil, err
}

// ask lists at Gmail what the index does not know of the leaves, and nothing more. What is not listed whole stays undetermined.
func (w *work) ask(ctx context.Context, ix *mailindex.Index, needs []mailindex.Need, list lister) (mailindex.Listed, error) {
	listed := mailindex.Listed{}
	for _, n := range needs {
		search, ok := gmail.SearchOf(n.Leaf)
		if !ok {
			continue // cannot be asked: it stays undetermined, and undetermined never matches
		}
		if !n.After.IsZero() || !n.Before.IsZero() {
			search = gmail.During(n.After, n.Before)
			if !n.Rest && (n.Leaf.Op == sweep.Before || n.Leaf.Op == sweep.After) {
				search = search.And(mustSearch(n.Leaf))
			}
		}
		found, whole, err := list(ctx, search)
		if err != nil {
			return nil, err
		}
		if !whole {
			continue
		}
		l := ix.NewListing(found, n.Leaf.Op == sweep.ByFrom)
		l.Rest = n.Rest
		listed[n.Key] = l
	}
	return listed, nil
}

func mustSearch(leaf sweep.Criteria) gmail.Search {
	s, _ := gmail.SearchOf(leaf)
	return s
}

// knowKeepList lists what the keep list's entries find at Gmail where the index does not have it: a sender that is known from a search
// only could be one of them. The listings stay with the index; without, such mail is kept back.
func (w *work) knowKeepList(ctx context.Context, ix *mailindex.Index, spec sweep.CleanupSpec, list lister) error {
	if !spec.Protect.KeepList {
		return nil
	}
	for _, entry := range w.keep {
		search, ok := gmail.SearchOf(sweep.Criteria{Op: sweep.ByFrom, Text: entry})
		if !ok || ix.HasDimension(mailindex.FromDimension(entry)) {
			continue
		}
		found, whole, err := list(ctx, search)
		if err != nil {
			return err
		}
		if whole {
			ix.SetDimension(mailindex.FromDimension(entry), found)
		}
	}
	return nil
}
