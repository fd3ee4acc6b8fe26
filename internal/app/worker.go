package app

import (
	"context"
	"log/slog"
	"time"

	"mailsweep/internal/account"
	"mailsweep/internal/cleanup"
	"mailsweep/internal/config"
	"mailsweep/internal/export"
	"mailsweep/internal/mail"
	"mailsweep/internal/queue"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

// RunWorker does jobs and sends mail until ctx ends; then what runs is handed back to PostgreSQL within the shutdown time.
func RunWorker(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	collectSparingly()
	p, err := open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer p.close()
	hinter := queue.NewHinter(p.redis, log)
	runner, err := p.runner(hinter.Hint)
	if err != nil {
		return err
	}
	mailer := p.mailer()
	exports := &export.Maker{DB: p.db, Vault: p.vault, Told: cleanup.Told, Senders: cleanup.EachSender, Post: mailer.Post}
	mailer.Errands = map[mail.Kind]func(context.Context, sweep.ID, sweep.ID) error{account.MakeExport: exports.Make}
	hands := &queue.Worker{Redis: p.redis, Concurrency: cfg.Jobs.Concurrency, LookEvery: cfg.Jobs.LookEvery, Shutdown: cfg.Shutdown, Trace: p.trace, Log: log,
		Job:   func(ctx context.Context, t queue.Task) error { return runner.Run(ctx, t.Customer, t.Job, t.Epoch) },
		Order: runner.Nudge,
		Mail: func(ctx context.Context, post queue.Post) error {
			return mailer.Deliver(ctx, post.Customer, post.ID, post.Epoch)
		},
	}
	revoker := &account.Revoker{DB: p.db, Opener: runner.Opener, OAuth: runner.Gmail.OAuth, Log: log}
	// The ops listener outlives the hands, so that a drain can be watched.
	return runStages(ctx, log,
		[]loop{{"ops listener", p.ops(queue.Monitor(p.redis)).Run}, {"hints", hinter.Run}, p.keysets(map[string]renewable{secret.TokenKeyset: runner.Opener, secret.IndexKeyset: p.vault})},
		[]loop{{"queue worker", hands.Run}, {"revoker", every(10*time.Second, log, "revoke consents", revoker.RevokeDue)}, p.reseal(runner.Opener)},
	)
}

func (p *parts) runner(hint func()) (*cleanup.Runner, error) {
	opener, err := openTokens(p.sources)
	if err != nil {
		return nil, err
	}
	client, governor, err := p.gmailClient()
	if err != nil {
		return nil, err
	}
	p.figures.MustRegister(p.day(governor))
	booked := func(ctx context.Context) (int64, time.Time) {
		day := governor.Day(ctx)
		return day.Units, day.Ends
	}
	return &cleanup.Runner{Booked: booked, Budget: dayBudget(p.cfg.Gmail),
		DB: p.db, Vault: p.vault, Opener: opener, Gmail: client, Plans: p.plans, Worker: store.Worker{Name: workerName(), Build: telemetry.ReadBuild().Version}, Log: p.log,
		Hint: hint, Post: p.mailer().Post, Watch: p.figures.claims()}, nil
}

// every runs f at once and then once per interval; a failure is logged and tried again next time.
func every(interval time.Duration, log *slog.Logger, what string, f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				log.ErrorContext(ctx, what, "error", err.Error())
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}
}
