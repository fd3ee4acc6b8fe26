package cleanup

import (
	"iter"
	"slices"

	"mailsweep/internal/sweep"
)

// table holds something of the messages of a list, in less room than a map. The zero value of V stands for nothing.
type table[V comparable] struct {
	of   ids // in order; all tables of a list share it
	held []V // by place in it; nil while nothing is held
	n    int // how many hold something
}

func over[V comparable](of ids) table[V] { return table[V]{of: of} }

// inOrder is a list in the order of its ids.
func inOrder(list ids) ids {
	if !slices.IsSorted(list) {
		list = slices.Clone(list)
		slices.Sort(list)
	}
	return list
}

// put holds v of a message of the list, or nothing of it any more.
func (t *table[V]) put(id sweep.MessageID, v V) {
	place, listed := slices.BinarySearch(t.of, id)
	var nothing V
	if !listed || t.held == nil && v == nothing {
		return
	}
	if t.held == nil {
		t.held = make([]V, len(t.of))
	}
	if t.held[place] != nothing {
		t.n--
	}
	if t.held[place] = v; v != nothing {
		t.n++
	}
}

// at is what is held of a message, of any.
func (t *table[V]) at(id sweep.MessageID) (v V) {
	if place, listed := slices.BinarySearch(t.of, id); listed && t.held != nil {
		v = t.held[place]
	}
	return v
}

// all are the messages of which something is held, in order.
func (t *table[V]) all() iter.Seq[sweep.MessageID] {
	var nothing V
	return func(yield func(sweep.MessageID) bool) {
		for place, v := range t.held {
			if v != nothing && !yield(t.of[place]) {
				return
			}
		}
	}
}
