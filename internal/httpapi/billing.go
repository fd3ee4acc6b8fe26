package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/billing"
	"mailsweep/internal/sweep"
)

// PlanChoice is a plan that costs something, and how often it is paid.
type PlanChoice struct {
	Plan  sweep.Tier  `json:"plan" enum:"basic,pro,enterprise"`
	Every sweep.Every `json:"every,omitempty" enum:"month,year" default:"month" doc:"A year costs ten months"`
}

type checkoutInput struct {
	Body struct {
		PlanChoice
	} `nameHint:"Checkout"`
}

type changePlanInput struct {
	Body struct {
		PlanChoice
		At *time.Time `json:"at,omitempty" doc:"Of a preview within the last 15 minutes: exactly what it said is charged"`
	} `nameHint:"ChangePlan"`
}

type previewInput struct {
	Plan  sweep.Tier  `query:"plan" required:"true" enum:"basic,pro,enterprise"`
	Every sweep.Every `query:"every" enum:"month,year" default:"month"`
}

type billingOutput struct{ Body billing.View }

type billingPageOutput struct{ Body billing.Page }

type previewOutput struct{ Body billing.Preview }

type changedOutput struct{ Body billing.Changed }

func (s *server) billingRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/billing", name: "get-billing", role: sweep.Owner, scope: sweep.ScopeBilling, tag: "billing",
		summary: "What is bought and granted, and what every page should say about it"}, s.billing)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/billing/preview", name: "preview-change", role: sweep.Owner, scope: sweep.ScopeBilling, tag: "billing", errors: []int{409},
		summary: "What a change of plan would cost, to the cent"}, s.previewChange)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/billing/checkout", name: "checkout", role: sweep.Owner, scope: sweep.ScopeBilling, tag: "billing",
		summary: "Buy a plan: the answer has the page where it is paid. The plan is in force when that is done"}, s.checkout)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/billing/portal", name: "open-portal", role: sweep.Owner, scope: sweep.ScopeBilling, tag: "billing",
		summary: "The page for invoices, cards and what is open"}, s.openPortal)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/billing/change", name: "change-plan", role: sweep.Owner, scope: sweep.ScopeBilling, tag: "billing",
		summary: "Change the plan: a larger one once its invoice is paid, a smaller one at the period's end"}, s.changePlan)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/billing/cancel", name: "cancel-subscription", role: sweep.Owner, scope: sweep.ScopeBilling, tag: "billing",
		summary: "End the subscription when what is paid for is used up"}, s.cancelSubscription)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/billing/resume", name: "resume-subscription", role: sweep.Owner, scope: sweep.ScopeBilling, tag: "billing",
		summary: "Take back a cancellation or a planned change"}, s.resumeSubscription)
}

func (s *server) billing(ctx context.Context, _ *struct{}) (*billingOutput, error) {
	v, err := s.Billing.State(ctx, actorOf(ctx).Customer)
	return &billingOutput{Body: v}, err
}

func (s *server) previewChange(ctx context.Context, in *previewInput) (*previewOutput, error) {
	p, err := s.Billing.Preview(ctx, actorOf(ctx), in.Plan, in.Every)
	return &previewOutput{Body: p}, err
}

func (s *server) checkout(ctx context.Context, in *checkoutInput) (*billingPageOutput, error) {
	p, err := s.Billing.Checkout(ctx, actorOf(ctx), in.Body.Plan, in.Body.Every)
	return &billingPageOutput{Body: p}, err
}

func (s *server) openPortal(ctx context.Context, _ *struct{}) (*billingPageOutput, error) {
	p, err := s.Billing.Open(ctx, actorOf(ctx))
	return &billingPageOutput{Body: p}, err
}

func (s *server) changePlan(ctx context.Context, in *changePlanInput) (*changedOutput, error) {
	var at time.Time
	if in.Body.At != nil {
		at = *in.Body.At
	}
	c, err := s.Billing.Change(ctx, actorOf(ctx), in.Body.Plan, in.Body.Every, at)
	return &changedOutput{Body: c}, err
}

func (s *server) cancelSubscription(ctx context.Context, _ *struct{}) (*changedOutput, error) {
	c, err := s.Billing.Cancel(ctx, actorOf(ctx))
	return &changedOutput{Body: c}, err
}

func (s *server) resumeSubscription(ctx context.Context, _ *struct{}) (*changedOutput, error) {
	c, err := s.Billing.Resume(ctx, actorOf(ctx))
	return &changedOutput{Body: c}, err
}
