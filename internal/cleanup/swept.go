package cleanup

import (
	"context"
	"errors"
	"slices"
	"sync"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// own gives the mail that was sent to the mailbox's address: what only the label says is tried by a sample, as what only a search says is.
func (w *work) own(ctx context.Context, ix *mailindex.Index, left func() int64) error {
	sent := ix.UnknownIn(mailindex.LabelDimension(sweep.LabelSent))
	if len(sent) < sampledFrom {
		return nil
	}
	profile, err := w.mbox.Profile(ctx)
	if err != nil {
		return err
	}
	ix.Sweep(profile.Email, sent, false)
	_, err = w.sampled(ctx, ix, new(sync.Mutex), profile.Email, left)
	return err
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

// How a swept set is tried: so many of its messages are read, of sets from a size on, and after a search that proved to find more than
// the sender's mail so often again.
const (
	samplesOfSweep = 2
	sampledFrom    = 20
	sweepRounds    = 4
)

// sweepSender attributes what Gmail's search finds from an address to it: 5 units per 500 messages instead of 20 each. The search matches
// runs of words, so strangers whose mail it finds too are swept before, and a sample is read. What stays doubtful stays without a sender.
func (w *work) sweepSender(ctx context.Context, ix *mailindex.Index, mu *sync.Mutex, address string, left func() int64, under ...string) (gained int, err error) {
	search, ok := gmail.SearchOf(sweep.Criteria{Op: sweep.ByFrom, Text: address})
	if !ok || slices.Contains(under, address) {
		return 0, nil
	}
	found, whole, err := w.within(ctx, search, left)
	if err != nil {
		return 0, err
	}
	tried := map[string]bool{}
	for range sweepRounds {
		mu.Lock()
		n, strangers := ix.Sweep(address, found, whole)
		mu.Unlock()
		gained = n
		for _, s := range strangers {
			if tried[s] || left() < margin {
				return 0, nil
			}
			tried[s] = true
			if _, err := w.sweepSender(ctx, ix, mu, s, left, append(under, address)...); err != nil {
				return 0, err
			}
		}
		if len(strangers) > 0 {
			continue
		}
		if believed, err := w.sampled(ctx, ix, mu, address, left); err != nil || believed {
			return gained, err
		}
	}
	return 0, nil
}

// within lists a search as far as the budget goes; whole: to its end.
func (w *work) within(ctx context.Context, search gmail.Search, left func() int64) (found []sweep.MessageID, whole bool, err error) {
	list, err := w.listAll(ctx, search, func(int) error {
		if left() < parallel*unitsOfPage {
			return errSpent
		}
		return nil
	})
	if errors.Is(err, errSpent) {
		return list.ids(), false, nil
	}
	return list.ids(), err == nil, err
}

// sampled reads some of what only a search gave to an address, and says whether that is still believed.
func (w *work) sampled(ctx context.Context, ix *mailindex.Index, mu *sync.Mutex, address string, left func() int64) (believed bool, err error) {
	mu.Lock()
	sample, of := ix.Unread(address, samplesOfSweep)
	mu.Unlock()
	if of < sampledFrom {
		return true, nil
	}
	for _, id := range sample {
		if left() < unitsOfRead {
			break
		}
		if _, err := w.read(ctx, ix, mu, id); err != nil {
			return false, err
		}
	}
	mu.Lock()
	defer mu.Unlock()
	_, rest := ix.Unread(address, 0)
	return rest > 0, nil
}
