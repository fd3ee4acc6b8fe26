package cleanup

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Units of Gmail's tariff that decide what to read: messages.get 20, messages.list 5 per 500 ids.
const (
	unitsOfRead = 20
	unitsOfPage = 5
)

// saveEvery is how many units of sender work are done between two saves of the index: what a killed worker repeats at most.
const saveEvery = 5_000

// margin is what calls already under way may still spend when the budget is looked at: nothing new begins below it.
const margin = parallel * (unitsOfRead + 2*unitsOfPage)

// errYield parks an analysis while a writing job works on the mailbox: it goes on from the saved index.
var errYield = errors.New("another job works on this mailbox")

// errSpent ends a sweep whose next page the budget does not cover.
var errSpent = errors.New("the budget is spent")

// analyze lists the mailbox, or follows its history, learns senders within the plan's budget, and reports.
func (w *work) analyze(ctx context.Context) error {
	ix, err := w.stored(ctx)
	if err != nil {
		return err
	}
	if ix == nil {
		if err := w.paint(ctx); err != nil {
			return err
		}
	}
	if ix, err = w.refreshed(ctx, ix); err != nil {
		return err
	}
	if err := w.place(ctx, ix); err != nil {
		return err
	}
	if err := w.keepIndex(ctx, ix, w.listed); err != nil {
		return err
	}
	if err := w.show(ctx, w.picture(ix, sweep.StageFacets)); err != nil {
		return err
	}
	unknown := ix.Unattributed()
	if err := w.attribute(ctx, ix); err != nil {
		w.leave(ctx, ix, ix.Unattributed() < unknown)
		return err
	}
	if ix, err = w.catchUp(ctx, ix); err != nil {
		return err
	}
	report := w.picture(ix, sweep.StageDone)
	report.UnitsSpent = w.beat.spent()
	report.Whole()
	sealed, err := seal(w.box, report, mailboxPart(w.target.Mailbox, "analysis"))
	if err != nil {
		return err
	}
	w.beat.phase("done", ix.Len())
	w.beat.advance(ix.Len())
	return w.finish(ctx, report, store.Ending{State: sweep.Succeeded}, func(tx *store.Tx) error {
		if err := saveIndex(tx, w.box, w.target.Mailbox, ix); err != nil {
			return err
		}
		return tx.SaveAnalysis(w.target.Mailbox, sealed, report.AsOf)
	})
}

// keepIndex saves the index in the middle of the work: a later claim of the job follows history from here. gained says that it holds what
// the claim found out, and not only what every claim looks at first: a job that gets on is no poison.
func (w *work) keepIndex(ctx context.Context, ix *mailindex.Index, gained bool) error {
	return w.DB.Fenced(ctx, w.c, func(tx *store.Tx) error {
		if err := saveIndex(tx, w.box, w.target.Mailbox, ix); err != nil || !gained {
			return err
		}
		w.gotOn.Store(true)
		return tx.GotOn(w.c)
	})
}

// leave saves what was found out before the claim ends early, whatever ended it: a wait for quota must not cost what was paid for. Should
// that fail, it is found out again.
func (w *work) leave(ctx context.Context, ix *mailindex.Index, gained bool) {
	if err := w.keepIndex(context.WithoutCancel(ctx), ix, gained); err != nil {
		w.Log.WarnContext(ctx, "what was found out of senders is not kept", "error", err)
	}
}

// attribute finds out who sent what. Where the budget covers it every message is read, which is exact; else one unknown message is
// read and its sender swept by search, largest expected gain first.
func (w *work) attribute(ctx context.Context, ix *mailindex.Index) error {
	budget := int64(w.Plans.PlanAt(w.standing.Customer, w.c.Now).AnalysisUnits)
	left := func() int64 { return budget - w.beat.spent() }
	w.beat.phase("finding senders", ix.Len())
	w.beat.advance(ix.Len() - ix.Unattributed())
	seed := fnv.New64a()
	seed.Write(w.c.ID[:])
	chance := rand.New(rand.NewPCG(seed.Sum64(), 1))
	all := int64(ix.Unattributed())*unitsOfRead <= left()
	if !all {
		if err := w.own(ctx, ix, left); err != nil {
			return err
		}
	}
	var sweeps tally
	saved, shown := w.beat.spent(), time.Now()
	for ix.Unattributed() > 0 && left() > margin {
		if w.beat.mustYield() {
			return errors.Join(errYield, w.keepIndex(ctx, ix, false))
		}
		batch := ix.NextUnknown(parallel*4, chance)
		if len(batch) == 0 {
			return nil
		}
		before := ix.Unattributed()
		if err := w.learn(ctx, ix, batch, !all && sweeps.pay(), &sweeps, left); err != nil {
			return err
		}
		w.beat.advance(before - ix.Unattributed())
		if time.Since(shown) > cmp.Or(w.showEvery, showEvery) {
			if err := w.show(ctx, w.picture(ix, sweep.StageSenders)); err != nil {
				return err
			}
			shown = time.Now()
		}
		if w.beat.spent()-saved > cmp.Or(w.keepEvery, saveEvery) {
			saved = w.beat.spent()
			if err := w.keepIndex(ctx, ix, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// learn reads messages side by side; with sweeping, the sender of each new address is swept once.
func (w *work) learn(ctx context.Context, ix *mailindex.Index, batch []sweep.MessageID, sweeping bool, sweeps *tally, left func() int64) error {
	var mu sync.Mutex
	swept := map[string]bool{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, id := range batch {
		g.Go(safely(func() error {
			if attributed(ix, &mu, id) || left() < margin {
				return nil // swept meanwhile with a sibling's sender, or enough
			}
			address, err := w.read(ctx, ix, &mu, id)
			if err != nil || address == "" || !sweeping {
				return err
			}
			mu.Lock()
			again := swept[address]
			swept[address] = true
			mu.Unlock()
			if again {
				return nil
			}
			gained, err := w.sweepSender(ctx, ix, &mu, address, left)
			mu.Lock()
			defer mu.Unlock()
			sweeps.add(gained)
			return err
		}))
	}
	return g.Wait()
}

func attributed(ix *mailindex.Index, mu *sync.Mutex, id sweep.MessageID) bool {
	mu.Lock()
	defer mu.Unlock()
	return ix.Attributed(id)
}

// read learns one message's headers and returns its sender.
func (w *work) read(ctx context.Context, ix *mailindex.Index, mu *sync.Mutex, id sweep.MessageID) (string, error) {
	m, err := w.mbox.Read(ctx, id, false)
	if errors.Is(err, gmail.ErrGone) {
		mu.Lock()
		defer mu.Unlock()
		ix.Apply([]mailindex.Change{{Kind: mailindex.Deleted, ID: id}})
		return "", nil
	}
	if err != nil {
		return "", err
	}
	address, name, _ := mailindex.ParseFrom(m.From)
	h := mailindex.Header{Address: address, Name: name, ListID: m.ListID, Size: m.Size, Date: m.Date,
		Unsubscribe: mailindex.ParseUnsubscribe(m.ListUnsubscribe, m.ListUnsubscribePost)}
	mu.Lock()
	defer mu.Unlock()
	ix.Learn(id, h)
	return address, nil
}

// secondsFor estimates how long units take at the bucket's rate of 78 units a second, for people.
func secondsFor(units float64) int {
	return int((time.Duration(units/78*float64(time.Second)) + time.Second).Seconds())
}
