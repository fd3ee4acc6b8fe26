package app

import (
	"context"
	"log/slog"
	"time"

	"mailsweep/internal/config"
	"mailsweep/internal/ops"
	"mailsweep/internal/queue"
	"mailsweep/internal/rollover"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// RunScheduler does what falls due, mends what got lost and dispatches as a standby. Any number may run.
func RunScheduler(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	p, err := open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer p.close()
	p.figures.MustRegister(p.whole(), p.business())
	payments, err := p.billing()
	if err != nil {
		return err
	}
	due := &rollover.Service{Bought: payments.Reconcile, DB: p.db, Plans: p.plans, Post: p.mailer().Post, Keep: cfg.DB.RetentionMonths, Head: keepHead(cfg.DB.AuditHeads), Log: log,
		Close: func(ctx context.Context, month sweep.Period) error {
			return ops.CloseFigures(ctx, p.db, p.plans, month)
		}}
	hands := &queue.Worker{Redis: p.redis, Concurrency: 1, Shutdown: cfg.Shutdown, Trace: p.trace, Log: log, Duty: due.Do}
	return runStages(ctx, log,
		[]loop{{"ops listener", p.ops(queue.Monitor(p.redis)).Run}, p.keysets(map[string]renewable{secret.IndexKeyset: p.vault})},
		[]loop{
			{"duties", (&rollover.Ticker{Service: due, Every: time.Second}).Run},
			{"duty tasks", hands.Run},
			{"periodic entries", (&queue.Periodic{Redis: p.redis, Duties: rollover.Specs(), Log: log}).Run},
			{"dispatcher", p.dispatcher().Run},
			{"sweeper", p.sweeper().Run},
			hears(payments),
		},
	)
}

// dispatcher keeps twice the slots of a worker like the settings' in Redis, or of all live ones; the standby takes over when the leader's
// connection dies.
func (p *parts) dispatcher() *queue.Dispatcher {
	return &queue.Dispatcher{DB: p.db, Redis: p.redis, Interactive: max(2, p.cfg.Jobs.Concurrency/2), Bulk: 2 * p.cfg.Jobs.Concurrency,
		Each: max(1, p.cfg.Limits.RunningPerCustomer), Watch: p.figures.dispatched(), Trace: p.trace, Log: p.log}
}

func (p *parts) sweeper() *queue.Sweeper {
	return &queue.Sweeper{DB: p.db, Redis: p.redis, Log: p.log, Every: sweep.SweepEvery, Watch: p.figures.rounds("sweeper"), Repaired: p.figures.repairs(),
		Fail: func(ctx context.Context, customer, job sweep.ID, code sweep.Code, detail string) error {
			return p.db.Tenant(ctx, customer, func(tx *store.Tx) error { return tx.EndUnclaimed(job, sweep.Failed, code, detail) })
		}}
}
