package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"runtime/debug"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

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
	"mailsweep/internal/web"
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
		[]loop{{"dispatcher", dispatcher.Run}, {"sweeper", p.sweeper().Run}, hears(api.Billing)},
		[]loop{{"http", serve(cfg.HTTP, api.Handler(), cfg.Shutdown, drain, log)}},
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
	public := p.cfg.HTTP.PublicURL
	accounts := &account.Service{DB: p.db, Passwords: p.passwords(), Pseudonym: p.pseudonym(), Vault: p.vault, Tokens: sealer, OAuth: p.oauth(), Signer: signer,
		Plans: p.plans, Requests: requests, PublicURL: public, Log: p.log, Grace: time.Duration(p.cfg.DB.DeletionGraceDays) * 24 * time.Hour, Order: dispatcher.Order, ClientID: p.cfg.Google.ClientID,
		Beta:   account.Beta{Invited: p.cfg.Limits.SignUps == "invited", Most: p.cfg.Limits.MaxCustomers},
		Limits: account.Limits{SignupsPerHourPerIP: p.cfg.Limits.SignupsPerHourPerIP, SignupsPerHour: p.cfg.Limits.SignupsPerHour, LoginFailures: p.cfg.Limits.LoginFailuresPerUser, LoginFailuresPerIP: p.cfg.Limits.LoginFailuresPerIP}}
	cleanups := p.cleanups(dispatcher.Hint, dispatcher.Order)
	cleanups.Changes = listener
	payments, err := p.billing()
	if err != nil {
		return nil, err
	}
	reports := &report.Service{DB: p.db, Plans: p.plans, UpgradeURL: public + "/billing"}
	pages := &web.Pages{Account: accounts, Billing: payments, Cleanup: cleanups, Report: reports, Plans: p.plans, Features: p.plans.Shipped(), Contact: contact(p.cfg.Mail.From), Kept: store.KeptTables(), Grace: accounts.Grace, Elsewhere: append(payOrigins(p.cfg.Stripe.BaseURL), p.oauth().Origin()), Log: p.log}
	return &httpapi.API{Account: accounts, Cleanup: cleanups, Report: reports, Billing: payments, Requests: requests, DashboardURL: public, Pages: func(e *echo.Echo, edge httpapi.Edge) { pages.Mount(e, edge) }, Lost: pages.Lost,
		Plans: p.plans, CORSOrigins: p.cfg.HTTP.CORSOrigins, TrustedProxies: p.cfg.HTTP.TrustedProxies, PublicURL: public, Ready: p.apiReady, Observe: p.figures.http(), Streams: p.figures.streams(),
		Features: p.plans.Shipped(), Trace: p.trace, Log: p.log}, nil
}

// contact is the address of a sender such as "Mailsweep <hello@mailsweep.example>".
func contact(from string) string {
	a, err := mail.ParseAddress(from)
	if err != nil {
		return from
	}
	return a.Address
}

// payOrigins are those of the pages on which people pay.
func payOrigins(base string) []string {
	if base == "" {
		return []string{"https://checkout.stripe.com", "https://billing.stripe.com", "https://invoice.stripe.com"}
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil
	}
	return []string{u.Scheme + "://" + u.Host}
}

// cleanups admits jobs; nobody waits for their changes unless the caller sets Changes.
func (p *parts) cleanups(hint func(), order func(sweep.ID)) *cleanup.Service {
	return &cleanup.Service{DB: p.db, Vault: p.vault, Plans: p.plans, Hint: hint, Order: order, UpgradeURL: p.cfg.HTTP.PublicURL + "/billing",
		ExecutesPerDay: p.cfg.Limits.ExecutesPerDay, OpenJobs: p.cfg.Limits.OpenJobsPerCustomer, Log: p.log}
}

func (p *parts) pseudonym() secret.Pseudonym {
	return secret.Pseudonym{Key: p.cfg.Keys.PseudonymKey.Bytes()}
}

// serve answers until ctx ends, then drains: for the grace it says that it is not ready and still takes requests, since whoever sends them here
// has not noticed yet; then it answers what is in flight. Both together last no longer than within.
func serve(at config.HTTP, h http.Handler, within time.Duration, drain func(), log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		l, err := net.Listen("tcp", at.Addr)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		server := httpapi.Server(at.Addr, h)
		var stop sync.WaitGroup
		stop.Go(func() {
			<-ctx.Done()
			drain()
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
			defer cancel()
			<-time.After(at.Grace) // shorter than within, as the settings are checked
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

// apiReady keeps nothing: the API keeps what it is told for a second, and twice that would be too late.
func (p *parts) apiReady(ctx context.Context) httpapi.Readiness {
	checks, ok := p.look(ctx)
	r := httpapi.Readiness{Status: httpapi.Ready, Checks: checks}
	switch {
	case !ok:
		r.Status = httpapi.Unready
	case checks["redis"] != "ok":
		r.Status = httpapi.Degraded
	}
	return r
}
