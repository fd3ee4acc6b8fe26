package cleanup

import (
	"cmp"
	"context"
	"errors"
	"slices"
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

// meetAtOnce is how many messages are read side by side before their senders are searched for: two of them may be of the same. Four reads and
// four searches take longer to pay for than to wait for.
const meetAtOnce = 4

// unitsOfEnd is kept for the last look at history, and for calls that Gmail answers only the second time.
const unitsOfEnd = 3 * unitsOfRead

// errYield parks an analysis while a writing job works on the mailbox: it goes on from the saved index.
var errYield = errors.New("another job works on this mailbox")

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
	report.Continue(w.trend(ctx))
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

// trend is what the mailbox's analyses before this one found. What cannot be read of them must not cost this one: then it begins anew.
func (w *work) trend(ctx context.Context) []sweep.TrendPoint {
	if w.target.Analysis == nil {
		return nil
	}
	var last sweep.Analysis
	if err := unseal(w.box, w.target.Analysis, mailboxPart(w.target.Mailbox, "analysis"), &last); err != nil {
		w.Log.WarnContext(ctx, "the mailbox's trend begins anew", "error", err)
		return nil
	}
	return last.Trend
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
	units, err := w.unitsForSenders(ctx)
	if err != nil {
		return err
	}
	f := w.finder(ix, units)
	w.beat.phase("finding senders", ix.Len())
	w.beat.advance(ix.Len() - ix.Unattributed())
	if f.remaining() < unitsOfRead {
		return nil
	}
	all := int64(f.ix.Unattributed())*unitsOfRead <= f.remaining()
	if !all {
		if err := f.own(ctx); err != nil && !errors.Is(err, errSpent) {
			return err
		}
	}
	var sweeps tally
	saved, shown := f.beat.spent(), time.Now()
	for f.ix.Unattributed() > 0 && f.remaining() >= unitsOfRead {
		if f.beat.mustYield() {
			return errors.Join(errYield, f.keepIndex(ctx, f.ix, false))
		}
		batch := f.ix.NextUnknown(parallel*4, f.chance)
		if len(batch) == 0 {
			return nil
		}
		before := f.ix.Unattributed()
		if err := f.learn(ctx, batch, !all && sweeps.pay(), &sweeps); err != nil {
			return err
		}
		f.beat.advance(before - f.ix.Unattributed())
		if time.Since(shown) > cmp.Or(f.showEvery, showEvery) {
			if err := f.show(ctx, f.picture(f.ix, sweep.StageSenders)); err != nil {
				return err
			}
			shown = time.Now()
		}
		if f.beat.spent()-saved > cmp.Or(f.keepEvery, saveEvery) {
			saved = f.beat.spent()
			if err := f.keepIndex(ctx, f.ix, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// unitsForSenders is what the plan leaves an analysis that has listed or refreshed its mailbox, and the mailbox's others of the last 24 hours.
func (w *work) unitsForSenders(ctx context.Context) (units int64, err error) {
	var others int64
	err = w.DB.Tenant(ctx, w.c.CustomerID, func(tx *store.Tx) (err error) {
		others, err = tx.AnalysisUnits(w.target.Mailbox, w.c.ID)
		return err
	})
	plan := w.Plans.PlanAt(w.standing.Customer, w.c.Now)
	return min(int64(plan.AnalysisUnits), int64(plan.DayUnits())-others) - w.beat.spent() - unitsOfEnd, err
}

// learn reads messages side by side. With sweeping, whom they are from is searched for before more are read: what a search is about to
// find need not be read. What the budget does not cover is left.
func (f *finder) learn(ctx context.Context, batch []sweep.MessageID, sweeping bool, sweeps *tally) error {
	if !sweeping {
		return f.eachOf(ctx, len(batch), func(ctx context.Context, i int) error {
			_, err := f.read(ctx, batch[i])
			return err
		})
	}
	for len(batch) > 0 {
		met, rest, err := f.meet(ctx, batch)
		if err != nil {
			return err
		}
		if err := f.eachOf(ctx, len(met), func(ctx context.Context, i int) error { return f.sweepMet(ctx, met[i], sweeps) }); err != nil {
			return err
		}
		batch = rest
	}
	return nil
}

// meet reads the first few of a batch that nobody has attributed, and gives their senders.
func (f *finder) meet(ctx context.Context, batch []sweep.MessageID) (senders []string, rest []sweep.MessageID, err error) {
	batch = slices.DeleteFunc(batch, f.attributed)
	few := batch[:min(meetAtOnce, len(batch))]
	senders = make([]string, len(few))
	err = f.eachOf(ctx, len(few), func(ctx context.Context, i int) (err error) {
		senders[i], err = f.read(ctx, few[i])
		return err
	})
	slices.Sort(senders)
	senders = slices.DeleteFunc(slices.Compact(senders), func(s string) bool { return s == "" })
	return senders, batch[len(few):], err
}

// sweepMet sweeps a sender that was met.
func (f *finder) sweepMet(ctx context.Context, address string, sweeps *tally) error {
	gained, err := f.sweepSender(ctx, address)
	f.mu.Lock()
	defer f.mu.Unlock()
	sweeps.add(gained)
	return err
}

// eachOf does n things side by side. What the budget does not cover is left.
func (f *finder) eachOf(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range n {
		g.Go(safely(func() error {
			if err := do(ctx, i); !errors.Is(err, errSpent) {
				return err
			}
			return nil
		}))
	}
	return g.Wait()
}

func (f *finder) attributed(id sweep.MessageID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ix.Attributed(id)
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
	h := mailindex.Header{Address: address, Name: name, ListID: mailindex.ParseListID(m.ListID), Size: m.Size, Date: m.Date,
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
