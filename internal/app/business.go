package app

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailsweep/internal/config"
	"mailsweep/internal/ops"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// keepBusiness is how long the gauges of the business show what was counted last: a look reads a month of rows.
const keepBusiness = 5 * time.Minute

// business tells how the running month goes, of all customers together. What each means stands in ops.Definitions. Only the scheduler does.
func (p *parts) business() prometheus.Collector {
	l := &looks{}
	signUps := l.desc("mailsweep_month_sign_ups", "Accounts made in this month of UTC.")
	trials := l.desc("mailsweep_month_trials", "Trials that began in this month.")
	ended := l.desc("mailsweep_month_trials_ended", "Trials that ended in this month.")
	paid := l.desc("mailsweep_month_trials_paid", "Trials that ended in this month of customers who paid.")
	before := l.desc("mailsweep_month_paying_before", "Customers that paid when this month began.")
	churned := l.desc("mailsweep_month_churned", "Customers that paid when this month began and do not now.")
	byPlan := []struct {
		desc *prometheus.Desc
		of   func(ops.PlanFigures) float64
	}{
		{l.desc("mailsweep_customers", "Customers by the best plan they have, bought or granted; trial is a trial alone.", "plan"), func(f ops.PlanFigures) float64 { return float64(f.Customers) }},
		{l.desc("mailsweep_customers_paying", "Customers that pay.", "plan"), func(f ops.PlanFigures) float64 { return float64(f.Paying) }},
		{l.desc("mailsweep_mrr_dollars", "What those who pay bring a month; of a yearly price a twelfth.", "plan"), func(f ops.PlanFigures) float64 { return float64(f.MRRCents) / 100 }},
		{l.desc("mailsweep_month_emails_cleaned", "Messages counted in this month.", "plan"), func(f ops.PlanFigures) float64 { return float64(f.Emails.Sum) }},
		{l.desc("mailsweep_month_cleaners", "Customers that cleaned in this month.", "plan"), func(f ops.PlanFigures) float64 { return float64(f.Emails.N) }},
		{l.desc("mailsweep_month_freed_bytes", "Bytes trashed in this month, less what was taken back out.", "plan"), func(f ops.PlanFigures) float64 { return float64(f.FreedBytes) }},
		{l.desc("mailsweep_month_gmail_units", "Gmail units that jobs asked for in this month spent.", "plan"), func(f ops.PlanFigures) float64 { return float64(f.Units.Sum) }},
		{l.desc("mailsweep_month_execute_customers", "Customers that asked for an execute in this month.", "plan"), func(f ops.PlanFigures) float64 { return float64(f.QuotaExceeded.Of) }},
		{l.desc("mailsweep_month_refused_customers", "Customers of whom an execute was refused in this month because it did not fit.", "plan"), func(f ops.PlanFigures) float64 { return float64(f.QuotaExceeded.Part) }},
	}
	latest := p.latestFigures()
	l.look = func(ctx context.Context, c chan<- prometheus.Metric) {
		f, err := latest(ctx)
		if err != nil {
			return
		}
		gauge(c, signUps, float64(f.SignUps))
		gauge(c, trials, float64(f.Trials))
		gauge(c, ended, float64(f.TrialToPaid.Of))
		gauge(c, paid, float64(f.TrialToPaid.Part))
		gauge(c, before, float64(f.Churn.Of))
		gauge(c, churned, float64(f.Churn.Part))
		for _, plan := range f.Plans {
			for _, g := range byPlan {
				gauge(c, g.desc, g.of(plan), plan.Plan)
			}
		}
	}
	return l
}

// latestFigures reads the running month's figures, at most once every keepBusiness.
func (p *parts) latestFigures() func(context.Context) (ops.Figures, error) {
	var mu sync.Mutex
	var f ops.Figures
	var at time.Time
	return func(ctx context.Context) (ops.Figures, error) {
		mu.Lock()
		defer mu.Unlock()
		if !at.IsZero() && time.Since(at) < keepBusiness {
			return f, nil
		}
		now := time.Now().Add(p.cfg.ClockOffset)
		read, err := ops.FiguresOf(ctx, p.db, p.plans, sweep.PeriodAt(now))
		if err == nil {
			f, at = read, time.Now()
		}
		return read, err
	}
}

// FiguresUsage is how the command of the figures is called.
const FiguresUsage = "figures --month 2026-11 [--csv]"

// Figures prints a month's figures as a table, or as CSV. It changes nothing.
func Figures(args []string, out io.Writer) (func(context.Context, config.Config, *slog.Logger) error, error) {
	f := flag.NewFlagSet("figures", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	named, comma := f.String("month", "", ""), f.Bool("csv", false, "")
	if err := f.Parse(args); err != nil || f.NArg() > 0 {
		return nil, sweep.Errorf(sweep.Invalid, "usage: scheduler %s", FiguresUsage)
	}
	month, err := sweep.ParsePeriod(*named)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, cfg config.Config, _ *slog.Logger) error {
		db, err := store.Open(ctx, store.Options{URL: cfg.DB.For(cfg.Process).Reveal(), Process: "figures", MaxConns: 4, ClockOffset: cfg.ClockOffset})
		if err != nil {
			return err
		}
		defer db.Close()
		plans, err := db.Plans(ctx)
		if err != nil {
			return err
		}
		read, err := ops.FiguresOf(ctx, db, plans, month)
		if err != nil {
			return err
		}
		if *comma {
			return read.CSV(out)
		}
		return read.Table(out)
	}, nil
}
