package cleanup

import (
	"errors"
	"sync"
)

// errSpent ends what the budget does not cover.
var errSpent = errors.New("the budget is spent")

// budget is what a job may spend of Gmail's units on what it can do without. What calls on their way may cost is set aside, so that side by
// side they never pass it together.
type budget struct {
	units int64
	spent func() int64

	mu    sync.Mutex
	aside int64
}

// newBudget begins with units to spend, whatever was spent before.
func (w *work) newBudget(units int64) *budget {
	before := w.beat.spent()
	return &budget{units: units, spent: func() int64 { return w.beat.spent() - before }}
}

// remaining is what is neither spent nor set aside.
func (b *budget) remaining() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.units - b.spent() - b.aside
}

// take sets units aside for a call; errSpent when they are not there. The caller puts them back once the call is over and counts as spent.
func (b *budget) take(units int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent()+b.aside+units > b.units {
		return errSpent
	}
	b.aside += units
	return nil
}

func (b *budget) put(units int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.aside -= units
}
