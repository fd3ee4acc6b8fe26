package sweep

import (
	"slices"
	"time"
)

// Tier names a plan on offer.
type Tier string

// The plans on offer, cheapest first.
const (
	Free       Tier = "free"
	Basic      Tier = "basic"
	Pro        Tier = "pro"
	Enterprise Tier = "enterprise"
)

// Tiers lists the plans, cheapest first.
func Tiers() []Tier { return []Tier{Free, Basic, Pro, Enterprise} }

// Rank orders the plans, free being 0; -1 for what is none.
func (t Tier) Rank() int { return slices.Index(Tiers(), t) }

// Feature names something that only some plans can do.
type Feature string

// The features that plans differ in.
const (
	Schedules   Feature = "schedules"
	Unsubscribe Feature = "unsubscribe"
	APIKeys     Feature = "api_keys"
	Webhooks    Feature = "webhooks"
	IPAllowlist Feature = "ip_allowlist"
	Enforce2FA  Feature = "enforced_2fa"
	AuditExport Feature = "audit_export"
)

// Shipped says whether the feature's code is in: pricing and checkout sell no other.
func (f Feature) Shipped() bool {
	switch f {
	case APIKeys, IPAllowlist, Enforce2FA:
		return true
	}
	return false
}

// Name is what people read.
func (f Feature) Name() string {
	switch f {
	case Schedules:
		return "Schedules"
	case Unsubscribe:
		return "One-click unsubscribe"
	case APIKeys:
		return "API keys"
	case Webhooks:
		return "Outbound webhooks"
	case IPAllowlist:
		return "IP allowlist"
	case Enforce2FA:
		return "Two-factor sign-in for everybody"
	case AuditExport:
		return "Audit export"
	}
	return string(f)
}

// Shipped lists the features of any plan whose code is in.
func (p Plans) Shipped() []Feature { return p[Enterprise].Sold() }

// Plan is what a customer may do: limits, features, price.
type Plan struct {
	Tier              Tier      `json:"tier"`
	PriceCents        int       `json:"price_cents"`
	Emails            int       `json:"emails"`              // messages changed per period
	Mailboxes         int       `json:"mailboxes"`           // that accept jobs
	People            int       `json:"people"`              // members of the customer
	RequestsPerMinute int       `json:"requests_per_minute"` // API rate
	AnalysisUnits     int       `json:"analysis_units"`      // Gmail units one analysis may spend
	FullPerDay        int       `json:"full_per_day"`        // so many times AnalysisUnits a mailbox's analyses may spend in a day; beyond, they only refresh
	Weight            int       `json:"weight"`              // share of the workers under load
	Features          []Feature `json:"features"`
}

// Plans is the plan table. Limits come from configuration with DefaultPlans as default, so that tests and the demo can set their own.
type Plans map[Tier]Plan

// DefaultPlans is the table that pricing shows.
func DefaultPlans() Plans {
	basic := []Feature{Schedules, Unsubscribe}
	pro := append(slices.Clone(basic), APIKeys, Webhooks)
	ent := append(slices.Clone(pro), IPAllowlist, Enforce2FA, AuditExport)
	return Plans{
		Free:       {Free, 0, 500, 1, 1, 60, 5_000, 1, 1, nil},
		Basic:      {Basic, 900, 5_000, 1, 1, 120, 25_000, 4, 2, basic},
		Pro:        {Pro, 2_900, 50_000, 5, 3, 600, 60_000, 4, 4, pro},
		Enterprise: {Enterprise, 9_900, 500_000, 50, 50, 3_000, 150_000, 4, 8, ent},
	}
}

// RoleOf is what somebody may do whose role it is, as the rank-th of the customer's people counted from 0: owners first, then who came
// first. Who is beyond the plan's people only looks, until there is a larger plan or room.
func (p Plan) RoleOf(role Role, rank int) Role {
	if rank >= p.People && role.rank() > Viewer.rank() {
		return Viewer
	}
	return role
}

// PreviewUnits is how many Gmail units a dry run may spend on what the index does not know.
func (p Plan) PreviewUnits() int { return p.AnalysisUnits / 5 }

// DayUnits is how many Gmail units the analyses of one mailbox may spend in 24 hours before they look for no more senders.
func (p Plan) DayUnits() int { return p.AnalysisUnits * p.FullPerDay }

// Sold lists the plan's features whose code is in.
func (p Plan) Sold() []Feature {
	return slices.DeleteFunc(slices.Clone(p.Features), func(f Feature) bool { return !f.Shipped() })
}

// Has says whether the plan carries the feature.
func (p Plan) Has(f Feature) bool { return slices.Contains(p.Features, f) }

// Require is the one answer to "does this plan allow it": nil or FeatureNotInPlan.
func (p Plan) Require(f Feature) error {
	if p.Has(f) {
		return nil
	}
	return Errorf(FeatureNotInPlan, "%s is not part of the %s plan", f, p.Tier).With("feature", string(f))
}

// Customer is the tenant as far as plans are concerned.
type Customer struct {
	ID           ID
	Subscription Subscription // bought
	Granted      Subscription // by an operator: it stands beside what is bought, and neither overwrites the other
	TrialEndsAt  time.Time    // zero: never had one
	SuspendedAt  time.Time
	DeletedAt    time.Time // by its owner; then it is suspended too, and soon purged
	PlanVersion  int64     // grows with every change of what PlanAt reads
}

// InTrial says whether the trial is running at now.
func (c Customer) InTrial(now time.Time) bool {
	return !c.TrialEndsAt.IsZero() && now.Before(c.TrialEndsAt)
}

// PlanAt is the better of subscription, grant and trial at now. A trial has pro's features with basic's quota.
func (p Plans) PlanAt(c Customer, now time.Time) Plan {
	plan := p[c.Subscription.at(now)]
	if granted := c.Granted.at(now); granted != Free {
		plan = better(plan, p[granted])
	}
	if !c.InTrial(now) {
		return plan
	}
	return better(plan, p.trial())
}

// TrialCounts says whether the trial gives more at now than what is bought or granted.
func (p Plans) TrialCounts(c Customer, now time.Time) bool {
	with := p.PlanAt(c, now)
	c.TrialEndsAt = time.Time{}
	without := p.PlanAt(c, now)
	return with.Tier != without.Tier || with.Emails != without.Emails || len(with.Features) != len(without.Features)
}

func (p Plans) trial() Plan {
	t := p[Pro]
	t.Emails, t.AnalysisUnits, t.PriceCents = p[Basic].Emails, p[Basic].AnalysisUnits, 0
	return t
}

func better(a, b Plan) Plan {
	out := a
	if b.PriceCents > a.PriceCents || a.Tier == Free {
		out.Tier = b.Tier
	}
	out.Emails = max(a.Emails, b.Emails)
	out.Mailboxes = max(a.Mailboxes, b.Mailboxes)
	out.People = max(a.People, b.People)
	out.RequestsPerMinute = max(a.RequestsPerMinute, b.RequestsPerMinute)
	out.AnalysisUnits = max(a.AnalysisUnits, b.AnalysisUnits)
	out.FullPerDay = max(a.FullPerDay, b.FullPerDay)
	out.Weight = max(a.Weight, b.Weight)
	out.Features = slices.Clone(a.Features)
	for _, f := range b.Features {
		if !slices.Contains(out.Features, f) {
			out.Features = append(out.Features, f)
		}
	}
	return out
}
