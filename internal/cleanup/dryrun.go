package cleanup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// How many messages a dry run reads at most to settle what a search alone cannot: samples of swept senders, as often as one of them
// disproves a search, and open cases.
const (
	maxSamples   = 20
	sampleRounds = 3
	maxOpen      = 100
)

// dryRun freezes a cleanup plan and previews it. Nothing is changed.
func (w *work) dryRun(ctx context.Context) error {
	ix, err := w.current(ctx)
	if err != nil {
		return err
	}
	plan, err := w.freeze(ctx, ix, w.params.Spec)
	if err != nil {
		return err
	}
	return w.finish(ctx, plan.head.Preview, store.Ending{State: sweep.Succeeded}, func(tx *store.Tx) error {
		if ix.Learned() {
			if err := saveIndex(tx, w.box, w.target.Mailbox, ix); err != nil {
				return err
			}
		}
		return tx.InsertPlan(plan.row)
	})
}

// frozen is a cleanup plan ready to be stored.
type frozen struct {
	row  store.PlanRow
	head head
	set  ids
}

// freeze decides which messages a cleanup concerns and fixes them, oldest first.
func (w *work) freeze(ctx context.Context, ix *mailindex.Index, spec sweep.CleanupSpec) (frozen, error) {
	if err := categoriesKnown(ix, spec.Criteria); err != nil {
		return frozen{}, err
	}
	w.beat.phase("choosing messages", ix.Len())
	o := mailindex.SelectOptions{Now: w.c.Now, KeepList: w.keep, OurLabels: w.target.LabelsMade, LabelID: labelOf(ix, spec)}
	s, err := w.choose(ctx, ix, spec, &o)
	if err != nil {
		return frozen{}, err
	}
	w.beat.advance(ix.Len())
	return w.freezeSet(ix, spec, s, w.c.Now)
}

func labelOf(ix *mailindex.Index, spec sweep.CleanupSpec) string {
	if spec.Label == "" {
		return ""
	}
	id, _ := ix.LabelID(spec.Label)
	return id
}

// choose selects, after asking Gmail for the leaves that the index cannot answer, and reads a sample of what only a search vouches for and
// of what stays open. What the plan's budget for it does not cover stays undetermined.
func (w *work) choose(ctx context.Context, ix *mailindex.Index, spec sweep.CleanupSpec, o *mailindex.SelectOptions) (mailindex.Selection, error) {
	f := w.finder(ix, int64(w.Plans.PlanAt(w.standing.Customer, w.c.Now).PreviewUnits()))
	if err := f.knowKeepList(ctx, ix, spec, f.within); err != nil {
		return mailindex.Selection{}, err
	}
	s, err := f.verify(ctx, spec, o)
	if errors.Is(err, errSpent) {
		s = ix.Select(spec, *o)
		s.LeaveUnverified()
		return s, nil
	}
	if err != nil || s.Undetermined == 0 {
		return s, err
	}
	open := ix.Evaluate(spec.Criteria.Freeze(o.Now), o.Listed).Maybe
	if _, err := f.check(ctx, sample(ix.IDs(open, mailindex.NewestFirst), maxOpen)); err != nil && !errors.Is(err, errSpent) {
		return s, err
	}
	return ix.Select(spec, *o), nil
}

// verify selects until a sample of what only a search vouches for is what the search said. A search that proves to find others' mail too
// is made again after those of the others; what is still disproved after some rounds stays out. errSpent when a sample cannot be read.
func (f *finder) verify(ctx context.Context, spec sweep.CleanupSpec, o *mailindex.SelectOptions) (s mailindex.Selection, err error) {
	o.Listed = mailindex.Listed{}
	for round := range sampleRounds {
		listed, err := f.ask(ctx, f.ix, f.ix.Needs(spec, *o), f.within)
		if err != nil {
			return s, err
		}
		maps.Copy(o.Listed, listed)
		s = f.ix.Select(spec, *o)
		if s.Unverified.IsEmpty() {
			return s, nil
		}
		disproved, err := f.check(ctx, sample(f.ix.IDs(s.Unverified, mailindex.NewestFirst), maxSamples))
		if err != nil || len(disproved) == 0 {
			return f.ix.Select(spec, *o), err
		}
		for _, address := range disproved {
			if round == sampleRounds-1 {
				break
			}
			if _, err := f.sweepSender(ctx, address); err != nil {
				return s, err
			}
		}
	}
	return f.ix.Select(spec, *o), nil
}

// check reads messages and gives the senders to whom a search had given one that is somebody else's.
func (f *finder) check(ctx context.Context, list []sweep.MessageID) (disproved []string, err error) {
	for _, id := range list {
		said, _ := f.ix.Message(id)
		if _, err := f.read(ctx, id); err != nil {
			return nil, err
		}
		if is, ok := f.ix.Message(id); ok && said.SenderKnown && is.Sender != said.Sender && !slices.Contains(disproved, said.Sender) {
			disproved = append(disproved, said.Sender)
		}
	}
	return disproved, nil
}

// readAll reads messages one after the other.
func (w *work) readAll(ctx context.Context, ix *mailindex.Index, list []sweep.MessageID) error {
	var mu sync.Mutex
	for _, id := range list {
		if _, err := w.read(ctx, ix, &mu, id); err != nil {
			return err
		}
	}
	return nil
}

// sample takes n of a list, spread evenly.
func sample(list []sweep.MessageID, n int) []sweep.MessageID {
	if len(list) <= n {
		return list
	}
	out := make([]sweep.MessageID, 0, n)
	for i := range n {
		out = append(out, list[i*len(list)/n])
	}
	return out
}

func (w *work) freezeSet(ix *mailindex.Index, spec sweep.CleanupSpec, s mailindex.Selection, frozenAt time.Time) (frozen, error) {
	id, err := sweep.NewID(w.c.Now, rand.Reader)
	if err != nil {
		return frozen{}, fmt.Errorf("make id: %w", err)
	}
	p := frozen{set: ids(ix.IDs(s.ToClean, mailindex.OldestFirst))}
	sum := ix.Summary(s.ToClean, frozenAt)
	expires := w.c.Now.Add(sweep.PlanLifetime)
	quota, err := w.quota()
	if err != nil {
		return frozen{}, err
	}
	p.head = head{Spec: spec, FrozenAt: frozenAt.UnixMilli(), KeepList: w.keep, Preview: sweep.DryRunResult{
		CleanupPlanID: sweep.PlanID.Show(id), ExpiresAt: expires, Matched: s.Matched, Undetermined: s.Undetermined, Protected: s.Counts(),
		ToClean: len(p.set), Bytes: sum.Bytes.Estimate, ByCategory: sum.ByCategory, BySender: sum.BySender, ByAge: sum.ByAge, Samples: samples(ix, p.set),
		Quota:            sweep.QuotaUse{Uses: len(p.set), RemainingAfter: max(0, quota.Remaining()-len(p.set))},
		EstimatedSeconds: secondsFor(10 + float64(len(p.set))*0.055), Exact: sum.Exact, UnitsSpent: w.beat.spent(),
	}}
	p.head.Preview.Whole()
	p.row = store.PlanRow{ID: id, Mailbox: w.target.Mailbox, Account: w.target.Account, Generation: w.target.Generation, Action: spec.Action,
		Messages: len(p.set), Bytes: sum.Bytes.Estimate, HistoryID: ix.HistoryID, MadeBy: w.c.ID, MadeAt: w.c.Now, ExpiresAt: expires}
	kept := map[sweep.Reason]ids{}
	for reason, rows := range s.Protected {
		kept[reason] = ids(ix.IDs(rows, mailindex.OldestFirst))
	}
	return p, w.sealPlan(&p, kept)
}

func (w *work) sealPlan(p *frozen, kept map[sweep.Reason]ids) (err error) {
	if p.row.Head, err = seal(w.box, p.head, planPart(p.row.ID, "head")); err != nil {
		return err
	}
	if p.row.IDs, err = seal(w.box, p.set, planPart(p.row.ID, "ids")); err != nil {
		return err
	}
	p.row.Kept, err = seal(w.box, kept, planPart(p.row.ID, "kept"))
	return err
}

func (w *work) quota() (q sweep.Quota, err error) {
	limit := w.Plans.PlanAt(w.standing.Customer, w.c.Now).Emails
	err = w.DB.Tenant(context.Background(), w.c.CustomerID, func(tx *store.Tx) (err error) {
		q, err = tx.UsageNow(limit)
		return err
	})
	return q, err
}

// samples shows ten messages of the set as the index knows them; their subjects are never stored.
func samples(ix *mailindex.Index, set ids) (list []sweep.Sample) {
	for _, m := range ix.Messages(ix.Rows(sample(set, 10)), mailindex.OldestFirst) {
		list = append(list, sweep.Sample{ID: m.ID.String(), From: m.Sender, Date: m.Date, Size: m.Size})
	}
	return list
}
