package cleanup

import (
	"context"
	"sync"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// How long, and of how many customers, what submissions are made from is kept. It is compared when a job is admitted and read again
// before one is refused, so that keeping it saves a round trip and changes no answer.
const (
	factsFor = 30 * time.Second
	factsOf  = 10_000
)

// facts are kept admissions. The zero value keeps none yet.
type facts struct {
	mu   sync.Mutex
	kept map[sweep.ID]keptFacts
}

type keptFacts struct {
	store.Admission
	read time.Time
}

// of gives a customer's facts, kept ones if there are any and fresh ones are not asked for.
func (f *facts) of(ctx context.Context, db *store.DB, customer sweep.ID, fresh bool) (a store.Admission, kept bool, err error) {
	if k, found := f.find(customer); found && !fresh {
		k.Now = k.Now.Add(time.Since(k.read))
		return k.Admission, true, nil
	}
	began := time.Now()
	if a, err = db.Admission(ctx, customer); err == nil {
		f.keep(keptFacts{a, began})
	}
	return a, false, err
}

func (f *facts) find(customer sweep.ID) (keptFacts, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, found := f.kept[customer]
	return k, found && time.Since(k.read) < factsFor
}

func (f *facts) keep(k keptFacts) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept == nil || len(f.kept) >= factsOf {
		f.kept = map[sweep.ID]keptFacts{} // all are read again: simpler than to find the oldest, and as rare
	}
	f.kept[k.ID] = k
}
