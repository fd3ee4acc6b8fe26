package cleanup

import (
	"context"
	"errors"
	"time"

	"mailsweep/internal/gmail"
	"mailsweep/internal/sweep"
)

// inFlight is how many batches are on their way at once.
const inFlight = 4

// landing is what became of a batch.
type landing struct {
	n, size int
	settled bool
	err     error
}

// pipeline feeds batches to Gmail and reads its history in between. One goroutine has the index, the plan and the evidence; the others
// each carry a batch.
type pipeline struct {
	*execution
	landings chan landing
	flying   int
	err      error // the first failure: no further call is made
}

// sweepAll changes what is left of the plan. What is on its way when that ends is awaited, because a change that nobody awaits is one
// whose effect is unknown.
func (x *execution) sweepAll(ctx context.Context) error {
	x.beat.phase("cleaning", len(x.set))
	x.beat.advance(x.doneCount())
	p := &pipeline{execution: x, landings: make(chan landing, inFlight)}
	for n := 0; n*sweep.BatchSize < len(x.set) && p.err == nil; n++ {
		if x.done[n] {
			continue
		}
		if p.err = p.ready(ctx, n); p.err != nil || x.beat.reason() != nil {
			break
		}
		p.send(ctx, n)
	}
	for p.flying > 0 {
		p.land(<-p.landings)
	}
	return p.err
}

// ready returns when batch n may leave: a place is free and everything known is fresh. Meanwhile history is read.
func (p *pipeline) ready(ctx context.Context, n int) error {
	for {
		if err := p.place(ctx); err != nil || p.beat.reason() != nil {
			return err
		}
		if err := p.recheck(ctx, n); err != nil {
			return err
		}
		if p.look.fresh() { // looking again may have taken long
			return nil
		}
	}
}

func (p *pipeline) place(ctx context.Context) error {
	for p.err == nil && p.beat.reason() == nil {
		select {
		case l := <-p.landings:
			p.land(l)
			continue
		default:
		}
		switch {
		case p.flying < inFlight && p.look.fresh():
			return nil
		case p.flying < inFlight || p.look.due():
			if _, err := p.read(ctx); err != nil {
				return err
			}
		default:
			p.land(<-p.landings)
		}
	}
	return p.err
}

func (p *pipeline) send(ctx context.Context, n int) {
	set, call := p.compose(n)
	if len(set.Groups) == 0 {
		p.beat.advance(p.sizeOf(n))
		return
	}
	p.asked[n] = set
	p.proof.ask(set)
	p.look.sent += len(call)
	p.flying++
	go func() {
		l := landing{n: n, size: len(call)}
		l.err = safely(func() error { return p.change(ctx, n, set, call, &l.settled) })()
		p.landings <- l
	}()
}

func (p *pipeline) land(l landing) {
	p.flying--
	p.look.answered += l.size
	p.done[l.n] = p.done[l.n] || l.settled
	if p.err == nil {
		p.err = l.err
	}
}

// change is one batch: ids in flight are written, one Gmail call, then progress and ledger together. What was answered is settled, whatever
// the claim is told meanwhile.
func (x *execution) change(ctx context.Context, n int, set batchSet, call ids, settled *bool) (err error) {
	defer x.batched(time.Now(), &err)
	all := set.ids()
	sealed, err := seal(x.box, set, batchPart(x.c.ID, n))
	if err != nil {
		return err
	}
	if err := x.DB.BeginBatch(ctx, x.c, n, sealed, len(all), x.c.Now); err != nil {
		return err
	}
	add, remove := x.plan.Action.Change(x.labelID)
	if err := x.mbox.Modify(ctx, call, add, remove); err != nil {
		return labelDeleted(err)
	}
	x.beat.advance(x.sizeOf(n))
	err = x.DB.SettleBatch(context.WithoutCancel(ctx), x.c, n, len(all), x.c.Now)
	*settled = err == nil // what is not in the ledger is for the proof to charge
	return err
}

// labelDeleted says in our words that the label which the run adds was deleted under it.
func labelDeleted(err error) error {
	if errors.Is(err, gmail.ErrLabelGone) {
		return sweep.Errorf(sweep.Conflict, "the label was deleted while the cleanup ran: what is left is a cleanup plan of its own")
	}
	return err
}
