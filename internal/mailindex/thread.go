package mailindex

import (
	"math/bits"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

// Gmail names a thread by its first message. A row's root is that message's row; of a thread whose first message was not there when the row
// was made, a stray's, it is the place of the thread's name among the strays.
const stray = 1 << 31

// rootOf is the root of a row that is being made.
func (ix *Index) rootOf(row uint32, id sweep.MessageID, thread sweep.ThreadID) uint32 {
	if sweep.MessageID(thread) == id {
		return row
	}
	if first, ok := ix.anyRow(sweep.MessageID(thread)); ok {
		return first
	}
	return ix.newStray(thread)
}

func (ix *Index) newStray(thread sweep.ThreadID) uint32 {
	ix.strays = append(ix.strays, thread)
	return stray | uint32(len(ix.strays)-1)
}

// settleStrays gives the rows whose thread's first message is there by now its row.
func (ix *Index) settleStrays() {
	strays := ix.strays
	ix.strays = nil
	for row, root := range ix.roots {
		if root&stray != 0 {
			ix.roots[row] = ix.rootOf(uint32(row), ix.ids[row], strays[root&^stray])
		}
	}
}

// thread is a row's thread.
func (ix *Index) thread(row uint32) sweep.ThreadID {
	root := ix.roots[row]
	if root&stray != 0 {
		return ix.strays[root&^stray]
	}
	return sweep.ThreadID(ix.ids[root])
}

// threadSet is a set of threads. One whose first message came after a stray of it is known by both.
type threadSet struct {
	ix     *Index
	firsts words
	names  map[sweep.ThreadID]struct{}
}

func (ix *Index) threadSet() threadSet {
	return threadSet{ix, ix.words(), map[sweep.ThreadID]struct{}{}}
}

func (s threadSet) add(thread sweep.ThreadID) {
	if first, ok := s.ix.anyRow(sweep.MessageID(thread)); ok {
		s.firsts.set(first)
	}
	s.names[thread] = struct{}{}
}

func (s threadSet) addOf(row uint32) {
	if root := s.ix.roots[row]; root&stray == 0 {
		s.firsts.set(root)
		return
	}
	s.add(s.ix.thread(row))
}

func (s threadSet) hasStray(thread sweep.ThreadID) bool {
	if _, named := s.names[thread]; named {
		return true
	}
	first, ok := s.ix.anyRow(sweep.MessageID(thread))
	return ok && s.firsts.has(first)
}

// rows is all of the threads that exists.
func (s threadSet) rows() *roaring.Bitmap {
	in := s.ix.words()
	for row, root := range s.ix.roots {
		if root&stray == 0 && s.firsts.has(root) || root&stray != 0 && s.hasStray(s.ix.strays[root&^stray]) {
			in.set(uint32(row))
		}
	}
	return roaring.And(in.bitmap(), s.ix.live)
}

// count is how many threads there are.
func (s threadSet) count() (n int) {
	for _, w := range s.firsts {
		n += bits.OnesCount64(w)
	}
	for thread := range s.names {
		if _, first := s.ix.anyRow(sweep.MessageID(thread)); !first {
			n++
		}
	}
	return n
}

// of is the threads of the messages of a set.
func (s threadSet) of(rows *roaring.Bitmap) threadSet {
	for it := rows.Iterator(); it.HasNext(); {
		s.addOf(it.Next())
	}
	return s
}

// threadsOf widens a set to whole threads.
func (ix *Index) threadsOf(rows *roaring.Bitmap) *roaring.Bitmap {
	if rows.IsEmpty() {
		return roaring.New()
	}
	return ix.threadSet().of(rows).rows()
}

func (ix *Index) threadCount(rows *roaring.Bitmap) int { return ix.threadSet().of(rows).count() }
