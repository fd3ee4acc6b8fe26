package web

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/cleanup"
	"mailsweep/internal/sweep"
)

func (p *Pages) mailboxRoutes(e *echo.Echo) {
	e.GET("/mailboxes", p.fromConsent(p.signed(sweep.Viewer, p.mailboxes)))
	e.POST("/mailboxes/connect", p.signed(sweep.Operator, p.connect))
	e.GET("/mailboxes/:mailbox", p.signed(sweep.Viewer, p.overview))
	e.POST("/mailboxes/:mailbox/analyze", p.act(sweep.Operator, sweep.MailboxID, p.analyze))
	e.POST("/mailboxes/:mailbox/disconnect", p.act(sweep.Operator, sweep.MailboxID, p.disconnect))
	e.GET("/mailboxes/:mailbox/picture/:job", p.signed(sweep.Viewer, p.picture))
}

// mailboxesPage lists what is connected. Trouble is why the last consent connected nothing.
type mailboxesPage struct {
	Mailboxes []account.MailboxView
	Usage     sweep.UsageView
	Limit     int // mailboxes of the plan
	Trouble   string
}

// Room says whether the plan carries one more.
func (m mailboxesPage) Room() bool { return len(m.Mailboxes) < m.Limit }

// Twin says whether another mailbox has the same address: Google gives one anew after its account is gone.
func (m mailboxesPage) Twin(box account.MailboxView) bool {
	return slices.ContainsFunc(m.Mailboxes, func(other account.MailboxView) bool { return other.ID != box.ID && other.Email == box.Email })
}

// fromConsent takes a browser in which nobody is signed in and that comes back from Google's consent: whoever began did so elsewhere, with a
// program perhaps, and takes the code there.
func (p *Pages) fromConsent(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		consent, trouble := c.QueryParam("connect"), c.QueryParam("connect_error")
		if p.edge.Token(c) != "" || consent == "" && trouble == "" {
			return next(c)
		}
		return p.open(func(c echo.Context) error {
			return p.elsewhere(c, handedOn{Code: consent, Mailbox: true, Trouble: consentTrouble(trouble)})
		})(c)
	}
}

// handedOn is what a person takes from Google's page to where they began. Mailbox: it connects one; else it signs in.
type handedOn struct {
	Code    string
	Mailbox bool
	Trouble string
}

func (p *Pages) elsewhere(c echo.Context, page handedOn) error {
	return p.show(c, http.StatusOK, "code-shown", "Google answered", page)
}

// mailboxes also takes a browser that comes back from Google's consent: what it brings completes the connection, and the first analysis begins.
func (p *Pages) mailboxes(c echo.Context, a sweep.Actor) error {
	ctx := c.Request().Context()
	if consent := c.QueryParam("connect"); consent != "" {
		return p.complete(c, a, consent)
	}
	page := mailboxesPage{Trouble: consentTrouble(c.QueryParam("connect_error"))}
	var err error
	if page.Mailboxes, err = p.Account.Mailboxes(ctx, a.Customer); err != nil {
		return err
	}
	if page.Usage, err = p.Report.Usage(ctx, a.Customer); err != nil {
		return err
	}
	plan, err := p.Account.Plan(ctx, a)
	page.Limit = plan.Mailboxes
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "mailboxes", "Mailboxes", page)
}

func consentTrouble(word string) string {
	switch word {
	case "":
		return ""
	case "denied":
		return "Nothing was connected: the consent was declined on Google’s page."
	case "scope_missing":
		return "Nothing was connected: the right to change mail was not ticked on Google’s page. Without it Mailsweep cannot archive anything. Connect again and tick it."
	case "offline_missing":
		return "Nothing was connected: Google gave no lasting access. Connect again."
	case "unavailable":
		return "Nothing was connected: Google did not answer. Try again in a minute."
	}
	return "Nothing was connected: it took too long, or the page was opened twice. Connect again."
}

func (p *Pages) connect(c echo.Context, a sweep.Actor) error {
	var mailbox sweep.ID
	if id := c.FormValue("mailbox"); id != "" {
		var err error
		if mailbox, err = sweep.MailboxID.Parse(id); err != nil {
			return err
		}
	}
	started, err := p.Account.StartConnect(c.Request().Context(), a, mailbox)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, started.AuthorizeURL)
}

func (p *Pages) complete(c echo.Context, a sweep.Actor, consent string) error {
	mailbox, err := p.Account.CompleteConnect(c.Request().Context(), a, consent)
	if sweep.CodeOf(err) == sweep.NotFound {
		return p.elsewhere(c, handedOn{Code: consent, Mailbox: true})
	}
	if err != nil {
		return err
	}
	id, err := sweep.MailboxID.Parse(mailbox.ID)
	if err != nil {
		return err
	}
	if _, err := p.Cleanup.SubmitAnalyze(c.Request().Context(), a, cleanup.Target{Mailbox: id}, cleanup.Idempotency{}); err != nil {
		p.Log.WarnContext(c.Request().Context(), "the first analysis was not begun", "error", err.Error()) // the page offers it
	}
	return p.go_(c, "/mailboxes/"+mailbox.ID)
}

func (p *Pages) disconnect(c echo.Context, a sweep.Actor, id sweep.ID) (string, error) {
	return "/mailboxes", p.Account.Disconnect(c.Request().Context(), a, id)
}

// overviewPage is a mailbox in one look.
type overviewPage struct {
	Mailbox  account.MailboxView
	Token    string
	Once     string
	Job      *sweep.JobView  // the analysis that is under way, or the last one if it failed
	Analysis *sweep.Analysis // the latest there is: while one is under way, as far as that has come; nil: none yet
	CanRun   bool
}

// Running says whether the picture still moves.
func (o overviewPage) Running() bool { return o.Job != nil && !o.Job.State.Done() }

func (o overviewPage) reload() int {
	if o.Running() {
		return 10
	}
	return 0
}

func (p *Pages) overview(c echo.Context, a sweep.Actor) error {
	ctx := c.Request().Context()
	id, mailbox, err := p.named(c, a)
	if err != nil {
		return err
	}
	page := overviewPage{Mailbox: mailbox, Token: p.edge.Token(c), Once: once(), CanRun: a.MayAs(sweep.Operator) == nil}
	if page.Job, err = p.analysisUnderWay(ctx, a, page.Mailbox.ID); err != nil {
		return err
	}
	analysis, err := p.Cleanup.Analysis(ctx, a.Customer, id)
	switch sweep.CodeOf(err) {
	case "":
		page.Analysis = &analysis
	case sweep.NotFound:
	default:
		return err
	}
	if page.Running() {
		page.Analysis = partial(*page.Job, page.Analysis)
	}
	return p.show(c, http.StatusOK, "overview", page.Mailbox.Email, page)
}

// named is the mailbox that the address names.
func (p *Pages) named(c echo.Context, a sweep.Actor) (id sweep.ID, m account.MailboxView, err error) {
	if id, err = sweep.MailboxID.Parse(c.Param("mailbox")); err == nil {
		m, err = p.mailbox(c.Request().Context(), a, id)
	}
	return id, m, err
}

func (p *Pages) mailbox(ctx context.Context, a sweep.Actor, id sweep.ID) (account.MailboxView, error) {
	all, err := p.Account.Mailboxes(ctx, a.Customer)
	for _, m := range all {
		if m.ID == sweep.MailboxID.Show(id) {
			return m, nil
		}
	}
	if err == nil {
		err = sweep.Errorf(sweep.NotFound, "there is no such mailbox")
	}
	return account.MailboxView{}, err
}

// analysisUnderWay is the mailbox's newest analysis if it is open, or has just failed.
func (p *Pages) analysisUnderWay(ctx context.Context, a sweep.Actor, mailbox string) (*sweep.JobView, error) {
	jobs, _, err := p.Cleanup.Jobs(ctx, a.Customer, cleanup.JobFilter{Kind: sweep.Analyze, Limit: 20})
	for _, j := range jobs {
		if j.MailboxID != mailbox {
			continue
		}
		if j.State == sweep.Succeeded || j.State == sweep.Canceled || j.State.Done() && time.Since(j.CreatedAt) > 24*time.Hour {
			return nil, nil
		}
		id, err := sweep.JobID.Parse(j.ID)
		if err != nil {
			return nil, err
		}
		whole, _, err := p.Cleanup.Job(ctx, a.Customer, id)
		return &whole, err
	}
	return nil, err
}

// partial is what an analysis under way has found, or what the one before it had.
func partial(job sweep.JobView, before *sweep.Analysis) *sweep.Analysis {
	var a sweep.Analysis
	if len(job.Result) == 0 || json.Unmarshal(job.Result, &a) != nil || a.Stage == "" {
		return before
	}
	if before != nil && (a.Stage == sweep.StageCounts || a.Stage == sweep.StageFacets && len(before.Senders) > 0) {
		return before // a refresh begins with less than what is known
	}
	return &a
}

// picture streams the overview as an analysis paints it.
func (p *Pages) picture(c echo.Context, a sweep.Actor) error {
	ctx := c.Request().Context()
	job, err := sweep.JobID.Parse(c.Param("job"))
	if err != nil {
		return err
	}
	id, mailbox, err := p.named(c, a)
	if err != nil {
		return err
	}
	page := overviewPage{Mailbox: mailbox, Token: p.edge.Token(c), Once: once(), CanRun: a.MayAs(sweep.Operator) == nil}
	return p.edge.Follow(c, a, job, func(view sweep.JobView) ([]byte, error) {
		if page.Job = &view; view.MailboxID != mailbox.ID {
			return nil, sweep.Errorf(sweep.NotFound, "there is no such job")
		}
		before, err := p.Cleanup.Analysis(ctx, a.Customer, id)
		if page.Analysis = partial(view, nil); err == nil {
			page.Analysis = partial(view, &before)
		}
		return p.render("overview", "picture", fragmentOf(page.Token, page))
	})
}

func (p *Pages) analyze(c echo.Context, a sweep.Actor, id sweep.ID) (string, error) {
	_, err := p.Cleanup.SubmitAnalyze(c.Request().Context(), a, cleanup.Target{Mailbox: id}, cleanup.Idempotency{})
	return "/mailboxes/" + sweep.MailboxID.Show(id), err
}
