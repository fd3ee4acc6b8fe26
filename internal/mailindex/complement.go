package mailindex

import (
	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// SetComplement is SetDimension told by the other side: the set is every message that a listing can show but ids. Worth it where the
// set is most of the mailbox.
func (ix *Index) SetComplement(name string, ids []sweep.MessageID) (ignored int) {
	others, ignored := ix.find(ids)
	rows := roaring.AndNot(ix.live, ix.hidden())
	rows.AndNot(others)
	ix.SetDimension(name, ix.IDs(rows, OldestFirst))
	return ignored
}
