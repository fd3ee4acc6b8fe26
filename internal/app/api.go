package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"mailsweep/internal/account"
	"mailsweep/internal/cleanup"
	"mailsweep/internal/config"
	"mailsweep/internal/httpapi"
	"mailsweep/internal/opsweb"
	"mailsweep/internal/queue"
	"mailsweep/internal/ratelimit"
	"mailsweep/internal/report"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// frugal is what an API process may use before its collector works harder, in bytes: 10,000 open streams, with what is not the heap's,
// within 512 MiB. GOMEMLIMIT, where it is set, stands in its place.
const frugal = 440 << 20

// RunAPI serves the API until ctx ends; then it is not ready any more, answers what is in flight, and stops.
func RunAPI(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(frugal)
	}
	p, err := open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer p.close()
	listener := store.NewListener(cfg.DB.APIURL.Reveal(), log)
	dispatcher := p.dispatcher()
	api, err := p.api(listener, dispatcher)
	if err != nil {
		return err
	}
	draining, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	api.Draining = draining
	private := p.ops(queue.Monitor(p.redis))
	if operators, err := p.operators(ctx, api.Cleanup); err != nil {
		return err
	} else if operators != nil {
		defer operators.All.Close()
		operators.Order, operators.Hint = dispatcher.Order, dispatcher.Hint
		private.Pages = (&opsweb.Pages{Ops: operators, Log: log}).Handler()
	}
	// Requests are drained first, while everything they need still runs.
	return runStages(ctx, log,
		[]loop{{"ops listener", private.Run}, {"job listener", listener.Run}, p.keysets(map[string]renewable{secret.TokenKeyset: api.Account.Tokens, secret.IndexKeyset: p.vault})},
		[]loop{{"dispatcher", dispatcher.Run}, {"sweeper", p.sweeper().Run}},
		[]loop{{"http", serve(cfg.HTTP.Addr, api.Handler(), cfg.Shutdown, drain, log)}},
	)
}

func (p *parts) api(listener *store.Listener, dispatcher *queue.Dispatcher) (*httpapi.API, error) {
	sealer, err := secret.FollowTokenSealer(p.sources.public)
	if err != nil {
		return nil, fmt.Errorf("read TOKEN_KEYSET_PUBLIC: %w", err)
	}
	signer, err := p.signer()
	if err != nil {
		return nil, err
	}
	requests := &ratelimit.Requests{Redis: p.redis, Prefix: "http", Log: p.log}
	url := p.cfg.HTTP.PublicURL
	accounts := &account.Service{DB: p.db, Passwords: p.passwords(), Pseudonym: p.pseudonym(), Vault: p.vault, Tokens: sealer, OAuth: p.oauth(), Signer: signer,
		Plans: p.plans, Requests: requests, PublicURL: url, Log: p.log, Grace: time.Duration(p.cfg.DB.DeletionGraceDays) * 24 * time.Hour, Order: dispatcher.Order, ClientID: p.cfg.Google.ClientID,
		Limits: account.Limits{SignupsPerHourPerIP: p.cfg.Limits.SignupsPerHourPerIP, SignupsPerHour: p.cfg.Limits.SignupsPerHour, LoginFailures: p.cfg.Limits.LoginFailuresPerUser, LoginFailuresPerIP: p.cfg.Limits.LoginFailuresPerIP}}
	cleanups := p.cleanups(dispatcher.Hint, dispatcher.Order)
	cleanups.Changes = listener
	return &httpapi.API{Account: accounts, Cleanup: cleanups, Report: &report.Service{DB: p.db, Plans: p.plans, UpgradeURL: url + "/billing"}, Requests: requests,
		Plans: p.plans, CORSOrigins: p.cfg.HTTP.CORSOrigins, TrustedProxies: p.cfg.HTTP.TrustedProxies, PublicURL: url, Ready: p.apiReady, Observe: p.figures.http(), Streams: p.figures.streams(),
		Features: []sweep.Feature{sweep.APIKeys, sweep.Enforce2FA, sweep.IPAllowlist}, Trace: p.trace, Log: p.log}, nil
}

// cleanups admits jobs; nobody waits for their changes unless the caller sets Changes.
func (p *parts) cleanups(hint func(), order func(sweep.ID)) *cleanup.Service {
	return &cleanup.Service{DB: p.db, Vault: p.vault, Plans: p.plans, Hint: hint, Order: order, UpgradeURL: p.cfg.HTTP.PublicURL + "/billing",
		ExecutesPerDay: p.cfg.Limits.ExecutesPerDay, OpenJobs: p.cfg.Limits.OpenJobsPerCustomer, Log: p.log}
}

func (p *parts) pseudonym() secret.Pseudonym {
	return secret.Pseudonym{Key: p.cfg.Keys.PseudonymKey.Bytes()}
}

// serve answers on addr until ctx ends, then drains.
func serve(addr string, h http.Handler, patience time.Duration, drain func(), log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		server := httpapi.Server(addr, h)
		var stop sync.WaitGroup
		stop.Go(func() {
			<-ctx.Done()
			drain()
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			defer cancel()
			if err := server.Shutdown(ctx); err != nil {
				log.Warn("requests were cut off", "error", err.Error())
			}
		})
		log.Info("listening", "addr", l.Addr().String())
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		stop.Wait()
		return nil
	}
}

func (p *parts) apiReady(ctx context.Context) httpapi.Readiness {
	checks, ok := p.ready(ctx)
	r := httpapi.Readiness{Status: httpapi.Ready, Checks: checks}
	switch {
	case !ok:
		r.Status = httpapi.Unready
	case checks["redis"] != "ok":
		r.Status = httpapi.Degraded
	}
	return r
}
