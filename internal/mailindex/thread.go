package mailindex

import (
	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// threadsOf widens a set to whole threads.
func (ix *Index) threadsOf(rows *roaring.Bitmap) *roaring.Bitmap {
	if rows.IsEmpty() {
		return roaring.New()
	}
	in := make(map[sweep.ThreadID]struct{}, rows.GetCardinality())
	for it := rows.Iterator(); it.HasNext(); {
		in[ix.threads[it.Next()]] = struct{}{}
	}
	return roaring.And(ix.inThreads(in), ix.live)
}

func (ix *Index) inThreads(threads map[sweep.ThreadID]struct{}) *roaring.Bitmap {
	w := ix.words()
	for row, t := range ix.threads {
		if _, ok := threads[t]; ok {
			w.set(uint32(row))
		}
	}
	return w.bitmap()
}
