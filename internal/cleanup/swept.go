package cleanup

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// finder finds out who sent what, within a budget.
type finder struct {
	*work
	*budget
	ix     *mailindex.Index
	chance *rand.Rand // the same for each claim of a job
	mu     sync.Mutex // of both
}

func (w *work) finder(ix *mailindex.Index, units int64) *finder {
	seed := fnv.New64a()
	seed.Write(w.c.ID[:])
	return &finder{work: w, ix: ix, budget: w.newBudget(units), chance: rand.New(rand.NewPCG(seed.Sum64(), 1))}
}

// own sweeps the mailbox's own address, which need not be discovered.
func (f *finder) own(ctx context.Context) error {
	if len(f.ix.UnknownIn(mailindex.LabelDimension(sweep.LabelSent))) == 0 {
		return nil
	}
	profile, err := f.mbox.Profile(ctx)
	if err != nil {
		return err
	}
	_, err = f.sweepSender(ctx, profile.Email)
	return err
}

// read learns one message's headers and returns its sender.
func (f *finder) read(ctx context.Context, id sweep.MessageID) (string, error) {
	if err := f.take(unitsOfRead); err != nil {
		return "", err
	}
	defer f.put(unitsOfRead)
	return f.work.read(ctx, f.ix, &f.mu, id)
}

// tally is what the last sweeps brought. A sweep of a page costs a quarter of a read: where it brings less than a quarter of a message,
// reading on without sweeping brings more.
type tally struct{ sweeps, gained int }

// tallied is after how many sweeps those before count half.
const tallied = 64

func (t *tally) add(gained int) {
	if t.sweeps == tallied {
		t.sweeps, t.gained = t.sweeps/2, t.gained/2
	}
	t.sweeps, t.gained = t.sweeps+1, t.gained+gained
}

func (t *tally) pay() bool {
	return t.sweeps < tallied/2 || t.gained*unitsOfRead >= t.sweeps*unitsOfPage
}

// sweepRounds is how often a sender is swept whose search proved to find more than its mail.
const sweepRounds = 4

// tries is how many messages of a set that a search found are to be read, and to be the sender's, before the rest is believed to be: one
// more with each power of ten, as a read costs the same whatever it vouches for.
func tries(of int) (n int) {
	for n = 1; of >= 100; of /= 10 {
		n++
	}
	return n
}

// sweepSender attributes what Gmail's search finds from an address to it: 5 units per 500 messages instead of 20 each. The search matches
// runs of words, so strangers whose mail it finds too are swept before, and a sample is read. What stays doubtful stays without a sender.
func (f *finder) sweepSender(ctx context.Context, address string, under ...string) (gained int, err error) {
	search, ok := gmail.SearchOf(sweep.Criteria{Op: sweep.ByFrom, Text: address})
	if !ok || slices.Contains(under, address) {
		return 0, nil
	}
	found, whole, err := f.within(ctx, search)
	if err != nil {
		return 0, err
	}
	tried := map[string]bool{}
	for range sweepRounds {
		f.mu.Lock()
		n, strangers := f.ix.Sweep(address, found, whole)
		f.mu.Unlock()
		gained = n
		for _, s := range strangers {
			if tried[s] {
				return 0, nil
			}
			tried[s] = true
			if _, err := f.sweepSender(ctx, s, append(under, address)...); err != nil {
				return 0, err
			}
		}
		if len(strangers) > 0 {
			continue
		}
		if believed, err := f.sampled(ctx, address); err != nil || believed {
			return gained, err
		}
	}
	return 0, nil
}

// within lists a search as far as the budget goes; whole: to its end.
func (f *finder) within(ctx context.Context, search gmail.Search) (found []sweep.MessageID, whole bool, err error) {
	if f.take(unitsOfPage) != nil {
		return nil, false, nil
	}
	defer f.put(unitsOfPage)
	list, err := f.listAll(ctx, search, func(int) error {
		if f.remaining() < 0 {
			return errSpent // what is set aside for the next page is no longer there
		}
		return nil
	})
	if errors.Is(err, errSpent) {
		return list.ids(), false, nil
	}
	return list.ids(), err == nil, err
}

// sampled reads as many as are wanted of what only a search gave to an address, but for those that were read before, and says whether the
// rest is still believed. What cannot be tried is not.
func (f *finder) sampled(ctx context.Context, address string) (believed bool, err error) {
	f.mu.Lock()
	unread, read := f.ix.Swept(address)
	f.chance.Shuffle(len(unread), func(i, j int) { unread[i], unread[j] = unread[j], unread[i] })
	f.mu.Unlock()
	for _, id := range unread[:max(0, min(len(unread), tries(len(unread))-read))] {
		_, err := f.read(ctx, id)
		if errors.Is(err, errSpent) {
			f.mu.Lock()
			f.ix.Distrust(address)
			f.mu.Unlock()
		}
		if err != nil {
			return false, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	rest, _ := f.ix.Swept(address)
	return len(rest) > 0 || len(unread) == 0, nil
}
