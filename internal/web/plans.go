package web

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/cleanup"
	"mailsweep/internal/sweep"
)

func (p *Pages) planRoutes(e *echo.Echo) {
	e.GET("/plans/:plan", p.signed(sweep.Viewer, p.plan))
	e.GET("/plans/:plan/messages", p.signed(sweep.Viewer, p.messages))
	e.POST("/plans/:plan/execute", p.costing(sweep.Operator, 10, p.execute))
}

// planPage is a frozen plan: what will happen, what was kept back and why.
type planPage struct {
	Plan    sweep.PlanView
	Mailbox account.MailboxView
	Usage   sweep.UsageView
	Token   string
	Once    string
	CanRun  bool
	Gone    bool // the mailbox was disconnected
}

// Left is what the month has left after the plan.
func (p planPage) Left() int { return p.Usage.Remaining - p.Plan.Messages }

// Fits says whether all of the plan fits into what the month has left.
func (p planPage) Fits() bool { return p.Plan.Messages <= p.Usage.Remaining }

// Open says whether it can be executed.
func (p planPage) Open() bool { return p.Plan.State == "open" && p.Plan.Messages > 0 && !p.Gone }

func (p *Pages) plan(c echo.Context, a sweep.Actor) error {
	ctx := c.Request().Context()
	id, err := sweep.PlanID.Parse(c.Param("plan"))
	if err != nil {
		return err
	}
	page := planPage{Token: p.edge.Token(c), Once: once(), CanRun: a.MayAs(sweep.Operator) == nil}
	if page.Plan, err = p.Cleanup.Plan(ctx, a.Customer, id); err != nil {
		return err
	}
	if page.Usage, err = p.Report.Usage(ctx, a.Customer); err != nil {
		return err
	}
	mailbox, err := sweep.MailboxID.Parse(page.Plan.MailboxID)
	if err != nil {
		return err
	}
	if page.Mailbox, err = p.mailbox(ctx, a, mailbox); sweep.CodeOf(err) == sweep.NotFound {
		page.Gone = true
	} else if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "plan", "Preview", page)
}

func (p *Pages) execute(c echo.Context, a sweep.Actor) error {
	id, err := sweep.PlanID.Parse(c.Param("plan"))
	if err != nil {
		return err
	}
	most, err := number(url.Values{"partial": {c.FormValue("partial")}}, "partial", 1) // as many as the button said
	if err != nil {
		return err
	}
	request := cleanup.ExecuteRequest{Plan: id, Partial: most > 0, MaxMessages: int(most)}
	job, err := p.Cleanup.SubmitExecute(c.Request().Context(), a, request, pressed(c, "execute", c.Param("plan")+" "+c.FormValue("partial")))
	if err != nil {
		return err
	}
	return p.go_(c, "/jobs/"+job.ID)
}

// messagesPage is a page of the frozen set, or of what was kept back.
type messagesPage struct {
	Plan     string
	Email    string // of the mailbox: links lead into it
	Kept     bool
	Sender   string
	Messages []sweep.PlanMessage
	Next     string
}

func (p *Pages) messages(c echo.Context, a sweep.Actor) error {
	ctx := c.Request().Context()
	id, err := sweep.PlanID.Parse(c.Param("plan"))
	if err != nil {
		return err
	}
	page := messagesPage{Plan: c.Param("plan"), Kept: c.QueryParam("kept") != "", Sender: c.QueryParam("sender")}
	plan, err := p.Cleanup.Plan(ctx, a.Customer, id)
	if err != nil {
		return err
	}
	mailbox, err := sweep.MailboxID.Parse(plan.MailboxID)
	if err != nil {
		return err
	}
	m, err := p.mailbox(ctx, a, mailbox)
	if err != nil && sweep.CodeOf(err) != sweep.NotFound { // of a mailbox that was disconnected no message can be opened
		return err
	}
	var next string
	page.Email = m.Email
	if page.Messages, next, err = p.Cleanup.PlanMessages(ctx, a.Customer, id, page.Sender, c.QueryParam("cursor"), page.Kept); err != nil {
		return err
	}
	if next != "" {
		q := url.Values{"cursor": {next}}
		if page.Kept {
			q.Set("kept", "1")
		}
		if page.Sender != "" {
			q.Set("sender", page.Sender)
		}
		page.Next = "/plans/" + page.Plan + "/messages?" + q.Encode()
	}
	if c.Request().Header.Get("HX-Request") != "" {
		return p.fragment(c, "messages", "rows", page)
	}
	return p.show(c, http.StatusOK, "messages", "The whole set", page)
}
