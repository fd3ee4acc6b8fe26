package sweep

import "time"

// Block is a count of messages with their unread share and size. Bytes is an estimate: what these messages weigh lies between BytesLow and
// BytesHigh. An analysis that was stored before it knew these has them as 0.
type Block struct {
	Messages  int   `json:"messages"`
	Unread    int   `json:"unread"`
	Bytes     int64 `json:"bytes" doc:"About how large they are together"`
	BytesLow  int64 `json:"bytes_low" doc:"At least; equal to bytes_high when the size is exact"`
	BytesHigh int64 `json:"bytes_high" doc:"At most"`
}

// Bytes is a size with the bounds between which the truth lies; Exact when Low = High.
type Bytes struct {
	Estimate int64 `json:"estimate"`
	Low      int64 `json:"low"`
	High     int64 `json:"high"`
	Exact    bool  `json:"exact"`
}

// SizeBlock is one class of the size ladder: From ≤ size < To (To 0: no upper bound).
type SizeBlock struct {
	From     int64 `json:"from"`
	To       int64 `json:"to"`
	Messages int   `json:"messages"`
}

// UnsubscribeMethod is how a sender lets one off the list.
type UnsubscribeMethod string

// The ways to unsubscribe. OneClick is RFC 8058 (List-Unsubscribe-Post with an https URI).
const (
	OneClick UnsubscribeMethod = "one_click"
	Mailto   UnsubscribeMethod = "mailto"
	Link     UnsubscribeMethod = "link"
	NoWay    UnsubscribeMethod = "none"
)

// Sender is one From address of a mailbox. Exact: every counted message was read, or listed under a criterion that cannot over-match. Verified
// is how many were read: the others are the sender's by Gmail's search, a sample of which was read and is the sender's.
type Sender struct {
	Address     string            `json:"address"`
	Name        string            `json:"name"`
	Domain      string            `json:"domain"`
	Messages    int               `json:"messages"`
	Unread      int               `json:"unread"`
	Bytes       int64             `json:"bytes"`
	First       time.Time         `json:"first"`
	Last        time.Time         `json:"last"`
	Unsubscribe UnsubscribeMethod `json:"unsubscribe"`
	Lists       []MailingList     `json:"lists,omitempty"`
	Verified    int               `json:"verified"`
	Exact       bool              `json:"exact"`
	Safety      Safety            `json:"safety"`
}

// MailingList is a list (List-Id) that mail of a sender names, and how that mail lets one off it.
type MailingList struct {
	ID          string            `json:"id"`
	Unsubscribe UnsubscribeMethod `json:"unsubscribe"`
}

// MailingListGroup is the senders together whose mail, as far as it was read, names a list.
type MailingListGroup struct {
	ID             string            `json:"id"`
	Senders        int               `json:"senders"`
	SenderMessages int               `json:"sender_messages" doc:"All mail of these senders; how much of it names the list a preview finds out"`
	Unsubscribe    UnsubscribeMethod `json:"unsubscribe"`
}

// Domain is the senders of one registrable domain together.
type Domain struct {
	Domain   string `json:"domain"`
	Senders  int    `json:"senders"`
	Messages int    `json:"messages"`
	Unread   int    `json:"unread"`
	Bytes    int64  `json:"bytes"`
	Exact    bool   `json:"exact"`
}

// DomainPage is some of a mailbox's domains, those of most messages first.
type DomainPage struct {
	Items []Domain  `json:"items"`
	Total int       `json:"total" doc:"How many domains there are on all pages"`
	Exact bool      `json:"exact" doc:"Whether every count of every domain is"`
	AsOf  time.Time `json:"as_of"`
	Next  string    `json:"next_cursor,omitempty"`
}

// MailingListPage is some of the lists that a mailbox's mail names, those whose senders have most mail first.
type MailingListPage struct {
	Items []MailingListGroup `json:"items"`
	Total int                `json:"total" doc:"How many lists there are on all pages"`
	AsOf  time.Time          `json:"as_of"`
	Next  string             `json:"next_cursor,omitempty"`
}

// Suggestion is a cleanup worth previewing; Messages is what its plan would hold.
type Suggestion struct {
	Title    string   `json:"title"`
	Criteria Criteria `json:"criteria"`
	Action   Action   `json:"action"`
	Messages int      `json:"messages"`
	Bytes    int64    `json:"bytes"`
}

// Health is 100 − 60 × unread share − 40 × share older than 90 days − 55 × max(0, promotions share − 0.2), not below 0.
type Health struct {
	Score int                `json:"score"`
	Parts map[string]float64 `json:"parts"`
}

// Stage is how far an analysis has come.
type Stage string

// The stages of an analysis: Gmail's own counts, nothing of which is exact; the listed mailbox; senders as they are found out; all of it.
const (
	StageCounts  Stage = "counts"
	StageFacets  Stage = "facets"
	StageSenders Stage = "senders"
	StageDone    Stage = "done"
)

// Analysis is the picture of a mailbox. Every block of Exact says whether its numbers are exact. A job that is still at it shows earlier
// stages as its result.
type Analysis struct {
	Stage             Stage              `json:"stage" enum:"counts,facets,senders,done"`
	AsOf              time.Time          `json:"as_of"`
	Messages          int                `json:"messages"`
	Threads           int                `json:"threads"`
	Unread            int                `json:"unread"`
	Bytes             Bytes              `json:"bytes"`
	ByCategory        map[Category]Block `json:"by_category"`
	ByAge             map[string]Block   `json:"by_age"`
	BySize            []SizeBlock        `json:"by_size"`
	Senders           []Sender           `json:"senders"`
	SendersTotal      int                `json:"senders_total"`
	Domains           []Domain           `json:"domains"`
	Lists             []MailingListGroup `json:"lists"`
	AttributedPercent float64            `json:"attributed_percent"`
	Suggestions       []Suggestion       `json:"suggestions"`
	Health            Health             `json:"health"`
	Exact             map[string]bool    `json:"exact"`
	UnitsSpent        int64              `json:"units_spent"`
	Trend             []TrendPoint       `json:"trend"` // oldest first, this analysis last; none before it is done
}

// Ages are the keys of Analysis.ByAge, youngest first, with the age in days at which each ends.
func Ages() []struct {
	Key  string
	Days int
} {
	return []struct {
		Key  string
		Days int
	}{{"7d", 7}, {"30d", 30}, {"90d", 90}, {"1y", 365}, {"older", 0}}
}

// HealthOf computes the score from counts.
func HealthOf(messages, unread, older90, promotions int) Health {
	if messages == 0 {
		return Health{Score: 100, Parts: map[string]float64{"unread": 0, "old": 0, "promotions": 0}}
	}
	n := float64(messages)
	u, o, p := 60*float64(unread)/n, 40*float64(older90)/n, 55*max(0, float64(promotions)/n-0.2)
	return Health{Score: int(max(0, 100-u-o-p) + 0.5), Parts: map[string]float64{"unread": u, "old": o, "promotions": p}}
}

// Protected counts what was kept back, each message under its first reason.
type Protected struct {
	Total    int            `json:"total"`
	ByReason map[Reason]int `json:"by_reason"`
}

// SenderCount is a sender's share of a plan.
type SenderCount struct {
	Address  string `json:"address"`
	Messages int    `json:"messages"`
	Bytes    int64  `json:"bytes"`
}

// Sample is one message of a plan with the headers a person recognises.
type Sample struct {
	ID      string    `json:"id"`
	From    string    `json:"from"`
	Subject string    `json:"subject"`
	Date    time.Time `json:"date"`
	Size    int64     `json:"size"`
}

// QuotaUse is what executing a plan would take.
type QuotaUse struct {
	Uses           int `json:"uses"`
	RemainingAfter int `json:"remaining_after"`
}

// DryRunResult is the preview: the counts of a frozen set. Nothing was changed.
type DryRunResult struct {
	CleanupPlanID    string           `json:"cleanup_plan_id"`
	ExpiresAt        time.Time        `json:"expires_at"`
	Matched          int              `json:"matched"`
	Undetermined     int              `json:"undetermined"`
	Protected        Protected        `json:"protected"`
	ToClean          int              `json:"to_clean"`
	Bytes            int64            `json:"bytes"`
	ByCategory       map[Category]int `json:"by_category"`
	BySender         []SenderCount    `json:"by_sender"`
	ByAge            map[string]int   `json:"by_age"`
	Samples          []Sample         `json:"samples"`
	Quota            QuotaUse         `json:"quota"`
	EstimatedSeconds int              `json:"estimated_seconds"`
	Exact            map[string]bool  `json:"exact"`
	UnitsSpent       int64            `json:"units_spent"`
}

// Skipped counts messages of a plan that were left alone.
type Skipped struct {
	ByReason map[Reason]int `json:"by_reason"`
}

// Proof is Gmail's own history of the run.
type Proof struct {
	HistoryFrom string `json:"history_from"`
	HistoryTo   string `json:"history_to"`
	Confirmed   int    `json:"confirmed"`
}

// ExecuteResult is what a run really did. Planned = Cleaned + Σ Skipped + AlreadyGone + what is in the remainder plan.
type ExecuteResult struct {
	CleanupPlanID   string    `json:"cleanup_plan_id"`
	Planned         int       `json:"planned"`
	Cleaned         int       `json:"cleaned"`
	Skipped         Skipped   `json:"skipped"`
	AlreadyGone     int       `json:"already_gone"`
	RemainderPlanID string    `json:"remainder_plan_id,omitempty"`
	Bytes           int64     `json:"bytes"`
	Quota           QuotaLeft `json:"quota"`
	UndoUntil       time.Time `json:"undo_until"`
	Proof           Proof     `json:"proof"`
	UnitsSpent      int64     `json:"units_spent"`
}

// QuotaLeft is the period's standing after a run.
type QuotaLeft struct {
	Used      int `json:"used"`
	Remaining int `json:"remaining"`
}

// UndoResult is what an undo restored.
type UndoResult struct {
	Restored     int   `json:"restored"`
	AlreadyGone  int   `json:"already_gone"`
	ChangedSince int   `json:"changed_since"`
	UnitsSpent   int64 `json:"units_spent"`
}

// Whole replaces lists and maps that are nil by empty ones: callers never see null for a list.
func (a *Analysis) Whole() {
	a.ByCategory, a.ByAge, a.Exact = orNone(a.ByCategory), orNone(a.ByAge), orNone(a.Exact)
	a.Health.Parts = orNone(a.Health.Parts)
	a.BySize, a.Senders, a.Domains, a.Lists = orEmpty(a.BySize), orEmpty(a.Senders), orEmpty(a.Domains), orEmpty(a.Lists)
	a.Suggestions, a.Trend = orEmpty(a.Suggestions), orEmpty(a.Trend)
}

// Whole does the same for a preview.
func (r *DryRunResult) Whole() { r.BySender, r.Samples = orEmpty(r.BySender), orEmpty(r.Samples) }

func orNone[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return m
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
