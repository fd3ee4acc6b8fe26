package httpapi

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/sweep"
)

// PlanPath names a cleanup plan in the path.
type PlanPath struct {
	ID string `path:"id" doc:"pln_…"`
}

type cleanupPlanOutput struct{ Body sweep.PlanView }

type planMessagesInput struct {
	PlanPath
	Sender    string `query:"sender" maxLength:"254" doc:"Only this address"`
	Protected bool   `query:"protected" doc:"What was kept back, in place of what is cleaned"`
	Cursor    string `query:"cursor" maxLength:"500"`
}

type planMessagesOutput struct {
	Body struct {
		Items      []sweep.PlanMessage `json:"items"`
		NextCursor string              `json:"next_cursor,omitempty"`
	} `nameHint:"PlanMessages"`
}

// planOnOffer is a plan as pricing shows it.
type planOnOffer struct {
	Tier              sweep.Tier      `json:"tier" enum:"free,basic,pro,enterprise"`
	PriceCents        int             `json:"price_cents" doc:"US cents per month"`
	YearCents         int             `json:"year_cents" doc:"US cents per year: ten months"`
	Emails            int             `json:"emails" doc:"Messages changed per month"`
	Mailboxes         int             `json:"mailboxes"`
	People            int             `json:"people"`
	RequestsPerMinute int             `json:"requests_per_minute"`
	AnalysisUnits     int             `json:"analysis_units" doc:"Gmail units that one analysis may spend"`
	FullPerDay        int             `json:"full_per_day" doc:"Full analyses of a mailbox in 24 hours, as units of Gmail; beyond, an analysis refreshes what is known and looks for no more senders"`
	Features          []sweep.Feature `json:"features" doc:"Those that can be used already: no others are sold"`
	Planned           []sweep.Feature `json:"planned" doc:"Of the plan, and not shipped yet"`
}

type plansOutput struct {
	Body struct {
		Items     []planOnOffer `json:"items"`
		TrialDays int           `json:"trial_days"`
	} `nameHint:"PlansOnOffer"`
}

func (s *server) planRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/cleanup-plans/{id}", name: "get-cleanup-plan", role: sweep.Viewer, scope: sweep.ScopeRead, tag: "cleanup", errors: []int{410},
		summary: "A cleanup plan: the frozen set of a preview"}, s.cleanupPlan)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/cleanup-plans/{id}/messages", name: "list-plan-messages", role: sweep.Viewer, scope: sweep.ScopeRead, tag: "cleanup", errors: []int{410, 422},
		summary: "Every message of the set, or what was kept back and why"}, s.planMessages)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/billing/plans", name: "list-plans", tag: "usage", open: true, summary: "The plans on offer"}, s.plansOnOffer)
}

func (s *server) cleanupPlan(ctx context.Context, in *PlanPath) (*cleanupPlanOutput, error) {
	id, err := sweep.PlanID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	view, err := s.Cleanup.Plan(ctx, actorOf(ctx).Customer, id)
	return &cleanupPlanOutput{Body: view}, err
}

func (s *server) planMessages(ctx context.Context, in *planMessagesInput) (*planMessagesOutput, error) {
	id, err := sweep.PlanID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	items, next, err := s.Cleanup.PlanMessages(ctx, actorOf(ctx).Customer, id, in.Sender, in.Cursor, in.Protected)
	out := &planMessagesOutput{}
	out.Body.Items, out.Body.NextCursor = listed(items), next
	return out, err
}

func (s *server) plansOnOffer(context.Context, *struct{}) (*plansOutput, error) {
	out := &plansOutput{}
	out.Body.Items, out.Body.TrialDays = []planOnOffer{}, int(sweep.TrialLength.Hours()/24)
	for _, tier := range sweep.Tiers() {
		p := s.Plans[tier]
		out.Body.Items = append(out.Body.Items, planOnOffer{tier, p.PriceCents, p.Price(sweep.Year), p.Emails, p.Mailboxes, p.People, p.RequestsPerMinute, p.AnalysisUnits, p.FullPerDay, s.usable(p.Features), s.planned(p.Features)})
	}
	return out, nil
}

// planned are the features that nobody can use yet.
func (s *server) planned(of []sweep.Feature) []sweep.Feature {
	return slices.DeleteFunc(append([]sweep.Feature{}, of...), func(f sweep.Feature) bool { return slices.Contains(s.Features, f) })
}

// usable leaves out features that nobody can use yet.
func (s *server) usable(of []sweep.Feature) []sweep.Feature {
	return slices.DeleteFunc(append([]sweep.Feature{}, of...), func(f sweep.Feature) bool { return !slices.Contains(s.Features, f) })
}
