package sweep

import "time"

// Quota is a customer's standing in one period. Used + Reserved never exceeds Limit at the moment of a reservation;
// a plan that shrank later may leave Limit below both, Remaining is then 0.
type Quota struct {
	Limit    int
	Used     int
	Reserved int
	Period   Period
}

// WarnPercent is the share of the limit at which the customer is warned, once per period.
const WarnPercent = 80

// Remaining is what can still be reserved; never negative.
func (q Quota) Remaining() int { return max(0, q.Limit-q.Used-q.Reserved) }

// Fits says whether n more messages can be reserved.
func (q Quota) Fits(n int) bool { return n >= 0 && n <= q.Remaining() }

// Warn says whether the 80 % line is crossed.
func (q Quota) Warn() bool { return q.Limit > 0 && (q.Used+q.Reserved)*100 >= q.Limit*WarnPercent }

// QuotaView is the quota as callers see it, in answers and in a 402.
type QuotaView struct {
	Limit           int       `json:"limit"`
	Used            int       `json:"used"`
	Reserved        int       `json:"reserved"`
	Remaining       int       `json:"remaining"`
	ResetsAt        time.Time `json:"resets_at"`
	UpgradeURL      string    `json:"upgrade_url,omitempty"`
	PartialPossible bool      `json:"partial_possible"`
}

// View is q as callers see it.
func (q Quota) View() QuotaView {
	return QuotaView{Limit: q.Limit, Used: q.Used, Reserved: q.Reserved, Remaining: q.Remaining(), ResetsAt: q.Period.End, PartialPossible: q.Remaining() > 0}
}
