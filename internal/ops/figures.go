package ops

import (
	"context"
	"slices"
	"strings"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Figures are how the business went in a month of UTC. Nothing in them is about one customer. A month that is over keeps what it was closed with.
// Money is in US cents. The words for each figure stand in Definitions.
type Figures struct {
	Month  string    `json:"month"`  // as 2026-11
	Until  time.Time `json:"until"`  // the month's end, or when it was looked at
	Closed bool      `json:"closed"` // it changes no more

	SignUps     int   `json:"sign_ups"`
	Trials      int   `json:"trials"`
	TrialToPaid Share `json:"trial_to_paid"`

	MRRCents       int   `json:"mrr_cents"`
	MRRBeforeCents int   `json:"mrr_before_cents"`
	Paying         int   `json:"paying"`
	Churn          Share `json:"churn"`
	ChurnedCents   int   `json:"churned_cents"`
	ARPU           Mean  `json:"arpu_cents"`

	Emails           Mean  `json:"emails_cleaned"`
	FreedBytes       int64 `json:"freed_bytes"`
	QuotaExceeded    Share `json:"quota_exceeded"`
	UnitsPerCustomer Mean  `json:"units"`

	Plans []PlanFigures `json:"plans"`
	Days  []DayFigures  `json:"days"`
}

// PlanFigures are of the customers on one plan at Until. "trial" is who is on a trial alone.
type PlanFigures struct {
	Plan           string `json:"plan"`
	PriceCents     int    `json:"price_cents"` // as it is now
	Customers      int    `json:"customers"`
	Paying         int    `json:"paying"`
	MRRCents       int    `json:"mrr_cents"`
	Emails         Mean   `json:"emails_cleaned"`
	FreedBytes     int64  `json:"freed_bytes"`
	QuotaExceeded  Share  `json:"quota_exceeded"`
	Units          Mean   `json:"units"`
	UnitsP95       int64  `json:"units_p95"`
	UnitsPerDollar Mean   `json:"units_per_dollar"`
}

// DayFigures are one day's.
type DayFigures struct {
	Day     string `json:"day"`
	SignUps int    `json:"sign_ups"`
	Trials  int    `json:"trials"`
}

// Share is a part of a whole.
type Share struct {
	Part int `json:"part"`
	Of   int `json:"of"`
}

// Percent is the share in percent; 0 of nothing.
func (s Share) Percent() float64 { return 100 * quotient(int64(s.Part), s.Of) }

// Mean is a sum over so many.
type Mean struct {
	Sum int64 `json:"sum"`
	N   int   `json:"n"`
}

// Each is the mean; 0 over none.
func (m Mean) Each() float64 { return quotient(m.Sum, m.N) }

func quotient(a int64, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// Definition says what a figure means.
type Definition struct{ Name, Means string }

// Definitions are what pages and tables show beside the figures.
func Definitions() []Definition {
	return []Definition{
		{"Month", "a month of UTC, up to its end, or to now while it runs. On the day after its end it is closed, and changes no more"},
		{"Sign-ups", "accounts made, by day of UTC, whether or not their address was proven since"},
		{"Trials", "accounts whose trial began, by the day on which it did"},
		{"Trial to paid", "of the trials that ended in the month, those whose customer had paid for a plan at any time before the month's end"},
		{"Paying", "customers with a plan that was bought: not granted by an operator, not ended, not deleted, and not unpaid for longer than the seven days of grace"},
		{"MRR", "what the plans of those who pay at the month's end bring a month; of a yearly price a twelfth"},
		{"Churn", "of those who paid when the month began, those who do not at its end; who only pays less is none of them"},
		{"ARPU", "MRR by the number of those who pay"},
		{"Emails cleaned", "messages counted against the month's quota, less what was given back; the mean is over those who cleaned any"},
		{"Storage freed", "estimated bytes of what runs that ended in the month moved to the trash, less what undos that ended in the month took back out"},
		{"Quota exceeded", "of the customers who asked for an execute in the month, those of whom one was refused because it did not fit"},
		{"Gmail units", "units of Gmail's quota spent by jobs asked for in the month; the mean is over the customers who had any spent"},
		{"Units per dollar", "Gmail units of a plan's customers by the MRR of that plan: cost against price"},
		{"By plan", "customers count on the best plan they had at the month's end, bought or granted; trial is a trial alone. Who was deleted counts in what was done, not among customers. Who was purged before the month was closed counts in money alone"},
	}
}

// Figures reads how a month went. Invalid for one that has not begun.
func (s *Service) Figures(ctx context.Context, p sweep.Period) (Figures, error) {
	return FiguresOf(ctx, s.All, s.Plans, p)
}

// FiguresOf reads how a month went with the login of ops or of the scheduler. Invalid for one that has not begun.
func FiguresOf(ctx context.Context, db *store.DB, plans sweep.Plans, p sweep.Period) (f Figures, err error) {
	if closed, err := db.ClosedFigures(ctx, p, &f); err != nil || closed {
		return f, err
	}
	c, err := db.MonthCounts(ctx, p)
	if err != nil {
		return f, err
	}
	if c.Until.Before(p.Start) {
		return f, sweep.Errorf(sweep.Invalid, "%s has not begun", p.Start.Format("2006-01"))
	}
	return figures(p, c, plans), nil
}

// CloseFigures keeps the figures of a month that is over for good, with the scheduler's login; Conflict for one that still runs. Again changes nothing.
func CloseFigures(ctx context.Context, db *store.DB, plans sweep.Plans, p sweep.Period) error {
	f, err := FiguresOf(ctx, db, plans, p)
	if err != nil || f.Closed {
		return err
	}
	if f.Until.Before(p.End) {
		return sweep.Errorf(sweep.Conflict, "%s is not over", f.Month)
	}
	f.Closed = true
	return db.CloseFigures(ctx, p, f)
}

// figures are pure arithmetic over what was counted.
func figures(p sweep.Period, c store.MonthCounts, plans sweep.Plans) Figures {
	m := c.Money
	f := Figures{Month: p.Start.Format("2006-01"), Until: c.Until.UTC(), TrialToPaid: Share{m.TrialsPaid, m.TrialsEnded}, MRRCents: m.Cents, MRRBeforeCents: m.CentsBefore,
		Paying: m.Paying, Churn: Share{m.Churned, m.PayingBefore}, ChurnedCents: m.ChurnedCents, ARPU: Mean{int64(m.Cents), m.Paying}}
	for _, d := range c.Days {
		f.SignUps, f.Trials = f.SignUps+d.SignUps, f.Trials+d.Trials
		f.Days = append(f.Days, DayFigures{d.Day.Format(time.DateOnly), d.SignUps, d.Trials})
	}
	for _, n := range c.Plans {
		f.Emails = Mean{f.Emails.Sum + int64(n.Emails), f.Emails.N + n.Cleaners}
		f.UnitsPerCustomer = Mean{f.UnitsPerCustomer.Sum + n.Units, f.UnitsPerCustomer.N + n.Spenders}
		f.QuotaExceeded = Share{f.QuotaExceeded.Part + n.Refused, f.QuotaExceeded.Of + n.Asked}
		f.FreedBytes += n.Freed
		f.Plans = append(f.Plans, PlanFigures{Plan: n.Plan, PriceCents: plans[sweep.Tier(n.Plan)].PriceCents, Customers: n.Customers, Paying: n.Paying, MRRCents: n.Cents,
			Emails: Mean{int64(n.Emails), n.Cleaners}, FreedBytes: n.Freed, QuotaExceeded: Share{n.Refused, n.Asked}, Units: Mean{n.Units, n.Spenders}, UnitsP95: n.UnitsP95,
			UnitsPerDollar: Mean{100 * n.Units, n.Cents}})
	}
	slices.SortFunc(f.Plans, func(a, b PlanFigures) int { return strings.Compare(rank(a.Plan), rank(b.Plan)) })
	return f
}

// rank puts plans in order: free, trial, then by what they are.
func rank(plan string) string {
	return map[string]string{"free": "0", "trial": "1", "basic": "2", "pro": "3", "enterprise": "4"}[plan] + plan
}
