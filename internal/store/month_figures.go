package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// MonthCounts are what the database counts of all customers in a month; money is in US cents a month. Before is how it stood when the month
// began, Until its end, or now while it runs.
type MonthCounts struct {
	Until time.Time
	Days  []DayCounts
	Money MoneyCounts
	Plans []PlanCounts
}

// DayCounts are what began on a day of UTC.
type DayCounts struct {
	Day             time.Time
	SignUps, Trials int
}

// MoneyCounts are who paid, who stopped, and what became of trials.
type MoneyCounts struct {
	PayingBefore, CentsBefore int
	Paying, Cents             int
	Churned, ChurnedCents     int
	TrialsEnded, TrialsPaid   int
}

// PlanCounts are of the customers that stand on a plan at the month's end or now; "trial" is a plan here.
type PlanCounts struct {
	Plan                     string
	Customers, Paying, Cents int
	Cleaners, Emails         int // who cleaned, and how many messages were counted
	Spenders                 int // who had Gmail units spent, so many, and how many 19 of 20 stayed within
	Units, UnitsP95          int64
	Freed                    int64 // bytes trashed, less what was taken back out
	Asked, Refused           int   // who asked for an execute, and who was once refused for want of quota
}

// MonthCounts counts a month that has begun, whatever was closed of it. For the ops and scheduler logins.
func (db *DB) MonthCounts(ctx context.Context, p sweep.Period) (c MonthCounts, err error) {
	err = db.System(ctx, func(tx *Tx) error {
		if c.Until = p.End; tx.Now.Before(p.End) {
			c.Until = tx.Now
		}
		args := map[string]any{"from": p.Start, "to": p.End, "at": c.Until, "grace": fmt.Sprintf("%d seconds", int(sweep.GraceLength.Seconds()))}
		if err := tx.Raw("SELECT * FROM sys.figures_days(@from, @to)", args).Scan(&c.Days).Error; err != nil {
			return err
		}
		if err := tx.Raw("SELECT * FROM sys.figures_money(@from, @at, CAST(@grace AS interval))", args).Scan(&c.Money).Error; err != nil {
			return err
		}
		return tx.Raw("SELECT plan, customers, paying, cents, cleaners, emails, spenders, units, units_p95, freed, asked, refused FROM sys.figures_plans(@from, @to, @at, CAST(@grace AS interval))", args).Scan(&c.Plans).Error
	})
	return c, doing(err, "count a month")
}

// ClosedFigures reads into figures what was kept when a month was closed; false when it is not. For the ops and scheduler logins.
func (db *DB) ClosedFigures(ctx context.Context, p sweep.Period, figures any) (closed bool, err error) {
	rows, err := systemRows[struct{ Figures []byte }](ctx, db, "read a month's figures", "SELECT figures FROM month_figures WHERE month = $1", p.Start)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	return true, doing(json.Unmarshal(rows[0].Figures, figures), "decode a month's figures")
}

// CloseFigures keeps a month's figures for good; what was kept before stays. For the scheduler login.
func (db *DB) CloseFigures(ctx context.Context, p sweep.Period, figures any) error {
	data, err := json.Marshal(figures)
	if err != nil {
		return fmt.Errorf("encode a month's figures: %w", err)
	}
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Exec("INSERT INTO month_figures (month, figures, closed_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", p.Start, string(data), tx.Now).Error
	})
	return doing(err, "close a month's figures")
}

// NoteRefused notes that an execute of the transaction's customer did not fit into a period; the first time stands.
func (tx *Tx) NoteRefused(periodStart time.Time) error {
	err := tx.Exec(`INSERT INTO usage_tracking AS t (customer_id, period_start, refused_at) VALUES (?, ?, ?)
		ON CONFLICT (customer_id, period_start) DO UPDATE SET refused_at = excluded.refused_at WHERE t.refused_at IS NULL`, dbID(tx.Customer), periodStart, tx.Now).Error
	return doing(err, "note a refusal")
}
