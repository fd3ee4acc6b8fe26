package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"mailsweep/internal/billing"
	"mailsweep/internal/config"
	"mailsweep/internal/store"
)

// billing is the use case, with or without an account at Stripe.
func (p *parts) billing() (*billing.Service, error) {
	c := p.cfg.Stripe
	s := &billing.Service{DB: p.db, Plans: p.plans, Portal: c.Portal, Pages: p.cfg.HTTP.PublicURL, Watch: p.figures.billing(), Post: p.mailer().Post, Log: p.log}
	var err error
	if s.Prices, err = billing.ParsePrices(c.Prices); err != nil {
		return nil, fmt.Errorf("read STRIPE_PRICES: %w", err)
	}
	for _, secret := range c.Secrets {
		s.Secrets = append(s.Secrets, secret.Reveal())
	}
	if c.Key.IsZero() || len(s.Prices) == 0 {
		return s, nil
	}
	s.Stripe = billing.Connect(billing.Options{Key: c.Key.Reveal(), URL: c.BaseURL, Observe: p.figures.stripe()})
	return s, nil
}

// hears is the loop over Stripe's events; where payments are not set up there are none.
func hears(s *billing.Service) loop {
	return loop{"events of Stripe's", func(ctx context.Context) error {
		if s.Stripe == nil {
			<-ctx.Done()
			return nil
		}
		return s.Run(ctx)
	}}
}

// billing counts what Stripe tells and what wants a person.
func (f figures) billing() billing.Watch {
	events := f.counter("mailsweep_stripe_events_total", "Events of Stripe's: heard, and what became of them.", "kind", "outcome")
	alarms := f.counter("mailsweep_billing_alarms_total", "What wants a person: an unknown price or customer, a dispute, another version or mode, a second subscription.", "reason")
	drift := f.counter("mailsweep_billing_drift_total", "Customers whose subscription was not as Stripe has it, repaired by the hourly comparison.").WithLabelValues()
	for _, reason := range []string{"price", "status", "items", "livemode", "version", "unknown_customer", "customer_missing", "second_subscription", "dispute", "no_customer"} {
		alarms.WithLabelValues(reason) // an increase shows only from a figure that was there
	}
	return billing.Watch{Event: func(kind, outcome string) { events.WithLabelValues(kind, outcome).Inc() }, Alarm: func(reason string) { alarms.WithLabelValues(reason).Inc() }, Drift: drift.Inc}
}

// stripe times our calls.
func (f figures) stripe() func(call, outcome string, took time.Duration) {
	calls := f.seconds("mailsweep_stripe_call_seconds", "Time of calls to Stripe, by what became of them; refused: not made, because Stripe is away.", quick(), "what", "outcome")
	return func(call, outcome string, took time.Duration) {
		calls.WithLabelValues(call, outcome).Observe(took.Seconds())
	}
}

// StripeSetup makes or mends what our account at Stripe needs, and prints the settings that follow from it.
func StripeSetup(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	return stripeSetup(ctx, cfg, log, os.Stdout)
}

func stripeSetup(ctx context.Context, cfg config.Config, log *slog.Logger, out io.Writer) error {
	if cfg.Stripe.Key.IsZero() {
		return errors.New("STRIPE_SECRET_KEY is not set")
	}
	db, err := store.Open(ctx, store.Options{URL: cfg.DB.For(cfg.Process).Reveal(), Process: "stripe-setup", MaxConns: 4})
	if err != nil {
		return err
	}
	defer db.Close()
	plans, err := db.Plans(ctx)
	if err != nil {
		return err
	}
	known, err := billing.ParsePrices(cfg.Stripe.Prices)
	if err != nil {
		return fmt.Errorf("read STRIPE_PRICES: %w", err)
	}
	at := billing.Connect(billing.Options{Key: cfg.Stripe.Key.Reveal(), URL: cfg.Stripe.BaseURL})
	made, err := billing.SetUp(ctx, at, plans, known, cfg.HTTP.PublicURL+"/webhooks/stripe")
	for _, done := range made.Done {
		log.Info(done)
	}
	if err != nil {
		return err
	}
	lines := []string{"STRIPE_PRICES=" + made.Prices.Spec(), "STRIPE_PORTAL=" + made.Portal}
	if made.Secret != "" {
		lines = append(lines, "STRIPE_WEBHOOK_SECRETS="+made.Secret) // the one time that Stripe shows it
	}
	_, err = fmt.Fprintln(out, strings.Join(lines, "\n"))
	return err
}
