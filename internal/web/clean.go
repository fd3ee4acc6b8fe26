package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/cleanup"
	"mailsweep/internal/sweep"
)

func (p *Pages) cleanRoutes(e *echo.Echo) {
	e.GET("/mailboxes/:mailbox/clean", p.signed(sweep.Operator, p.clean))
	e.GET("/mailboxes/:mailbox/build", p.signed(sweep.Operator, p.build))
	e.POST("/mailboxes/:mailbox/build", p.signed(sweep.Operator, p.rebuild))
	e.POST("/mailboxes/:mailbox/count", p.counted)
	e.POST("/mailboxes/:mailbox/preview", p.signed(sweep.Operator, p.preview))
}

// cleanPage is the form that says what mail a cleanup concerns.
type cleanPage struct {
	mailForm
	Mailbox account.MailboxView
	Token   string
	Once    string // so that a second click is no second preview
}

// countPage is the live count beside the form.
type countPage struct {
	Count   *cleanup.CountResult
	Says    string // the criteria in words
	Problem string
}

func (p *Pages) clean(c echo.Context, a sweep.Actor) error {
	_, mailbox, err := p.named(c, a)
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "clean", "Clean up "+mailbox.Email, cleanPage{Mailbox: mailbox, Token: p.edge.Token(c), Once: once()})
}

// counted answers what is typed with a fragment in any case: an old number must not stand beside new criteria.
func (p *Pages) counted(c echo.Context) error {
	p.dress(c)
	a, err := p.edge.Enter(c, sweep.Operator, 1)
	if sweep.CodeOf(err) == sweep.Unauthenticated {
		return p.toSignIn(c)
	}
	if err == nil {
		err = p.count(c, a)
	}
	if err == nil || c.Response().Committed {
		return nil
	}
	_, detail, _ := p.edge.Refused(c, err)
	return p.fragment(c, "clean", "count", countPage{Problem: "Not counted just now: " + sentence(detail)})
}

func (p *Pages) count(c echo.Context, a sweep.Actor) error {
	id, err := sweep.MailboxID.Parse(c.Param("mailbox"))
	if err != nil {
		return err
	}
	form, err := formOf(c)
	if err != nil {
		return err
	}
	page := countPage{}
	criteria, err := criteriaOf(form)
	if err == nil {
		page.Says = describe(criteria)
		var n cleanup.CountResult
		n, err = p.Cleanup.Count(c.Request().Context(), a.Customer, cleanup.Target{Mailbox: id}, criteria)
		page.Count = &n
	}
	if err != nil {
		var known *sweep.Error
		if !errors.As(err, &known) {
			return err
		}
		if page.Count, page.Problem = nil, sentence(known.Detail); len(known.Fields) > 0 {
			page.Problem = "Not counted: something has to be put right."
		}
	}
	return p.fragment(c, "clean", "count", page)
}

// preview begins a dry run of what a form says, or a suggestion's button. What a person can put right is shown again with what was typed.
func (p *Pages) preview(c echo.Context, a sweep.Actor) error {
	id, err := sweep.MailboxID.Parse(c.Param("mailbox"))
	if err != nil {
		return err
	}
	form, err := formOf(c)
	if err != nil {
		return err
	}
	if unpicked(form) {
		return p.nothingPicked(c, a, form)
	}
	request, err := wanted(form)
	var job sweep.JobView
	if err == nil {
		request.Mailbox = id
		job, err = p.Cleanup.SubmitDryRun(c.Request().Context(), a, request, pressedAs(c, "dry-run", form.Encode()))
	}
	if err != nil {
		return p.previewAgain(c, a, form, err)
	}
	return p.go_(c, "/jobs/"+job.ID)
}

// previewAgain shows a refused form again.
func (p *Pages) previewAgain(c echo.Context, a sweep.Actor, form url.Values, err error) error {
	if !slices.Contains([]sweep.Code{sweep.Invalid, sweep.BadRequest, sweep.ConfirmAllRequired, sweep.CategoriesUnavailable, sweep.RateLimited, sweep.Unavailable}, sweep.CodeOf(err)) {
		return err
	}
	code := sweep.CodeOf(err)
	why, status, err := p.refused(c, err)
	if err != nil {
		return err
	}
	_, mailbox, err := p.named(c, a)
	if err != nil {
		return err
	}
	if code == sweep.ConfirmAllRequired {
		why.Problem = "This is every message that there is. If you mean it, tick the box below."
	}
	title := "Clean up " + mailbox.Email
	if form.Get("form") == "short" {
		return p.show(c, status, "clean", title, cleanPage{Mailbox: mailbox, Token: p.edge.Token(c), Once: once(), mailForm: mailForm{why, form}})
	}
	page := p.building(c, mailbox, form)
	page.mailForm, page.Whole = mailForm{why, form}, code == sweep.ConfirmAllRequired
	return p.show(c, status, "build", title, page)
}
