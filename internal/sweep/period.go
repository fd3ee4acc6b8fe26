package sweep

import "time"

// Period is the half-open time [Start, End) in which quota is counted: a UTC calendar month on every plan.
type Period struct{ Start, End time.Time }

// PeriodAt is the period that t falls in.
func PeriodAt(t time.Time) Period {
	t = t.UTC()
	start := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	return Period{Start: start, End: start.AddDate(0, 1, 0)}
}

// ParsePeriod reads a month as it is written in 2026-11.
func ParsePeriod(month string) (Period, error) {
	t, err := time.Parse("2006-01", month)
	if err != nil {
		return Period{}, Errorf(Invalid, "a month is written as 2026-11").At("period", "is not a month")
	}
	return PeriodAt(t), nil
}

// Contains says whether t lies in [Start, End).
func (p Period) Contains(t time.Time) bool { return !t.Before(p.Start) && t.Before(p.End) }

// Next is the period that begins where p ends.
func (p Period) Next() Period { return PeriodAt(p.End) }

// TrialLength is 14 days of 24 hours, in UTC.
const TrialLength = 14 * 24 * time.Hour

// GraceLength is how long a failed payment leaves the paid limits in force.
const GraceLength = 7 * 24 * time.Hour
