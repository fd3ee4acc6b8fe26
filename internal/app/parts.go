// Package app builds each process's parts from its configuration, starts them and stops them in one written order.
package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"mailsweep/internal/account"
	"mailsweep/internal/config"
	"mailsweep/internal/gmail"
	"mailsweep/internal/mail"
	"mailsweep/internal/queue"
	"mailsweep/internal/ratelimit"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

// parts are what every process has.
type parts struct {
	cfg     config.Config
	log     *slog.Logger
	db      *store.DB
	redis   redis.UniversalClient
	sources sources
	vault   *secret.Vault
	plans   sweep.Plans
	figures figures
	trace   *telemetry.Tracer // nil: no traces

	readiness readiness
}

// patience with the database: a request is refused before its caller gives up, a claim loses its lease anyhow. Duties may take long, but
// whoever dispatches or sweeps must not wait for an answer that got lost.
func patience(process string) time.Duration {
	switch process {
	case config.API:
		return 4 * time.Second
	case config.Worker:
		return 20 * time.Second
	}
	return 35 * time.Second
}

// open connects a process that runs a queue. A Redis that is not fit for one is refused; one that is away may come, the sweeper asks it
// then.
func open(ctx context.Context, cfg config.Config, log *slog.Logger) (*parts, error) {
	p, err := connect(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	err = queue.CheckRedis(ctx, p.redis, p.log)
	if errors.Is(err, queue.ErrUnfit) {
		p.close()
		return nil, fmt.Errorf("refusing to start: %w", err)
	}
	if err != nil {
		log.WarnContext(ctx, "Redis is away; jobs wait until it is back", "error", err)
	}
	return p, nil
}

// connect gives a process its parts. Redis may be away: an operator must be able to halt all the same.
func connect(ctx context.Context, cfg config.Config, log *slog.Logger) (*parts, error) {
	p := &parts{cfg: cfg, log: log, figures: figures{telemetry.NewRegistry(cfg.Process, telemetry.ReadBuild())}}
	if err := p.assemble(ctx); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *parts) assemble(ctx context.Context) (err error) {
	if p.trace, err = startTracer(ctx, p.cfg, p.log); err != nil {
		return err
	}
	if p.db, err = p.database(ctx); err != nil {
		return err
	}
	if p.redis, err = queue.Connect(redisAt(p.cfg.Redis)); err != nil {
		return err
	}
	if p.sources, err = keysetSources(ctx, p.cfg); err != nil {
		return err
	}
	if p.vault, err = openVault(p.sources); err != nil {
		return err
	}
	if p.plans, err = p.db.Plans(ctx); err != nil {
		return err
	}
	override(p.plans, p.cfg.Limits.Plans)
	return nil
}

func (p *parts) database(ctx context.Context) (*store.DB, error) {
	return store.Open(ctx, store.Options{URL: p.cfg.DB.For(p.cfg.Process).Reveal(), Process: p.cfg.Process, ClockOffset: p.cfg.ClockOffset,
		MaxConns: int32(min(64, 8+p.cfg.Jobs.Concurrency/2)), Patience: patience(p.cfg.Process), Ended: p.figures.ended(), Told: statements(p.trace)})
}

func redisAt(r config.Redis) queue.Redis {
	return queue.Redis{URL: r.URL.Reveal(), Addrs: r.Addrs, Cluster: r.Mode == config.Cluster, Master: r.Master,
		SentinelUser: r.SentinelUser, SentinelPassword: r.SentinelPassword.Reveal(), CA: r.CA}
}

func (p *parts) close() {
	if p.redis != nil {
		p.redis.Close()
	}
	if p.db != nil {
		p.db.Close()
	}
	p.stopTracer()
}

// override lets the configuration set its own limits, for tests and the demo.
func override(plans sweep.Plans, limits config.Plans) {
	for name, l := range limits {
		plan := plans[sweep.Tier(name)]
		for to, from := range map[*int]*int{&plan.Emails: l.EmailsPerPeriod, &plan.Mailboxes: l.Mailboxes, &plan.People: l.People, &plan.RequestsPerMinute: l.RequestsPerMinute, &plan.FullPerDay: l.FullPerDay} {
			if from != nil {
				*to = *from
			}
		}
		plans[sweep.Tier(name)] = plan
	}
}

func (p *parts) oauth() *gmail.OAuth {
	g := p.cfg.Google
	return &gmail.OAuth{Config: gmail.Config{ClientID: g.ClientID, ClientSecret: g.ClientSecret.Reveal(), RedirectURL: p.cfg.HTTP.PublicURL + "/oauth/google/callback",
		SignInRedirectURL: p.cfg.HTTP.PublicURL + "/oauth/google/sign-in",
		AuthURL:           g.AuthURL, TokenURL: g.TokenURL, RevokeURL: g.RevokeURL, CertsURL: g.CertsURL}}
}

// gmailClient is the worker's door to Gmail, paced by one governor for all workers.
func (p *parts) gmailClient() (*gmail.Client, *ratelimit.Governor, error) {
	tariff, err := gmail.TariffNamed(p.cfg.Gmail.Tariff)
	if err != nil {
		return nil, nil, fmt.Errorf("read GMAIL_TARIFF: %w", err)
	}
	scale := p.cfg.Gmail.TimeScale
	governor := &ratelimit.Governor{Redis: p.redis, Account: accountRate(tariff, scale), Project: ratelimit.ProjectRate().Scale(scale),
		Minute: time.Duration(float64(time.Minute) / scale), Recorded: p.db.UnitsSince, Log: p.log}
	return &gmail.Client{OAuth: p.oauth(), BaseURL: p.cfg.Gmail.BaseURL, Tariff: tariff, TimeScale: scale, Pacer: governor,
		Observe: p.observeGmail(), OffTariff: p.figures.offTariff(p.log)}, governor, nil
}

// dayBudget is what our Google project may spend in a day, and what is put off near it.
func dayBudget(g config.Gmail) sweep.DayBudget {
	s := g.DayShares
	return sweep.DayBudget{Units: g.DayUnits, Shares: sweep.Shedding{FreeAnalyze: s[0], Analyze: s[1], DryRun: s[2], Execute: s[3]}}
}

func (p *parts) mailer() *account.Mailer {
	m := p.cfg.Mail
	return &account.Mailer{DB: p.db, Vault: p.vault,
		Sender: &mail.Sender{Addr: m.Addr, User: m.User, Password: m.Password.Reveal(), TLS: m.TLS, From: m.From, BaseURL: p.cfg.HTTP.PublicURL, Timeout: 20 * time.Second}}
}

// workerName tells workers apart in job rows, without naming the machine to customers.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	b := make([]byte, 4)
	rand.Read(b)
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), hex.EncodeToString(b))
}

// signer reads the JWT keys.
func (p *parts) signer() (*account.Signer, error) {
	keys := make([]account.Key, 0, len(p.cfg.JWT.Keys))
	for _, k := range p.cfg.JWT.Keys {
		keys = append(keys, account.Key{ID: k.ID, Seed: k.Bytes()})
	}
	s, err := account.NewSigner(p.cfg.JWT.Issuer, p.cfg.JWT.Audience, keys...)
	if err != nil {
		return nil, fmt.Errorf("read JWT_KEYS: %w", err)
	}
	return s, nil
}

// hashingGivesWay is how much lower the priority of hashing is: beside a hash that has a whole time slice first, the health check took five
// times as long; with a third of the others' share it takes as long as alone.
const hashingGivesWay = 5

func (p *parts) passwords() *secret.Passwords {
	peppers := map[string][]byte{}
	for _, k := range p.cfg.Keys.Peppers {
		peppers[k.ID] = k.Bytes()
	}
	return &secret.Passwords{Peppers: peppers, Current: p.cfg.Keys.Peppers[0].ID, Cost: p.cfg.Keys.BcryptCost, Least: p.cfg.Keys.PasswordMin, Nice: hashingGivesWay}
}

// accountRate is the pace of one mailbox. On a clock that runs faster a scheduler's hiccup lets more late calls bunch up, so that
// their lateness is allowed for.
func accountRate(tariff gmail.Tariff, scale float64) ratelimit.Rate {
	r := ratelimit.MinuteRate(tariff.PerUserMinute).Scale(scale)
	if scale > 1 {
		r = r.Late(20 * time.Millisecond)
	}
	return r
}
