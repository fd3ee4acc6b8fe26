package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"mailsweep/internal/account"
	"mailsweep/internal/cleanup"
	"mailsweep/internal/config"
	"mailsweep/internal/ops"
	"mailsweep/internal/opscli"
	"mailsweep/internal/queue"
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
		Invite: (&account.Service{Pseudonym: p.pseudonym(), PublicURL: p.cfg.HTTP.PublicURL}).InviteCustomer, Order: func(sweep.ID) {}, Hint: func() {}}, nil
}

// quietly drops the view of a job.
func quietly(act func(context.Context, sweep.Actor, sweep.ID) (sweep.JobView, error)) func(context.Context, sweep.Actor, sweep.ID) error {
	return func(ctx context.Context, a sweep.Actor, job sweep.ID) error {
		_, err := act(ctx, a, job)
		return err
	}
}

// OperateUsage lists the operators' commands.
const OperateUsage = opscli.Usage

// Operate does one operator's command on the API's settings. Who acts, unless a flag says it, is the user of the shell.
func Operate(args []string, out io.Writer) func(context.Context, config.Config, *slog.Logger) error {
	return func(ctx context.Context, cfg config.Config, log *slog.Logger) error {
		command, err := opscli.Parse(args, cmp.Or(os.Getenv("SUDO_USER"), os.Getenv("USER")))
		if err != nil {
			return err
		}
		p, err := connect(ctx, cfg, log)
		if err != nil {
			return err
		}
		defer p.close()
		order := func(job sweep.ID) {
			if err := queue.Order(ctx, p.redis, job); err != nil {
				log.Warn("workers were not told at once; their heartbeats will", "error", err.Error())
			}
		}
		nobody := func() {} // the dispatcher looks by itself four times a second
		operators, err := p.operators(ctx, p.cleanups(nobody, order))
		if err != nil {
			return err
		}
		if operators == nil {
			return sweep.Errorf(sweep.Invalid, "operators' commands need OPS_DATABASE_URL")
		}
		defer operators.All.Close()
		operators.Order, operators.Hint = order, nobody
		command.Ops, command.Out = operators, out
		return command.Run(ctx)
	}
}
