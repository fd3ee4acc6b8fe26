package web

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/billing"
	"mailsweep/internal/sweep"
)

func (p *Pages) billingRoutes(e *echo.Echo) {
	e.GET("/billing", p.signed(sweep.Viewer, p.billing))
	e.POST("/billing/checkout", p.signed(sweep.Owner, p.checkout))
	e.POST("/billing/portal", p.signed(sweep.Owner, p.portal))
	e.GET("/billing/change", p.signed(sweep.Owner, p.previewChange))
	e.POST("/billing/change", p.signed(sweep.Owner, p.changePlan))
	e.POST("/billing/cancel", p.signed(sweep.Owner, p.cancelPlan))
	e.POST("/billing/resume", p.signed(sweep.Owner, p.resumePlan))
}

// billingPage is what a customer has and what there is.
type billingPage struct {
	State    billing.View
	Usage    sweep.UsageView
	Plans    []sweep.Plan
	Token    string
	Owner    bool
	Checkout string // how a purchase came back: done or left
}

// Live says whether there is a subscription that goes on.
func (b billingPage) Live() bool {
	s := b.State.Subscription
	return s != nil && s.SubscriptionEnded == nil && s.Status != sweep.IncompleteExpired && s.Status != sweep.Ended
}

// Bought says whether a plan is the one that is paid for.
func (b billingPage) Bought(t sweep.Tier) bool { return b.Live() && b.State.Subscription.Plan == t }

func (p *Pages) billing(c echo.Context, a sweep.Actor) error {
	ctx := c.Request().Context()
	page := billingPage{Plans: p.sold(), Token: p.edge.Token(c), Owner: a.MayAs(sweep.Owner) == nil, Checkout: c.QueryParam("checkout")}
	var err error
	if page.State, err = p.Billing.State(ctx, a.Customer); err != nil {
		return err
	}
	if page.Usage, err = p.Report.Usage(ctx, a.Customer); err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "billing", "Plan and billing", page)
}

// choice is the plan that a form or an address names.
func choice(c echo.Context) (sweep.Tier, sweep.Every) {
	every := sweep.Every(c.FormValue("every"))
	if every == "" {
		every = sweep.Month
	}
	return sweep.Tier(c.FormValue("plan")), every
}

func (p *Pages) checkout(c echo.Context, a sweep.Actor) error {
	tier, every := choice(c)
	page, err := p.Billing.Checkout(c.Request().Context(), a, tier, every)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, page.URL)
}

func (p *Pages) portal(c echo.Context, a sweep.Actor) error {
	page, err := p.Billing.Open(c.Request().Context(), a)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, page.URL)
}

// changePage says to the cent what a change costs, before it is made.
type changePage struct {
	Plan    sweep.Plan
	Every   sweep.Every
	Preview billing.Preview
	Token   string
}

// At is when the preview was made, as the form carries it.
func (p changePage) At() string { return p.Preview.At.Format(time.RFC3339Nano) }

func (p *Pages) previewChange(c echo.Context, a sweep.Actor) error {
	tier, every := choice(c)
	preview, err := p.Billing.Preview(c.Request().Context(), a, tier, every)
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "change", "Change the plan", changePage{Plan: p.Plans[tier], Every: every, Preview: preview, Token: p.edge.Token(c)})
}

func (p *Pages) changePlan(c echo.Context, a sweep.Actor) error {
	tier, every := choice(c)
	at, err := time.Parse(time.RFC3339Nano, c.FormValue("at"))
	if err != nil {
		return sweep.Errorf(sweep.BadRequest, "the form could not be read")
	}
	changed, err := p.Billing.Change(c.Request().Context(), a, tier, every, at)
	if err != nil {
		return err
	}
	if changed.PayURL != "" {
		return c.Redirect(http.StatusSeeOther, changed.PayURL)
	}
	came := "done"
	if changed.Effect == billing.AtPeriodEnd {
		came = "planned"
	}
	return p.go_(c, "/billing?checkout="+came)
}

func (p *Pages) cancelPlan(c echo.Context, a sweep.Actor) error {
	if _, err := p.Billing.Cancel(c.Request().Context(), a); err != nil {
		return err
	}
	return p.go_(c, "/billing")
}

func (p *Pages) resumePlan(c echo.Context, a sweep.Actor) error {
	if _, err := p.Billing.Resume(c.Request().Context(), a); err != nil {
		return err
	}
	return p.go_(c, "/billing")
}
