package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/report"
	"mailsweep/internal/sweep"
)

func (p *Pages) jobRoutes(e *echo.Echo) {
	e.GET("/jobs/:job", p.signed(sweep.Viewer, p.job))
	e.GET("/jobs/:job/receipt.csv", p.signed(sweep.Viewer, p.receipt))
	e.GET("/jobs/:job/stream", p.signed(sweep.Viewer, p.follow))
	e.POST("/jobs/:job/cancel", p.signed(sweep.Operator, p.cancel))
	e.POST("/jobs/:job/undo", p.costing(sweep.Operator, 10, p.undo))
	e.GET("/history", p.signed(sweep.Viewer, p.history))
	e.GET("/history/:job", p.signed(sweep.Viewer, func(c echo.Context, _ sweep.Actor) error { return p.go_(c, "/jobs/"+c.Param("job")) }))
}

// jobPage is a job and, of its kind, what came of it. What can be pressed while the job goes on stands outside of what moves.
type jobPage struct {
	Job     sweep.JobView
	Token   string
	Once    string
	CanRun  bool
	Preview *sweep.DryRunResult
	Run     *sweep.ExecuteResult
	Undone  *sweep.UndoResult
	UndoJob string // that has undone this run
	Undoing string // the job that is at undoing it
	Receipt bool   // there is a run to tell of
	Moved   bool   // it takes the place of what a page shows, where what was for an open job is still there
}

func (j jobPage) reload() int {
	if j.Job.State.Done() {
		return 0
	}
	return 10
}

// Title is what the job does, or did.
func (j jobPage) Title() string {
	switch j.Job.Kind {
	case sweep.Analyze:
		return "Analysis"
	case sweep.DryRun:
		return "Preview"
	case sweep.Undo:
		return "Undo"
	}
	return "Cleanup"
}

// Undoable says whether the run can still be undone.
func (j jobPage) Undoable() bool {
	return j.CanRun && j.Job.Kind == sweep.Execute && j.Job.State.Done() && j.Run != nil && j.Run.Cleaned > 0 && j.UndoJob == "" && j.Undoing == "" && time.Now().Before(j.Run.UndoUntil)
}

func (p *Pages) jobPage(c echo.Context, a sweep.Actor, view sweep.JobView) (jobPage, error) {
	page := jobPage{Job: view, Token: p.edge.Token(c), Once: once(), CanRun: a.MayAs(sweep.Operator) == nil}
	if len(view.Result) == 0 {
		return page, nil
	}
	var into any
	switch view.Kind {
	case sweep.DryRun:
		page.Preview = &sweep.DryRunResult{}
		into = page.Preview
	case sweep.Execute:
		page.Run = &sweep.ExecuteResult{}
		into = page.Run
	case sweep.Undo:
		page.Undone = &sweep.UndoResult{}
		into = page.Undone
	default:
		return page, nil
	}
	return page, json.Unmarshal(view.Result, into)
}

func (p *Pages) job(c echo.Context, a sweep.Actor) error {
	ctx := c.Request().Context()
	id, err := sweep.JobID.Parse(c.Param("job"))
	if err != nil {
		return err
	}
	view, _, err := p.Cleanup.Job(ctx, a.Customer, id)
	if err != nil {
		return err
	}
	page, err := p.jobPage(c, a, view)
	if err != nil {
		return err
	}
	switch {
	case view.Kind == sweep.Analyze:
		return p.go_(c, "/mailboxes/"+view.MailboxID)
	case page.Preview != nil && view.State == sweep.Succeeded:
		return p.go_(c, "/plans/"+page.Preview.CleanupPlanID)
	}
	if err := p.runOf(c, a, &page); err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "job", page.Title(), page)
}

// runOf adds what the history knows of an execute that is over: while it runs there is nothing to undo.
func (p *Pages) runOf(c echo.Context, a sweep.Actor, page *jobPage) error {
	if page.Job.Kind != sweep.Execute || !page.Job.State.Done() {
		return nil
	}
	id, err := sweep.JobID.Parse(page.Job.ID)
	if err != nil {
		return err
	}
	run, err := p.Report.Run(c.Request().Context(), a.Customer, id)
	if sweep.CodeOf(err) == sweep.NotFound {
		return nil
	}
	page.UndoJob, page.Undoing, page.Receipt = run.UndoneBy, run.UndoUnderWay, err == nil
	return err
}

// receipt is a run's figures as a file.
func (p *Pages) receipt(c echo.Context, a sweep.Actor) error {
	id, err := sweep.JobID.Parse(c.Param("job"))
	if err != nil {
		return err
	}
	run, err := p.Report.Run(c.Request().Context(), a.Customer, id)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="mailsweep-`+run.JobID+`.csv"`)
	h.Set("Cache-Control", "no-store")
	return report.Receipt(c.Response(), run)
}

func (p *Pages) follow(c echo.Context, a sweep.Actor) error {
	id, err := sweep.JobID.Parse(c.Param("job"))
	if err != nil {
		return err
	}
	return p.edge.Follow(c, a, id, func(job sweep.JobView) ([]byte, error) {
		page, err := p.jobPage(c, a, job)
		if err != nil {
			return nil, err
		}
		if err := p.runOf(c, a, &page); err != nil {
			return nil, err
		}
		page.Moved = true
		return p.render("job", "progress", fragmentOf(page.Token, page))
	})
}

func (p *Pages) cancel(c echo.Context, a sweep.Actor) error {
	id, err := sweep.JobID.Parse(c.Param("job"))
	if err != nil {
		return err
	}
	job, err := p.Cleanup.Cancel(c.Request().Context(), a, id)
	if err != nil {
		return err
	}
	return p.go_(c, "/jobs/"+job.ID)
}

func (p *Pages) undo(c echo.Context, a sweep.Actor) error {
	id, err := sweep.JobID.Parse(c.Param("job"))
	if err != nil {
		return err
	}
	job, err := p.Cleanup.SubmitUndo(c.Request().Context(), a, id, pressed(c, "undo", c.Param("job")))
	if err != nil {
		return err
	}
	return p.go_(c, "/jobs/"+job.ID)
}

// historyPage is every run, newest first.
type historyPage struct {
	Runs   []sweep.Run
	Totals sweep.HistoryTotals
	Next   string
	Open   []sweep.JobView // jobs that are not over

	me string // the actor, as runs name who began them
}

// By says who began a run.
func (h historyPage) By(who string) string {
	kind, _, _ := strings.Cut(who, ":")
	switch {
	case who == h.me:
		return "You"
	case kind == "user":
		return "A colleague"
	case kind == "key":
		return "An API key"
	case kind == "ops":
		return "Mailsweep’s operators"
	}
	return "Mailsweep"
}

func (p *Pages) history(c echo.Context, a sweep.Actor) error {
	ctx := c.Request().Context()
	page := historyPage{me: a.String()}
	var err error
	if page.Runs, page.Next, page.Totals, err = p.Report.History(ctx, a.Customer, 20, c.QueryParam("cursor")); err != nil {
		return err
	}
	jobs, _, err := p.Cleanup.Jobs(ctx, a.Customer, cleanup.JobFilter{Limit: 20})
	for _, j := range jobs {
		if !j.State.Done() {
			page.Open = append(page.Open, j)
		}
	}
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "history", "History", page)
}
