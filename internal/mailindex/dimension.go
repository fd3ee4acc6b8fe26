package mailindex

import (
	"slices"
	"strconv"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// dimension is one set that Gmail listed: the rows in it, and the rows of which we do not know.
type dimension struct{ yes, unknown *roaring.Bitmap }

func newDimension() *dimension { return &dimension{yes: roaring.New(), unknown: roaring.New()} }

// The dimensions beside labels, sizes and senders. UserLabelsDimension is what Gmail lists as has:userlabels; it stands in for
// user labels that were not listed one by one. EdgeDimension is the messages whose size is a step of the ladder or a byte more: whether Gmail
// counts them above the step is not documented, and only their exact size tells.
const (
	EdgeDimension       = "edge"
	AttachmentDimension = "attachment"
	UserLabelsDimension = "userlabels"
)

const (
	labelPrefix  = "label:"
	largerPrefix = "larger:"
	fromPrefix   = "from:"
)

// LabelDimension names the set of messages with the label.
func LabelDimension(labelID string) string { return labelPrefix + labelID }

// LargerDimension names the set of messages of more than so many bytes.
func LargerDimension(bytes int64) string { return largerPrefix + strconv.FormatInt(bytes, 10) }

// FromDimension names the result of Gmail's from: search for an address or @domain, kept as a superset of its mail.
func FromDimension(pattern string) string { return fromPrefix + foldPattern(pattern) }

// SetDimension says that exactly ids are in the set. Ids that the index does not hold are ignored and counted. Messages in spam and
// trash keep what was known of them, as listings leave them out.
func (ix *Index) SetDimension(name string, ids []sweep.MessageID) (ignored int) {
	found, ignored := ix.find(ids)
	ix.setRows(name, found)
	return ignored
}

func (ix *Index) setRows(name string, found *roaring.Bitmap) {
	ix.learned = true
	d, hidden := &dimension{yes: found, unknown: roaring.New()}, ix.hidden()
	if old := ix.dims[name]; old != nil {
		d.yes.Or(roaring.And(old.yes, hidden))
		d.unknown = roaring.And(old.unknown, hidden)
	} else {
		d.unknown = roaring.AndNot(hidden, d.yes)
	}
	d.yes.RunOptimize()
	ix.dims[name] = d
}

// RefineDimension is SetDimension for the rows in among only; the rest stays as it was. The dimension must exist.
func (ix *Index) RefineDimension(name string, among *roaring.Bitmap, ids []sweep.MessageID) (ignored int) {
	if ix.dims[name] == nil {
		return len(ids)
	}
	found, ignored := ix.find(ids)
	ix.refine(name, among, found)
	return ignored
}

func (ix *Index) refine(name string, among, found *roaring.Bitmap) {
	d := ix.dims[name]
	ix.learned = true
	d.yes.AndNot(among)
	d.yes.Or(roaring.And(found, among))
	d.unknown.AndNot(among)
}

// Doubt says of sets that more may be in them than was listed.
func (ix *Index) Doubt(names []string) {
	for _, name := range names {
		if d := ix.dims[name]; d != nil {
			d.unknown = roaring.AndNot(ix.live, d.yes)
			ix.learned = true
		}
	}
}

// HasDimension says whether the set was listed.
func (ix *Index) HasDimension(name string) bool { return ix.dims[name] != nil }

// Dimension is a copy of the set, nil when it was not listed.
func (ix *Index) Dimension(name string) *roaring.Bitmap {
	if d := ix.dims[name]; d != nil {
		return d.yes.Clone()
	}
	return nil
}

// KeepLadder drops the sets of sizes that are none of steps.
func (ix *Index) KeepLadder(steps []int64) {
	for _, step := range ix.ladder() {
		if !slices.Contains(steps, step) {
			delete(ix.dims, LargerDimension(step))
			ix.learned = true
		}
	}
}

// ladder is the sizes that were listed, ascending.
func (ix *Index) ladder() (steps []int64) {
	for name := range ix.dims {
		if n, err := strconv.ParseInt(strings.TrimPrefix(name, largerPrefix), 10, 64); err == nil && strings.HasPrefix(name, largerPrefix) {
			steps = append(steps, n)
		}
	}
	slices.Sort(steps)
	return steps
}

// Label is one label of the mailbox. Ours: we made it, so it protects nothing.
type Label struct {
	ID   string
	Name string
	User bool
	Ours bool
}

// Labels is the mailbox's labels as last told.
func (ix *Index) Labels() []Label { return slices.Clone(ix.labels) }

// SetLabels replaces the table of labels. A user label that an earlier table did not have is newer than the listing: history tells
// all of its messages, so its set is known. The sets of labels that are gone are dropped.
func (ix *Index) SetLabels(labels []Label) {
	had := map[string]bool{}
	for _, l := range ix.labels {
		if l.User {
			had[l.ID] = true
		}
	}
	for _, l := range labels {
		if ix.labeled && l.User && !had[l.ID] {
			ix.newLabel(l.ID)
		}
		delete(had, l.ID)
	}
	for gone := range had {
		delete(ix.dims, LabelDimension(gone))
	}
	ix.learned = ix.learned || !slices.Equal(ix.labels, labels)
	ix.labels, ix.labeled = slices.Clone(labels), true
}

// newLabel makes the empty set of a label that was created after the listing.
func (ix *Index) newLabel(id string) {
	if name := LabelDimension(id); ix.dims[name] == nil {
		d := newDimension()
		d.unknown = ix.bare.Clone()
		ix.dims[name] = d
	}
}

// LabelID finds a label by its id or, without regard to case, its name. System labels are found by their ids.
func (ix *Index) LabelID(nameOrID string) (string, bool) {
	for _, l := range ix.labels {
		if strings.EqualFold(l.Name, nameOrID) {
			return l.ID, true
		}
	}
	for _, l := range ix.labels {
		if l.ID == nameOrID {
			return l.ID, true
		}
	}
	if id := strings.ToUpper(nameOrID); isSystemLabel(id) {
		return id, true
	}
	return "", false
}

func isSystemLabel(id string) bool {
	switch id {
	case sweep.LabelInbox, sweep.LabelUnread, sweep.LabelStarred, sweep.LabelImportant, sweep.LabelSent, sweep.LabelDraft,
		sweep.LabelSpam, sweep.LabelTrash, "CHAT":
		return true
	}
	return strings.HasPrefix(id, "CATEGORY_")
}
