package ops

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// What one bulk undo looks at and sends off at most; the same again goes on with what is left.
const (
	mostRuns = 10_000
	mostSent = 500
)

// RunFilter says which executes a bulk undo concerns: of a build, of a customer, asked for in a span of time.
type RunFilter = store.RunFilter

// Preview is what a bulk undo would find. Ready are the runs that it would undo, newest first.
type Preview struct {
	RunFilter
	Ready     []store.RunOf
	Messages  int // that the ready runs asked Gmail to change
	Customers int // of the ready runs
	Others    map[store.Undoing]int
	More      bool // there are older runs beyond those looked at
}

// Runs says how many runs were looked at.
func (p Preview) Runs() int {
	n := len(p.Ready)
	for _, others := range p.Others {
		n += others
	}
	return n
}

// PreviewUndo says which runs a bulk undo would undo. Without a build or a customer it wants a span of time. No run can be undone after
// 30 days, so nothing older is looked at.
func (s *Service) PreviewUndo(ctx context.Context, f RunFilter) (p Preview, err error) {
	if f.Build == "" && f.Customer.IsZero() && f.From.IsZero() {
		return p, sweep.Errorf(sweep.Invalid, "say what to undo: a build, a customer or a span of time").At("build", "is needed, or another")
	}
	now := time.Now().UTC()
	f.From, f.N = latest(f.From, now.Add(-31*24*time.Hour)), mostRuns
	if f.To.IsZero() {
		f.To = now.Add(time.Hour) // clocks of processes differ a little
	}
	p = Preview{RunFilter: f, Others: map[store.Undoing]int{}}
	runs, err := s.All.OpsRuns(ctx, f)
	if err != nil {
		return p, err
	}
	p.More = len(runs) == mostRuns
	return p, s.sort(ctx, runs, &p)
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// sort asks each customer's own rows what an undo of its runs would find.
func (s *Service) sort(ctx context.Context, runs []store.RunOf, p *Preview) error {
	of := map[sweep.ID][]sweep.ID{}
	for _, r := range runs {
		of[r.Customer] = append(of[r.Customer], r.Job)
	}
	for customer, jobs := range of {
		var states []store.UndoState
		err := s.DB.Tenant(ctx, customer, func(tx *store.Tx) (err error) {
			states, err = tx.UndoStates(jobs)
			return err
		})
		if err != nil {
			return err
		}
		before := len(p.Ready)
		for _, st := range states {
			if st.State != store.UndoReady {
				p.Others[st.State]++
				continue
			}
			p.Ready = append(p.Ready, store.RunOf{Customer: customer, Job: st.Job})
			p.Messages += st.Messages
		}
		if len(p.Ready) > before {
			p.Customers++
		}
	}
	slices.SortFunc(p.Ready, func(a, b store.RunOf) int { return slices.Compare(b.Job[:], a.Job[:]) })
	return nil
}

// Undone is what came of a bulk undo.
type Undone struct {
	Sent    int            // undo jobs queued
	Refused map[string]int // by what was said
	Left    int            // ready, and not sent yet: the same again goes on
}

// UndoRuns queues an undo for each run that the filter finds ready, the newest first, as undos of one mailbox have to go. It asks for the
// number of runs that the preview said: Conflict when that has changed. The same again finds the runs undone, or being undone.
func (s *Service) UndoRuns(ctx context.Context, o Operator, f RunFilter, expect int, reason string) (u Undone, err error) {
	p, err := s.PreviewUndo(ctx, f)
	if err != nil {
		return u, err
	}
	if len(p.Ready) != expect {
		return u, sweep.Errorf(sweep.Conflict, "the preview said %d runs, now it would be %d: look again", expect, len(p.Ready))
	}
	if err := s.note(ctx, o, "undo", describe(p), reason); err != nil {
		return u, err
	}
	u.Refused = map[string]int{}
	send := p.Ready[:min(len(p.Ready), mostSent)]
	u.Left = len(p.Ready) - len(send)
	for _, r := range send {
		err := s.Undo(ctx, o.actor(r.Customer), r.Job)
		switch code := sweep.CodeOf(err); {
		case err == nil:
			u.Sent++
		case code == sweep.Internal || ctx.Err() != nil:
			return u, fmt.Errorf("undo %s: %w", sweep.JobID.Show(r.Job), err)
		default:
			u.Refused[string(code)]++
		}
	}
	return u, nil
}

// describe is the filter in the log.
func describe(p Preview) string {
	what := fmt.Sprintf("%d runs from %s to %s", len(p.Ready), p.From.Format(time.RFC3339), p.To.Format(time.RFC3339))
	if p.Build != "" {
		what += " of build " + p.Build
	}
	if !p.Customer.IsZero() {
		what += " of " + sweep.CustomerID.Show(p.Customer)
	}
	return what
}
