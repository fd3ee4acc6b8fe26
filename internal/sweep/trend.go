package sweep

import (
	"slices"
	"time"
)

// maxTrend is how many days of a mailbox's past are kept.
const maxTrend = 366

// TrendPoint is a mailbox in numbers as a finished analysis found it. Bytes is the estimate.
type TrendPoint struct {
	At       time.Time `json:"at"`
	Messages int       `json:"messages"`
	Unread   int       `json:"unread"`
	Bytes    int64     `json:"bytes"`
	Score    int       `json:"score"`
}

// Continue puts the analysis at the end of what earlier ones found: a point for each day in UTC, its last, of the newest 366 days that have one.
func (a *Analysis) Continue(before []TrendPoint) {
	day := a.AsOf.UTC().Truncate(24 * time.Hour)
	kept := slices.DeleteFunc(slices.Clone(before), func(p TrendPoint) bool { return !p.At.UTC().Truncate(24 * time.Hour).Before(day) })
	a.Trend = append(kept[max(0, len(kept)-maxTrend+1):], TrendPoint{a.AsOf, a.Messages, a.Unread, a.Bytes.Estimate, a.Health.Score})
}
