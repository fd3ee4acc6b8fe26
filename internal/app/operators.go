package app

import (
	"context"
	"fmt"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/ops"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// operators is the operators' side; nil without OPS_DATABASE_URL: there are no pages of it then. The caller closes All and says how orders
// and hints are passed on.
func (p *parts) operators(ctx context.Context, jobs *cleanup.Service) (*ops.Service, error) {
	url := p.cfg.DB.OpsURL.Reveal()
	if url == "" {
		p.log.Warn("without OPS_DATABASE_URL there are no operators' pages and commands")
		return nil, nil
	}
	all, err := store.Open(ctx, store.Options{URL: url, Process: "ops", ClockOffset: p.cfg.ClockOffset, MaxConns: 4})
	if err != nil {
		return nil, fmt.Errorf("the operators' login: %w", err)
	}
	return &ops.Service{All: all, DB: p.db, Plans: p.plans, Cancel: quietly(jobs.Cancel), Tell: jobs.Why,
		Undo: quietly(func(ctx context.Context, a sweep.Actor, run sweep.ID) (sweep.JobView, error) {
			return jobs.SubmitUndo(ctx, a, run, cleanup.Idempotency{})
		}),
		Order: func(sweep.ID) {}, Hint: func() {}}, nil
}

// quietly drops the view of a job.
func quietly(act func(context.Context, sweep.Actor, sweep.ID) (sweep.JobView, error)) func(context.Context, sweep.Actor, sweep.ID) error {
	return func(ctx context.Context, a sweep.Actor, job sweep.ID) error {
		_, err := act(ctx, a, job)
		return err
	}
}
